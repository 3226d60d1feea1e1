"""The library of circuit recipes: what ships with the package, and a user's own files by path."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hybridqies.circuit.circuit import Circuit
from hybridqies.circuit.expressions import Value
from hybridqies.circuit.qasm import from_openqasm3
from hybridqies.circuit.qasm_limits import MAX_CHARACTERS
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
    """The shipped recipe of that name, or the recipe or OpenQASM 3 file at that path.

    An OpenQASM program (a path that ends in .qasm) is a recipe without options, for its own qubits.

    Raises
    ------
    UnknownNameError: no shipped recipe has the name; the nearest is offered.
    CircuitError: the file is missing or is no recipe.
    """
    given = str(name_or_path)
    if isinstance(name_or_path, Path) or given.endswith((".toml", ".qasm")) or "/" in given:
        path = Path(name_or_path)
        if not _is_file(path):
            raise CircuitError(
                f"no recipe file {given!r:.300} exists", todo="give a .toml or .qasm file or a shipped name"
            )
        return _read_program(path) if path.suffix == ".qasm" else Recipe.read(path)
    if given not in list_circuits():
        raise UnknownNameError(
            "circuit", given, list_circuits(), todo="or give the path of a .toml recipe or a .qasm program"
        )
    return Recipe.read(recipe_folder() / f"{given}.toml")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _read_program(path: Path) -> Recipe:
    try:
        if path.stat().st_size > MAX_CHARACTERS:
            raise CircuitError(
                f"OpenQASM file {str(path)!r} is too large", expected=f"{MAX_CHARACTERS:,} bytes"
            )
        circuit = from_openqasm3(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise CircuitError(f"OpenQASM file {str(path)!r} cannot be read: {error}") from None
    except CircuitError as error:
        raise CircuitError(f"OpenQASM file {str(path)!r}: {error}") from None
    return Recipe.of(dataclasses.replace(circuit, name=path.stem), str(path))


def load_circuit(name_or_path: str | Path, n_qubits: int, **options: Value) -> Circuit:
    """The circuit that a recipe lays out on `n_qubits` with `options`.

    >>> load_circuit("long-range-reupload", n_qubits=4, connectivity=2)

    Raises
    ------
    UnknownNameError: no such recipe or option; the nearest known name is offered.
    CircuitError: too few qubits, or an option out of its bounds.
    """
    return load_recipe(name_or_path).build(n_qubits, options)
