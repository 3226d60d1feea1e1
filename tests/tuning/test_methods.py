"""The table of tuning methods, and tunings from flat settings and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.tuning.methods import METHODS
from hybridqies.tuning.spec import FROZEN, TuneBy, Tuning, read_tuning, split_settings, tuning_settings

SETTINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "full": {"last": 2},
    "lora": {"rank": 16, "layers": "query,value", "epochs": 3},
    "lokr": {"rank": 4, "by": "supcon", "temperature": 0.1},
    "quanta": {"axes": "12,8,4", "start": "zero"},
    "circuit": {"circuit": "butterfly", "qubits": 5, "recipe.layers": 2},
}


@pytest.mark.parametrize("method", METHODS)
def test_settings_give_a_tuning_and_back(method: str) -> None:
    tuning = read_tuning(method, SETTINGS[method])
    assert bool(tuning) is (method != "none")
    assert from_mapping(Tuning, to_mapping(tuning), what="tuning option") == tuning
    assert read_tuning(method, tuning_settings(tuning)) == tuning
    assert METHODS[method].what


def test_equal_tunings_have_equal_keys() -> None:
    """Defaults count, whether they were written out or not."""
    assert read_tuning("lora", {"rank": 8}).key == read_tuning("lora", {}).key
    assert read_tuning("lora", {"rank": 9}).key != read_tuning("lora", {}).key


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("lorra", {}, "unknown way of tuning 'lorra'; .* did you mean 'lora'"),
        ("lora", {"axes": "4,4"}, "unknown setting of tuning by 'lora': 'axes'"),
        ("lora", {"rang": 4}, "did you mean 'rank'"),
        ("lora", {"rank": 0}, "'rank' was given 0; expected 1 to"),
        ("full", {"epochs": 0}, "'epochs' was given 0"),
        ("full", {"by": "distance"}, "one of head, linear, pairs, supcon"),
        ("none", {"epochs": 2}, "'epochs' was given, and the encoder is not tuned"),
        (None, {"layers": "query"}, "'layers' was given, and the encoder is not tuned"),
    ],
)
def test_what_does_not_fit(method: str | None, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_tuning(method, settings)


def test_by_what_is_decided_by_the_head() -> None:
    tuning = read_tuning("full", {})
    assert tuning.for_head(is_solved=False).by is TuneBy.HEAD
    assert tuning.for_head(is_solved=True).by is TuneBy.LINEAR
    assert not tuning.for_head(is_solved=False).is_first
    assert tuning.for_head(is_solved=True).is_first
    contrast = replace(tuning, by=TuneBy.PAIRS)
    assert contrast.for_head(is_solved=False) == contrast == contrast.for_head(is_solved=True)
    assert FROZEN.for_head(is_solved=True) == FROZEN
    with pytest.raises(InputError, match="tuned by a head that is solved"):
        replace(tuning, by=TuneBy.HEAD).for_head(is_solved=True)


def test_settings_of_tuning_are_told_apart() -> None:
    given = {"tune.rank": 4, "tune__last": 1, "layers": 2, "tuned": 3}
    assert split_settings(given) == ({"rank": 4, "last": 1}, {"layers": 2, "tuned": 3})


def test_no_such_name_is_known_elsewhere() -> None:
    with pytest.raises(UnknownNameError):
        Tuning("sft")
