"""The library of circuit recipes: what ships with the package, and a user's own files by path."""

from __future__ import annotations

from pathlib import Path

from hybridqies.circuit.circuit import Circuit
from hybridqies.circuit.expressions import Value
from hybridqies.circuit.recipe import Recipe
from hybridqies.errors import CircuitError, UnknownNameError


def recipe_folder() -> Path:
    """Where the shipped recipes lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_recipes"
    return installed if installed.is_dir() else package.parent / "circuits"


def list_circuits() -> tuple[str, ...]:
    """The names of the shipped recipes, sorted."""
    return tuple(sorted(path.stem for path in recipe_folder().glob("*.toml")))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """The shipped recipe of that name, or the recipe file at that path.

    Raises
    ------
    UnknownNameError: no shipped recipe has the name; the nearest is offered.
    CircuitError: the file is missing or is no recipe.
    """
    given = str(name_or_path)
    if isinstance(name_or_path, Path) or given.endswith(".toml") or "/" in given:
        path = Path(name_or_path)
        if not path.is_file():
            raise CircuitError(f"no recipe file {given!r} exists", todo="give a .toml file or a shipped name")
        return Recipe.read(path)
    if given not in list_circuits():
        raise UnknownNameError("circuit", given, list_circuits(), todo="or give the path of a .toml recipe")
    return Recipe.read(recipe_folder() / f"{given}.toml")


def load_circuit(name_or_path: str | Path, n_qubits: int, **options: Value) -> Circuit:
    """The circuit that a recipe lays out on `n_qubits` with `options`.

    >>> load_circuit("long-range-reupload", n_qubits=4, connectivity=2)

    Raises
    ------
    UnknownNameError: no such recipe or option; the nearest known name is offered.
    CircuitError: too few qubits, or an option out of its bounds.
    """
    return load_recipe(name_or_path).build(n_qubits, options)
