"""A recipe: a TOML file that says how to lay out a circuit for any number of qubits. Data, not code."""

from __future__ import annotations

import contextlib
import operator
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridqies.circuit.circuit import Circuit, Start
from hybridqies.circuit.expressions import Value, evaluate, whole
from hybridqies.circuit.lattices import MAX_SITES
from hybridqies.circuit.layers import LayerBuilder, all_observables
from hybridqies.circuit.shapes import check_recipe, check_text
from hybridqies.errors import CircuitError, InputError, UnknownNameError
from hybridqies.options import parse

MAX_QUBITS = MAX_SITES
"""The largest layout that a recipe is asked for; beyond it even the list of gates takes minutes."""

MAX_BYTES = 250_000
"""The largest recipe file; those of the library have a few hundred bytes."""


@dataclass(frozen=True, slots=True)
class Option:
    """One thing about a recipe that its user may set; bounds and default may be expressions in `n`.

    The value of one of `kind` "lattice" is the name of a pattern or of a lattice.
    """

    name: str
    default: Value
    help: str
    minimum: Value | None = None
    maximum: Value | None = None
    choices: tuple[str, ...] = ()
    kind: str = ""

    def value(self, given: Value | None, names: Mapping[str, Value]) -> Value:
        """The value to use, checked against type, bounds and choices."""
        default = self.default if self.choices or self.kind else evaluate(self.default, names)
        if given is None:
            self._check_bounds(default, names, f"the default of circuit option {self.name!r} is")
            return default
        value: Value = parse(given, type(default), f"circuit option {self.name!r}")
        if self.choices and value not in self.choices:
            raise UnknownNameError(f"value for circuit option {self.name!r}:", str(value), self.choices)
        self._check_bounds(value, names, f"circuit option {self.name!r} was given")
        return value

    def _check_bounds(self, value: Value, names: Mapping[str, Value], what: str) -> None:
        if self.minimum is not None and value < evaluate(self.minimum, names):  # type: ignore[operator]
            raise InputError(
                f"{what} {value}",
                expected=f"at least {evaluate(self.minimum, names)}",
            )
        if self.maximum is not None and value > evaluate(self.maximum, names):  # type: ignore[operator]
            raise InputError(
                f"{what} {value}",
                expected=f"at most {evaluate(self.maximum, names)} with {names['n']} qubits",
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """A parsed recipe; `build` lays it out."""

    name: str
    title: str
    reference: str
    start: Start
    min_qubits: int
    weights: str
    options: tuple[Option, ...]
    blocks: Mapping[str, list[dict[str, Any]]]
    layers: list[dict[str, Any]]
    measure: list[dict[str, Any]]
    fixed: Circuit | None = None

    @classmethod
    def of(cls, circuit: Circuit, reference: str) -> Recipe:
        """A circuit as a recipe without options, for its own number of qubits alone."""
        return cls(
            name=circuit.name,
            title="a circuit with a fixed number of qubits",
            reference=reference,
            start=circuit.start,
            min_qubits=circuit.n_qubits,
            weights=str(circuit.n_weights),
            options=(),
            blocks={},
            layers=[],
            measure=[],
            fixed=circuit,
        )

    @property
    def usual_qubits(self) -> int:
        """How many qubits it is laid out on where nobody says: 4 if it can be."""
        return self.min_qubits if self.fixed is not None else max(4, self.min_qubits)

    @classmethod
    def parse(cls, text: str, name: str) -> Recipe:
        """Reads the TOML `text` of the recipe called `name`.

        Raises
        ------
        CircuitError: it is no TOML, or lacks a key.
        UnknownNameError: it has a key that recipes don't have.
        """
        check_text(text, name)
        try:
            content = tomllib.loads(text)
            check_recipe(content, name)
        except InputError:
            raise
        except (ValueError, RecursionError) as error:  # nested too deeply, or a number of too many digits
            raise CircuitError(f"recipe {name!r} is no valid TOML: {error}") from None
        return cls(
            name=name,
            title=content["title"],
            reference=content["reference"],
            start=parse(content.get("start", "zero"), Start, f"'start' of recipe {name!r}"),
            min_qubits=content.get("min_qubits", 1),
            weights=str(content["weights"]),
            options=tuple(_option(key, row) for key, row in content.get("options", {}).items()),
            blocks=content.get("blocks", {}),
            layers=content["layers"],
            measure=content["measure"],
        )

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Reads the recipe file at `path`; its name is the file's, without the suffix."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise CircuitError(
                    f"recipe file {str(path)!r} has {path.stat().st_size:,} bytes",
                    expected=f"at most {MAX_BYTES:,}",
                )
            return cls.parse(path.read_text(encoding="utf-8-sig"), path.stem)
        except (OSError, UnicodeDecodeError) as error:
            raise CircuitError(f"recipe file {str(path)!r} cannot be read: {error}") from None

    def resolve(self, n_qubits: int, options: Mapping[str, Value]) -> dict[str, Value]:
        """Every option's value for `n_qubits`, the given ones checked and the others at their defaults.

        Raises
        ------
        UnknownNameError: an option that the recipe doesn't have.
        InputError: an option of the wrong type or out of its bounds.
        CircuitError: `n_qubits` is no whole number, too few for the recipe, or over MAX_QUBITS.
        """
        n_qubits = _checked_qubits(n_qubits)
        if n_qubits < self.min_qubits:
            raise CircuitError(
                f"circuit {self.name!r} was asked for with {n_qubits} qubits",
                expected=f"at least {self.min_qubits}",
            )
        if self.fixed is not None and n_qubits != self.fixed.n_qubits:
            raise CircuitError(
                f"circuit {self.name!r} was asked for with {n_qubits} qubits",
                expected=f"{self.fixed.n_qubits}: its file says so",
            )
        known = {option.name: option for option in self.options}
        for key in options:
            if key not in known:
                raise UnknownNameError(f"option of circuit {self.name!r}:", key, known)
        names: dict[str, Value] = {"n": n_qubits}
        with _refusing(self.name):
            for option in self.options:
                names[option.name] = option.value(options.get(option.name), names)
        return names

    def n_weights(self, n_qubits: int, options: Mapping[str, Value]) -> int:
        """The weight count that the recipe's closed formula gives."""
        return whole(self.weights, self.resolve(n_qubits, options))

    def build(self, n_qubits: int, options: Mapping[str, Value]) -> Circuit:
        """The circuit for `n_qubits` and `options`.

        Raises
        ------
        UnknownNameError: an option, gate or key that does not exist.
        CircuitError: too few or too many qubits, or weights that the recipe's formula does not count.
        """
        names = self.resolve(n_qubits, options)
        if self.fixed is not None:
            return self.fixed
        with _refusing(self.name):
            circuit = self._laid_out(operator.index(n_qubits), names)
        promised = whole(self.weights, names)
        if circuit.n_weights != promised:
            raise CircuitError(
                f"recipe {self.name!r} has {circuit.n_weights} weights on {n_qubits} qubits",
                expected=f"{promised} by its formula {self.weights!r}",
                todo="correct the formula or the layers",
            )
        return circuit

    def _laid_out(self, n_qubits: int, names: Mapping[str, Value]) -> Circuit:
        builder = LayerBuilder(n_qubits, self.blocks)
        builder.add_all(self.layers, names)
        return Circuit.of(
            n_qubits,
            builder.gates,
            all_observables(self.measure, n_qubits, names),
            start=self.start,
            name=self.name,
        )


@contextlib.contextmanager
def _refusing(recipe: str) -> Iterator[None]:
    """Turns errors of a recipe's arithmetic into one line that names the recipe."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise CircuitError(f"recipe {recipe!r} cannot be laid out: {error}") from error


def _checked_qubits(given: object) -> int:
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise CircuitError(f"{given!r} qubits were asked for", expected="a whole number")
    n_qubits = operator.index(given)
    if n_qubits > MAX_QUBITS:
        raise CircuitError(f"{n_qubits} qubits were asked for", expected=f"at most {MAX_QUBITS}")
    return n_qubits


def _option(name: str, row: Mapping[str, Any]) -> Option:
    choices = tuple(row.get("choices", ()))
    bounds = row.get("min"), row.get("max")
    return Option(name, row["default"], row.get("help", ""), *bounds, choices, row.get("kind", ""))
