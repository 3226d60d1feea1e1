"""Every public name says what it is."""

from __future__ import annotations

import importlib
import inspect

import pytest

FLOORS = (
    "hybridqies",
    "hybridqies.errors",
    "hybridqies.files",
    "hybridqies.options",
    "hybridqies.roles",
    "hybridqies.tensors",
    "hybridqies.circuit",
    "hybridqies.engine",
    "hybridqies.backends",
    "hybridqies.backends.jobs",
    "hybridqies.pennylane_device",
    "hybridqies.testing",
    "hybridqies.diagnostics",
    "hybridqies.energy",
    "hybridqies.heads",
    "hybridqies.adapters",
    "hybridqies.convolutions",
    "hybridqies.lm",
    "hybridqies.text",
    "hybridqies.trackers",
    "hybridqies.training",
    "hybridqies.classifier",
    "hybridqies.language_model",
    "hybridqies.analysis",
    "hybridqies.probes",
    "hybridqies.harness",
    "hybridqies.estimators",
    "hybridqies.saved_model",
    "hybridqies.events",
    "hybridqies.parity",
    "hybridqies.quanta",
    "hybridqies.ranks",
    "hybridqies.selfplay",
    "hybridqies.tasks",
    "hybridqies.runs",
    "hybridqies.study",
    "hybridqies.report",
    "hybridqies.cli",
)


@pytest.mark.parametrize("floor", FLOORS)
def test_floor_is_documented(floor: str) -> None:
    module = importlib.import_module(floor)
    assert (module.__doc__ or "").strip()
    undocumented = [name for name in public_names(module) if lacks_docstring(getattr(module, name))]
    assert not undocumented


@pytest.mark.parametrize("floor", FLOORS)
def test_public_methods_are_documented(floor: str) -> None:
    module = importlib.import_module(floor)
    classes = [getattr(module, name) for name in public_names(module)]
    undocumented = [
        f"{kind.__name__}.{name}"
        for kind in classes
        if inspect.isclass(kind) and kind.__module__.startswith("hybridqies")
        for name, member in vars(kind).items()
        if not name.startswith("_") and is_method(member) and not inspect.getdoc(getattr(kind, name))
    ]
    assert not undocumented


def public_names(module: object) -> list[str]:
    """`__all__`, or for a module without one what it defines itself."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__  # type: ignore[attr-defined]
    ]


def lacks_docstring(value: object) -> bool:
    """True for a class or function without one of its own; constants carry none and are let through."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return False
    text = inspect.getdoc(value) or ""
    generated = inspect.isclass(value) and text.startswith(f"{value.__name__}(")
    return not text.strip() or generated


def is_method(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, classmethod | staticmethod | property)
