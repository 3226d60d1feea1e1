"""Options: words and mappings become what dataclasses declare."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from hybridqies.errors import (
    InputError,
    UnknownNameError,
)
from hybridqies.options import from_mapping, parse, parse_word, to_mapping, within


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    count: int = 1
    share: float = 0.5
    name: str = "x"
    on: bool = False
    colour: Colour = Colour.RED
    widths: tuple[int, ...] = ()
    limit: int | None = None
    label: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inner: Inner = dataclasses.field(default_factory=Inner)


class TestOptions:
    @pytest.mark.parametrize(
        ("key", "given", "meant"),
        [
            ("count", "3", 3),
            ("share", "3", 3.0),
            ("share", 2, 2.0),
            ("share", "1e-3", 0.001),
            ("on", "true", True),
            ("on", "False", False),
            ("colour", "blue", Colour.BLUE),
            ("colour", Colour.BLUE, Colour.BLUE),
            ("widths", "4,8", (4, 8)),
            ("widths", 4, (4,)),
            ("widths", [4, 8], (4, 8)),
            ("limit", "none", None),
            ("limit", "4", 4),
            ("label", None, None),
            ("label", "word", "word"),
            ("extra", {"a": 1}, {"a": 1}),
            ("inner", {"depth": "4"}, Inner(4)),
        ],
    )
    def test_parsed_to_the_declared_type(self, key: str, given: Any, meant: Any) -> None:
        value = getattr(from_mapping(Outer, {key: given}, what="option"), key)
        assert value == meant
        assert type(value) is type(meant)

    @pytest.mark.parametrize(
        ("key", "given", "expected"),
        [
            ("count", "three", "a whole number"),
            ("count", 1.5, "a whole number"),
            ("count", True, "a whole number"),
            ("share", "nan", "a finite number"),
            ("share", "1e400", "a finite number"),
            ("share", False, "a finite number"),
            ("on", 1, "true or false"),
            ("name", 4, "a word"),
            ("widths", "4,x", "a whole number"),
            ("limit", "x", "a whole number"),
            ("extra", "x", "a mapping"),
            ("inner", "x", "a mapping"),
        ],
    )
    def test_refused_with_what_was_given(self, key: str, given: Any, expected: str) -> None:
        with pytest.raises(InputError) as caught:
            from_mapping(Outer, {key: given}, what="option")
        assert str(caught.value).startswith(f"option {key!r} was given ")
        assert f"expected {expected}" in str(caught.value)

    def test_unknown_keys_and_values_offer_the_nearest(self) -> None:
        for given, near in (
            ({"widhts": 1}, "widths"),
            ({"colour": "bleu"}, "blue"),
            ({"inner": {"dept": 1}}, "depth"),
        ):
            with pytest.raises(UnknownNameError) as caught:
                from_mapping(Outer, given, what="option")
            assert caught.value.nearest == near

    def test_round_trip_through_json(self) -> None:
        config = Outer(3, 0.25, "y", True, Colour.BLUE, (1, 2), 5, None, {"a": (1,)}, Inner(7))
        plain = json.loads(json.dumps(to_mapping(config)))
        assert from_mapping(Outer, plain, what="option") == dataclasses.replace(config, extra={"a": [1]})

    @pytest.mark.parametrize(
        ("word", "value"),
        [("3", 3), ("-3", -3), ("3.0", 3.0), ("1e3", 1000.0), ("TRUE", True), ("ring", "ring"), ("", "")],
    )
    def test_words(self, word: str, value: Any) -> None:
        assert parse_word(word) == value
        assert type(parse_word(word)) is type(value)

    def test_anything_goes_where_anything_is_declared(self) -> None:
        assert parse([1, "x"], Any, "option") == [1, "x"]


@dataclasses.dataclass(frozen=True)
class Numbers:
    count: int = 1
    rate: float = 0.5
    sizes: tuple[int, ...] = ()
    flag: bool = False

    def __post_init__(self) -> None:
        within(self, "option", count=(1, 10), rate=(0.0, 1.0))


def test_scalars_of_numpy_are_plain_options():
    given = {"count": np.int64(3), "rate": np.float32(0.25), "sizes": np.array([2, 3]), "flag": np.True_}
    read = from_mapping(Numbers, given, what="option")
    assert read == Numbers(3, 0.25, (2, 3), True)
    assert json.loads(json.dumps(to_mapping(read))) == to_mapping(Numbers(3, 0.25, (2, 3), True))
    made = Numbers(count=np.int64(3), rate=np.float32(0.25))  # type: ignore[arg-type]
    assert [type(made.count), type(made.rate)] == [int, float]
    assert from_mapping(Numbers, {"rate": np.int8(1)}, what="option").rate == 1.0


@pytest.mark.parametrize(
    "given",
    [
        {"count": np.float64(1.5)},
        {"count": np.array([1, 2])},
        {"rate": np.float64("nan")},
        {"rate": np.True_},
        {"sizes": 1j},
        {"count": "9" * 5000},
    ],
)
def test_what_is_no_number_is_no_option(given):
    with pytest.raises(InputError, match="was given"):
        from_mapping(Numbers, given, what="option")


@pytest.mark.parametrize("given", [{"count": np.int64(11)}, {"rate": np.float32(2.0)}, {"count": "3"}])
def test_bounds_hold_for_what_is_made_directly_too(given):
    with pytest.raises(InputError, match="expected"):
        Numbers(**given)
