"""Scripts of `benchmarks` as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from scripts import BENCHMARKS, Load


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a script with the folder that its own start would put on the path."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    before = set(sys.modules)

    def load_script(name: str) -> Any:
        # A folder of the tests may have the name of a script.
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    yield load_script
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {path.stem for path in BENCHMARKS.iterdir()}:
            del sys.modules[name]
