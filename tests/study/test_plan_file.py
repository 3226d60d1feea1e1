"""Plans from TOML: through it and back, and every fault of a file is one error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from study.studies import plan_of

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.study.kinds.screen import ScreenPlan
from hybridqies.study.kinds.sweep import SweepPlan
from hybridqies.study.plan_file import parse_plan, plan_to_toml, read_plan


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no valid TOML"):
        parse_plan("arms = [", "x", SweepPlan)
    with pytest.raises(UnknownNameError, match="did you mean 'seeds'"):
        parse_plan("seed = [1]", "x", SweepPlan)
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "none.toml", SweepPlan)
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path, SweepPlan)


def test_kinds_go_to_their_command() -> None:
    with pytest.raises(InputError, match="use: hybridqies screen"):
        parse_plan('kind = "screen"', "x", SweepPlan)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[space.logistic]\nC = { low = 0.1 }", "'high' is missing; expected low, high, log"),
        ("[space.logistic]\nC = { high = 0.1 }", "'low' is missing"),
        ("[space.logistic]\nC = {}", "'low' is missing"),
        ("[space.logistic]\nC = { low = { a = 1 }, high = 2 }", "expected a finite number"),
        ("[space.logistic]\nC = [[1, 2], [3]]", "expected numbers, words, true or false"),
        ("[space.logistic]\nC = [{ a = 1 }, 2]", "expected numbers, words, true or false"),
        ("[space.logistic]\nC = [nan, 2]", "expected a finite number, a word"),
        ("[space]\nlogistic = 3", "expected a mapping of names to values"),
        ("[options]\nlogistic = 3", "expected a mapping of names to values"),
        ("options = [1]", "expected a mapping of names to values"),
        ("[training]\nepochs = 1979-05-27", "expected a finite number, a word"),
        ("arms = 3", "expected a word"),
        ("arms = [[1]]", "expected a word"),
        ("seeds = ['a']", "expected a whole number"),
        ("seeds = [-1]", "expected 0 to 4,294,967,295"),
        ("seeds = []", "expected at least one, each once"),
        ("budget = 1e400", "expected a whole number"),
        ("kind = 3", "expected a word"),
        ("[data]\nper_clas = 3", "did you mean 'per_class'"),
        ("a" + ".a" * 5000 + " = 1", "nests tables more than"),
        ("[" + "a." * 5000 + "a]", "nests tables more than"),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("[options.logistic]\nC = " + "[" * 50 + "]" * 50, "nests tables more than"),
    ],
)
def test_odd_content_is_one_error(text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        parse_plan(text, "x", SweepPlan)
    assert told in str(error.value)
    assert len(str(error.value)) < 500


def test_a_space_is_checked_even_where_nothing_is_searched() -> None:
    with pytest.raises(InputError, match="'high' is missing"):
        plan_of(space={"logistic": {"C": {"low": 1.0}}})


def test_numpy_scalars_are_numbers() -> None:
    plain = plan_of(qubits=(2,), seeds=(0, 1), training={"epochs": 3}, options={"logistic": {"C": 0.5}})
    given = plan_of(
        qubits=(np.int64(2),),
        seeds=tuple(np.arange(2)),
        budget=np.int64(1),
        training={"epochs": np.int32(3)},
        options={"logistic": {"C": np.float64(0.5)}},
    )
    assert given == plain
    assert plan_to_toml(given) == plan_to_toml(plain)
    factors = ScreenPlan(factors={"layers": [np.int64(1), np.int64(2)], "reuploads": [1, 2]}).to_mapping()
    assert factors["factors"]["layers"] == [1, 2]
