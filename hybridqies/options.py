"""Frozen dataclasses as configuration: to and from plain dictionaries, unknown keys refused by name."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from hybridqies.errors import InputError, UnknownNameError

Config = TypeVar("Config")
MOST_NUMBERS = 10_000
"""Numbers of a list or range; more are a slip of the hand."""


def from_mapping(kind: type[Config], values: Mapping[str, Any], *, what: str) -> Config:
    """Builds the frozen dataclass `kind` from `values`.

    `what` names the configuration in messages, as in "training option". Strings
    are parsed to the declared type, so that command-line values need no care.

    Raises
    ------
    UnknownNameError: a key that `kind` doesn't have; the nearest one is offered.
    InputError: a value that is not of the declared type, or a field without a default that is missing.
    """
    values = _parse_mapping(values, what)
    hints = typing.get_type_hints(kind)
    values = _nest(values, hints, what)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    known = [field.name for field in fields]
    for key in values:
        if key not in known:
            raise UnknownNameError(what, key, known)
    for field in fields:
        if _is_required(field) and field.name not in values:
            raise InputError(f"{what} {field.name!r} is missing", expected=", ".join(known))
    return kind(**{key: parse(value, hints[key], f"{what} {key!r}") for key, value in values.items()})


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _nest(values: Mapping[str, Any], hints: Mapping[str, Any], what: str) -> dict[str, Any]:
    """`{"rates.readout": 1}` as `{"rates": {"readout": 1}}`, where the field `rates` is a dataclass."""
    plain: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        field, dot, inner = key.partition(".")
        if dot and dataclasses.is_dataclass(hints.get(field)):
            nested.setdefault(field, {})[inner] = value
        else:
            plain[key] = value
    for field, inside in nested.items():
        whole = plain.get(field, {})
        plain[field] = {**_parse_mapping(whole, f"{what} {field!r}"), **inside}
    return plain


def to_mapping(config: Any) -> dict[str, Any]:
    """The dataclass as a dictionary of JSON values; `from_mapping` gives it back."""
    return {field.name: _to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}


def within(config: Any, what: str, **bounds: tuple[float, float]) -> None:
    """Refuses a field of `config` that lies outside its bounds (both allowed); None and enums pass.

    Called by a configuration when it is made; its NumPy scalars become plain numbers here.

    Raises
    ------
    InputError: naming the field, what it was given, and its bounds.
    """
    for field in dataclasses.fields(config):
        object.__setattr__(config, field.name, plain(getattr(config, field.name)))
    for name, (low, high) in bounds.items():
        value = getattr(config, name)
        if value is not None and not (isinstance(value, int | float) and low <= value <= high):
            raise InputError(
                f"{what} {name!r} was given {value!r}", expected=f"{_short(low)} to {_short(high)}"
            )


def _short(bound: float) -> str:
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


def parse(value: Any, kind: Any, what: str) -> Any:
    """`value` as the type `kind`: a bool, int, float, str, enum, tuple, mapping, dataclass or a union.

    NumPy's scalars, and arrays without an axis, count as the numbers that they hold.
    """
    value = plain(value)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return _parse_union(value, typing.get_args(kind), what)
    if kind is Any:
        return value
    if typing.get_origin(kind) in (dict, Mapping):
        return _parse_mapping(value, what)
    if typing.get_origin(kind) is tuple:
        return _parse_tuple(value, typing.get_args(kind)[0], what)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return (
            value if isinstance(value, kind) else from_mapping(kind, _parse_mapping(value, what), what=what)
        )
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _parse_enum(value, kind, what)
    return _parse_scalar(value, kind, what)


def plain(value: Any) -> Any:
    """A NumPy scalar, or another array of one number without an axis, as Python's own; the rest as it is."""
    if hasattr(value, "dtype") and getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def parse_word(text: str) -> bool | int | float | str:
    """A command-line word as the plainest value it can be: true/false, integer, float, else itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def read_whole(text: str, what: str) -> tuple[int, ...]:
    """Whole numbers: `9`, `2,4,8`, or the range `2:14:2`, whose last number is one if a step ends there.

    Raises
    ------
    InputError: none of these, a range that does not rise, or over MOST_NUMBERS.
    """
    try:
        if ":" in text:
            first, last, *step = (int(part) for part in text.split(":"))
            # Steps that are not positive are refused below: they give no numbers.
            rising = range(first, last + 1, *step) if all(each > 0 for each in step) else ()
            numbers = tuple(itertools.islice(rising, MOST_NUMBERS + 1))
        else:
            numbers = tuple(int(part) for part in text.split(","))
    except (ValueError, TypeError):
        numbers = ()
    if not 0 < len(numbers) <= MOST_NUMBERS:
        raise InputError(
            f"{what} was given {text!r}",
            expected="a whole number, several as 2,4,8, or a rising range as 2:14:2, "
            f"at most {MOST_NUMBERS:,}",
        )
    return numbers


def _parse_union(value: Any, kinds: tuple[Any, ...], what: str) -> Any:
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        if types.NoneType in kinds:
            return None
    chosen = [kind for kind in kinds if kind is not types.NoneType]
    for kind in chosen[:-1]:
        try:
            return parse(value, kind, what)
        except InputError:
            continue
    return parse(value, chosen[-1], what)


def _parse_tuple(value: Any, kind: Any, what: str) -> tuple[Any, ...]:
    if value is None or (isinstance(value, str) and value == "none"):
        value = []
    elif isinstance(value, str):
        value = [part for part in value.split(",") if part]
    elif isinstance(value, int | float):
        value = [value]
    elif not isinstance(value, Iterable):
        raise InputError(f"{what} was given {value!r}", expected="a list")
    return tuple(parse(item, kind, what) for item in value)


def _parse_mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{what} was given {value!r}", expected="a mapping of names to values")
    return value


def _parse_enum(value: Any, kind: type[enum.Enum], what: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise UnknownNameError(
            f"value for {what}:", str(value), [str(member.value) for member in kind]
        ) from None


def _parse_scalar(value: Any, kind: type, what: str) -> Any:
    if isinstance(value, str) and kind is not str:
        value = parse_word(value)
    fits = {
        bool: isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool),
        float: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
        str: isinstance(value, str),
    }[kind]
    if not fits:
        names = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a word"}
        raise InputError(f"{what} was given {value!r}", expected=names[kind])
    return kind(value)


def _to_json(value: Any) -> Any:
    value = plain(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    return value
