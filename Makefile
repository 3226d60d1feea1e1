# The two commands: `make demo` and `make test`. `make help` lists the rest.
# PYTHON=/path/to/python picks the interpreter that .venv is made from; otherwise the newest known one is.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
KEY := $(shell cat pyproject.toml constraints.txt | cksum | tr -c '0-9\n' '-')
DEMO_READY := $(VENV)/.demo-$(KEY)
TEST_READY := $(VENV)/.test-$(KEY)
COLLECTED := $(VENV)/.collected-$(KEY)
LIGHT_READY := $(VENV)/.light-$(KEY)
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
# One more than two cores: a fifth of the time goes into waiting for processes that tests start.
PYTEST_WORKERS ?= 3

# What needs no torch, which takes gigabytes for every further Python.
LIGHT_PACKAGES := hypothesis matplotlib numpy optuna pytest pytest-timeout qiskit qiskit-qasm3-import \
    rich safetensors scikit-learn scipy typer
LIGHT_TESTS := \
    tests/circuit/test_draw.py tests/circuit/test_expressions.py tests/circuit/test_hostile.py tests/circuit/test_qasm.py \
    tests/circuit/test_recipe_files.py tests/circuit/test_recipes.py tests/cli/test_help.py tests/cli/test_output.py \
    tests/packaging/test_imports.py \
    tests/study/statistics/test_statistics.py tests/study/test_search.py tests/study/trials/test_journal.py \
    tests/test_journals.py tests/test_ownership.py tests/test_progress.py tests/test_records.py tests/text/test_dataset.py \
    tests/text/test_sampling.py tests/training/test_config.py

# A name on the path is no proof: the interpreter itself has to say that it is new enough and can make environments.
PROBE := import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)
# Making an environment can be interrupted between its Python and its pip.
PIP_READY := @$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade
# Modules are compiled when they are first imported; compiling all of them would take a minute, and most are never used.
# Some shells forbid keeping them: each of the processes that the tests start would then compile torch anew, for 20 s.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --no-input --disable-pip-version-check --no-compile -c constraints.txt

.PHONY: help demo test lint docs unit coverage light light-environment wheel-test clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# On tensors this small, threads mostly wait for each other, and far longer where another process has one of the cores.
demo: $(DEMO_READY) ## train on the built-in data with the offline encoder; ends with a table, runs/demo/ and a report
	OMP_NUM_THREADS=1 $(BIN)/hybridqies train --out runs/demo --overwrite
	@echo "measuring entanglement and gradients of the trained circuits, for the report"
	@OMP_NUM_THREADS=1 $(BIN)/hybridqies diagnose runs/demo --json >/dev/null
	@$(BIN)/hybridqies report runs/demo --out runs/demo/report.html

# Beside each other: types are checked by one process, which leaves every other core idle.
test: $(TEST_READY) ## everything that has to hold before a change goes in
	@$(MAKE) --no-print-directory -j3 lint docs unit

lint: $(TEST_READY) ## style, types and the floors of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(TEST_READY) ## build the guide into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

unit: $(COLLECTED) ## the tests, without those marked slow
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m "not slow"

coverage: $(TEST_READY) ## the tests again, with the lines and branches of the package that they leave out
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m "not slow" \
	    --cov=hybridqies --cov-branch --cov-report=term-missing:skip-covered

light: $(LIGHT_READY) ## the tests that need no torch; for another Python: PYTHON=python3.13 VENV=.venv-3.13
	$(BIN)/python -m compileall -q hybridqies tests benchmarks
	PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest -q -m "not slow and not torch" $(LIGHT_TESTS)

light-environment: $(LIGHT_READY) ## only install what `make light` needs

wheel-test: $(TEST_READY) ## only the test of the built wheel, with every dependency freshly installed
	FRESH_WHEEL=1 $(BIN)/python -m pytest tests/packaging/test_wheel.py

clean: ## remove what was built; .venv and runs/ stay
	rm -rf build dist docs/_build .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find hybridqies tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@for python in $(PYTHONS); do \
	    "$$python" -c '$(PROBE)' >/dev/null 2>&1 || continue; \
	    new_enough="$$python"; \
	    "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
	    echo "making $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv --clear $(VENV) && exit 0; \
	done; \
	if [ -n "$$new_enough" ]; then \
	    echo "error: $$new_enough cannot make environments; install its venv package (python3-venv) or pass PYTHON=...; expected a Python with ensurepip" >&2; \
	else \
	    echo "error: no Python 3.11 or newer among: $(PYTHONS); install one or pass PYTHON=/path/to/python" >&2; \
	fi; \
	exit 1

$(DEMO_READY): | $(VENV)/bin/python
	@echo "installing hybridqies and its dependencies into $(VENV); the first time takes a few minutes"
	$(PIP_READY)
	$(INSTALL) -e '.[offline]'
	@rm -f $(VENV)/.demo-* $(VENV)/.test-*
	@touch $@

$(TEST_READY): | $(VENV)/bin/python
	@echo "installing hybridqies, its dependencies and the test tools into $(VENV); the first time takes a few minutes"
	$(PIP_READY)
	$(INSTALL) -e '.[offline,adapters,convolutions,ibm,ionq,study,cluster,dev]'
	@rm -f $(VENV)/.demo-* $(VENV)/.test-*
	@touch $@ $(DEMO_READY)

# While types are checked on another core. What fails here fails in the tests, too, and is told there.
$(COLLECTED): $(TEST_READY)
	@echo "compiling the modules that the tests import, so that not each of their processes does"
	@$(BIN)/python -m pytest --collect-only -q -m "not slow" >/dev/null 2>&1 || true
	@rm -f $(VENV)/.collected-*
	@touch $@

$(LIGHT_READY): | $(VENV)/bin/python
	@echo "installing what the tests without torch need into $(VENV)"
	$(PIP_READY)
	$(INSTALL) -q $(LIGHT_PACKAGES)
	@rm -f $(VENV)/.light-*
	@touch $@
