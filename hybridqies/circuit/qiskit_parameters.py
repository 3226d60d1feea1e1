"""Parameters of Qiskit circuits: which are features and which weights, and what an angle is of them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridqies.circuit.angles import Angle, Constant, Feature, Weight, add
from hybridqies.errors import CircuitError, UnknownNameError

if TYPE_CHECKING:
    from qiskit.circuit import Parameter

Indexed = Callable[["Parameter"], tuple[type[Feature] | type[Weight], int]]

_MAX_DEGREE = 6
_MAX_TERMS = 200
# What a value may be off, in parts of the largest summand.
_ROUNDING = 1e-12
# Qiskit's OpenQASM writer turns x[0] into _x_0_.
_ESCAPED = re.compile(r"_(.+)_(\d+)_")
_DEFAULT_FEATURES = ("x",)


@dataclass(frozen=True, slots=True)
class ParameterRoles:
    """Which parameter of a Qiskit circuit is which feature or weight, and how many of each there are."""

    index_of: Indexed
    n_features: int
    n_weights: int


def parameters_of(angles: Iterable[Sequence[Any]]) -> list[Parameter]:
    """Every parameter once, in the order of first appearance; those of one expression by name."""
    found: dict[Parameter, None] = {}
    for angle in (angle for each in angles for angle in each):
        found.update(dict.fromkeys(sorted(getattr(angle, "parameters", ()), key=_natural)))
    return list(found)


def split_name(name: str) -> tuple[str, int | None]:
    """A parameter's name without its index, and that index: x0, x_0, x_0_, _x_0_, x[0] are ("x", 0)."""
    escaped = _ESCAPED.fullmatch(name)
    if escaped:
        return escaped[1], int(escaped[2])
    stem = name.rstrip("]_")
    digits = stem[len(stem.rstrip("0123456789")) :]
    if not digits:
        return name, None
    return stem[: -len(digits)].rstrip("[_"), int(digits)


def _natural(parameter: Parameter) -> tuple[str, int]:
    stem, index = split_name(parameter.name)
    return stem, -1 if index is None else index


def roles_by_name(parameters: Sequence[Parameter], features: Sequence[str] | None) -> ParameterRoles:
    """Roles by the names in `features`; None is "x", whether or not there is one.

    Raises
    ------
    UnknownNameError: a name in `features` that no parameter has.
    CircuitError: two parameters that would be one feature.
    """
    names = (features,) if isinstance(features, str) else tuple(features or ())
    wanted = _DEFAULT_FEATURES if features is None else names
    places = {each: _place(each, wanted) for each in parameters}
    for name in names:
        if name not in {stem for stem, _ in places.values()}:
            raise UnknownNameError(
                "feature parameter", name, {stem for stem, _ in places.values()} - {*wanted}
            )
    taken: dict[tuple[str, int], Parameter] = {}
    sizes = dict.fromkeys(wanted, 0)
    for each, (stem, index) in places.items():
        if stem in sizes:
            first = taken.setdefault((stem, index), each)
            if first != each:
                raise CircuitError(f"parameters {first.name!r} and {each.name!r} are one feature")
            sizes[stem] = max(sizes[stem], index + 1, _length(each))
    starts = {stem: sum(sizes[before] for before in wanted[:at]) for at, stem in enumerate(wanted)}
    weights, n_weights = _number_weights([each for each in parameters if places[each][0] not in sizes])

    def index_of(parameter: Parameter) -> tuple[type[Feature] | type[Weight], int]:
        if parameter in weights:
            return Weight, weights[parameter]
        stem, index = places[parameter]
        return Feature, starts[stem] + index

    return ParameterRoles(index_of, sum(sizes.values()), n_weights)


def _place(parameter: Parameter, wanted: Sequence[str]) -> tuple[str, int]:
    """The name that decides a parameter's role, and its index under that name."""
    if parameter.name in wanted:
        return parameter.name, 0
    vector = getattr(parameter, "vector", None)
    stem, index = (vector.name, parameter.index) if vector is not None else split_name(parameter.name)
    return stem, index or 0


def _length(parameter: Parameter) -> int:
    vector = getattr(parameter, "vector", None)
    return len(vector) if vector is not None else 0


def _number_weights(parameters: Iterable[Parameter]) -> tuple[dict[Parameter, int], int]:
    """The index of each weight, as they first appear, a vector in one piece; and how many there are."""
    numbers: dict[Parameter, int] = {}
    starts: dict[str, int] = {}
    count = 0
    for each in parameters:
        vector = getattr(each, "vector", None)
        if vector is None:
            numbers[each] = count
            count += 1
            continue
        if vector.name not in starts:
            starts[vector.name] = count
            count += len(vector)
        numbers[each] = starts[vector.name] + each.index
    return numbers, count


def read_angle(angle: Any, index_of: Indexed) -> Angle:
    """A number or a Qiskit expression as an angle.

    Raises
    ------
    CircuitError: it is no sum of weights, features and products of features times numbers.
    """
    if not getattr(angle, "parameters", ()):
        return Constant(_number(angle))
    return add(*(_term(angle, scale, factors, index_of) for scale, factors in _polynomial(angle)))


def _term(angle: Any, scale: float, factors: Sequence[Parameter], index_of: Indexed) -> Angle:
    if not factors:
        return Constant(scale)
    roles = [index_of(factor) for factor in factors]
    if all(role is Feature for role, _ in roles):
        return Feature(tuple(index for _, index in roles), scale)
    if len(roles) == 1:
        return Weight(roles[0][1], scale)
    raise _unsupported(angle)


def _polynomial(expression: Any) -> list[tuple[float, list[Parameter]]]:
    """The monomials of `expression`: a number and the parameters that it multiplies, repeated by power.

    Read off from values and derivatives, because the text and the classes of Qiskit's expressions
    change between versions: finite differences tell the degree in a parameter, derivatives at 0
    its coefficients, and further points, at which each parameter is negative once, verify.
    """
    parameters = sorted(expression.parameters, key=_natural)
    if len(parameters) == 1 and expression == parameters[0]:
        return [(1.0, parameters)]
    found: list[tuple[float, list[Parameter]]] = []
    try:
        if len(parameters) > _MAX_TERMS:
            raise _unsupported(expression)
        for steps, (scale, factors) in enumerate(_monomials(expression, parameters), 1):
            if steps > _MAX_TERMS:
                raise _unsupported(expression)
            if scale:
                found.append((scale, factors))
        if len(found) == 1:
            # Derivatives of a power round; where every parameter is 1, a single product is its number.
            found = [(_value(expression, dict.fromkeys(parameters, 1.0)), found[0][1])]
        _verify(expression, parameters, found)
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, CircuitError):
            raise
        raise _unsupported(expression) from None
    return found


def _monomials(expression: Any, parameters: Sequence[Parameter]) -> Iterator[tuple[float, list[Parameter]]]:
    """Coefficient and factors of each monomial, by one parameter after the other."""
    left = [each for each in parameters if each in getattr(expression, "parameters", ())]
    if not left:
        yield _value(expression, {}), []
        return
    first, *others = left
    derivative = expression
    for power in range(_degree(expression, left) + 1):
        if power:
            derivative = derivative.gradient(first)
        at_zero = derivative
        if first in getattr(derivative, "parameters", ()):
            at_zero = derivative.bind({first: 0.0})
        for scale, factors in _monomials(at_zero, others):
            yield scale / math.factorial(power), [*[first] * power, *factors]


def _degree(expression: Any, parameters: Sequence[Parameter]) -> int:
    """The degree in the first parameter, by finite differences with the others at odd places."""
    values = []
    for at in range(1, _MAX_DEGREE + 3):
        points = [float(at), *(0.6 + 0.17 * place for place in range(1, len(parameters)))]
        values.append(_value(expression, dict(zip(parameters, points, strict=True))))
    size = max(map(abs, values))
    for degree in range(_MAX_DEGREE + 1):
        values = [following - value for value, following in itertools.pairwise(values)]
        if all(abs(each) <= _ROUNDING * size for each in values):
            return degree
    raise _unsupported(expression)


def _verify(
    expression: Any, parameters: Sequence[Parameter], found: Sequence[tuple[float, list[Parameter]]]
) -> None:
    for flipped in (None, *parameters):
        points = {
            each: (0.6 + 0.17 * at) * (-1 if each is flipped else 1) for at, each in enumerate(parameters)
        }
        parts = [scale * math.prod(points[factor] for factor in factors) for scale, factors in found]
        size = max((abs(part) for part in parts), default=0.0)
        if not abs(_value(expression, points) - math.fsum(parts)) <= _ROUNDING * size:
            raise _unsupported(expression)


def _value(expression: Any, values: dict[Any, float]) -> float:
    known = getattr(expression, "parameters", ())
    return _number(expression.bind({each: values[each] for each in known}) if known else expression)


def _number(value: Any) -> float:
    plain = value.numeric() if hasattr(value, "numeric") else value
    if isinstance(plain, complex) or not math.isfinite(plain):
        raise CircuitError(f"angle {plain} was given", expected="a real number")
    return float(plain)


def _unsupported(expression: Any) -> CircuitError:
    return CircuitError(
        f"angle {expression} cannot be used",
        expected="a sum of numbers, weights, features and products of features, each times a number",
    )
