"""Search: the same number of candidates for every arm, the defaults first, the same ones every time."""

from __future__ import annotations

from typing import Any

import pytest

from hybridqies.errors import InputError, MissingExtraError
from hybridqies.study.search import Choices, Interval, Search, check_searchable, parse_space, plain_space

SPACE: dict[str, Choices | Interval] = {
    "C": Interval(1e-3, 1e3, log=True),
    "kernel": Choices(("rbf", "linear")),
}


def candidates(budget: int, seed: int = 0) -> list[dict[str, Any]]:
    """What is proposed when every second candidate fails and the others do better and better."""
    found = []
    for at, proposal in enumerate(Search(SPACE, budget, seed).candidates()):
        found.append(proposal.options)
        proposal.tell(None if at % 2 else at / budget)
    return found


def test_as_many_as_the_budget_and_the_defaults_first() -> None:
    for budget in (1, 2, 15):
        found = candidates(budget)
        assert len(found) == budget
        assert found[0] == {}
        assert all(1e-3 <= each["C"] <= 1e3 and each["kernel"] in ("rbf", "linear") for each in found[1:])
    assert len({each["C"] for each in candidates(15)[1:]}) == 14


def test_a_seed_proposes_the_same_again() -> None:
    assert candidates(14, 3) == candidates(14, 3)
    assert candidates(14, 3) != candidates(14, 4)


def test_optuna_says_nothing_and_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    from optuna import logging

    before = logging.get_verbosity()
    candidates(3)
    assert logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_spaces_go_through_json() -> None:
    assert parse_space(plain_space(SPACE), "space of") == SPACE


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"C": [1]}, "at least two values"),
        ({"C": {"low": 2, "high": 1}}, "low < high"),
        ({"C": {"low": 0, "high": 1, "log": True}}, "above 0"),
        ({"C": {"lo": 0, "high": 1}}, "did you mean 'low'"),
        ({"C": 3}, "a list of values, or low, high and log"),
    ],
)
def test_what_is_no_space(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_space(given, "search space of 'svc':")


def test_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="1 \\(the defaults\\) or more"):
        check_searchable(0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_searchable(1)
    with pytest.raises(MissingExtraError, match=r"hybridqies\[study\]"):
        check_searchable(2)
