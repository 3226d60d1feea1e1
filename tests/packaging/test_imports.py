"""`import hybridqies` is quick and loads no heavy package."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest


def test_import_loads_no_heavy_package() -> None:
    """Nothing but modules of the standard library, which is what makes it quick."""
    code = "import sys; before = set(sys.modules); import hybridqies; print(*sys.modules.keys() - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "hybridqies" in loaded
    tops = {name.partition(".")[0] for name in loaded} - {"hybridqies"}
    assert tops <= sys.stdlib_module_names
    assert {name for name in loaded if name.startswith("hybridqies.")} == {"hybridqies.lazily"}


@pytest.mark.torch
def test_public_names_resolve_and_unknown_ones_do_not() -> None:
    import hybridqies

    for name in hybridqies.__all__:
        assert getattr(hybridqies, name) is not None
        assert name in dir(hybridqies)
    with pytest.raises(AttributeError, match="no_such_name"):
        hybridqies.no_such_name  # noqa: B018


@pytest.mark.torch
@pytest.mark.parametrize(
    "package", ["adapters", "backends", "convolutions", "heads", "runs", "tasks", "text", "training"]
)
def test_every_name_of_a_lazy_package_resolves(package: str) -> None:
    module = importlib.import_module(f"hybridqies.{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert dir(module) == sorted(module.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_names_of_backends_are_there_without_torch() -> None:
    code = "import sys; from hybridqies.backends import BACKENDS, Rates; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
