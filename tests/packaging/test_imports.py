"""`import hybridqies` is quick and loads no heavy package."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "matplotlib",
    "numba",
    "numpy",
    "pandas",
    "pennylane",
    "qiskit",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "torch",
    "transformers",
}


def import_times() -> dict[str, float]:
    """Cumulative seconds by module, as `python -X importtime` reports them for a fresh interpreter."""
    command = (sys.executable, "-X", "importtime", "-c", "import hybridqies")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines()]
    return {name.strip(): int(total) / 1e6 for _, total, name in rows if total.strip().isdigit()}


def test_import_loads_no_heavy_package() -> None:
    loaded = {name.partition(".")[0] for name in import_times()}
    assert "hybridqies" in loaded
    assert not loaded & HEAVY


def test_import_takes_less_than_a_fifth_of_a_second() -> None:
    assert min(import_times()["hybridqies"] for _ in range(3)) < 0.2


def test_public_names_resolve_and_unknown_ones_do_not() -> None:
    import hybridqies

    for name in hybridqies.__all__:
        assert getattr(hybridqies, name) is not None
        assert name in dir(hybridqies)
    with pytest.raises(AttributeError, match="no_such_name"):
        hybridqies.no_such_name  # noqa: B018
