"""The table of study kinds: every row is complete, and its flags are its plan's fields."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hybridqies.cli.studies import commands, plan_from_flags
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import read_whole
from hybridqies.report.studies import report_of
from hybridqies.study.kinds import STUDIES, StudyKind
from hybridqies.study.kinds.kind import read_seeds, show_seeds, show_whole
from hybridqies.study.plan_file import parse_plan, plan_to_toml

KINDS = pytest.mark.parametrize("kind", STUDIES.values(), ids=STUDIES)


@KINDS
def test_no_flags_give_the_plan_s_defaults(kind: StudyKind[Any]) -> None:
    plan = plan_from_flags(kind, {})
    assert plan == kind.plan()
    assert parse_plan(plan_to_toml(plan), "x", kind.plan) == plan
    assert plan.kind == kind.name


@KINDS
def test_a_default_is_shown_as_one_would_type_it(kind: StudyKind[Any]) -> None:
    plan = kind.plan()
    for flag in kind.flags:
        if flag.repeated or flag.name == "reference":
            continue
        assert flag.read(flag.show(getattr(plan, flag.field))) == getattr(plan, flag.field)
    assert {flag.field for flag in kind.flags} <= {each.name for each in dataclasses.fields(kind.plan)}


@KINDS
def test_every_kind_has_a_report_and_a_command(kind: StudyKind[Any]) -> None:
    report = report_of(kind.name)
    assert all(map(callable, (report.table, report.notes, report.write_plot)))
    assert (report.costs is None) == (kind.costs is None)
    assert kind.about in str(commands()[kind.command].__doc__)


@pytest.mark.parametrize(
    ("text", "numbers", "shown"),
    [
        ("9", (9,), "9"),
        ("2,4,9", (2, 4, 9), "2,4,9"),
        ("2:8:2", (2, 4, 6, 8), "2:8:2"),
        ("1:3", (1, 2, 3), "1:3"),
    ],
)
def test_whole_numbers(text: str, numbers: tuple[int, ...], shown: str) -> None:
    assert read_whole(text, "--qubits") == numbers
    assert show_whole(numbers) == shown


@pytest.mark.parametrize("text", ["", ",", "x", "3:1", "1:9:0", "1:1000000000000000000000000", "1.5"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(InputError, match="--qubits was given"):
        read_whole(text, "--qubits")


def test_seeds() -> None:
    assert read_seeds("3") == (0, 1, 2)
    assert read_seeds("5,3") == (5, 3)
    assert (show_seeds((0, 1, 2)), show_seeds((5, 3))) == ("3", "5,3")
    for text in ("0", "-1", "", "1000000000"):
        with pytest.raises(InputError, match="--seeds was given"):
            read_seeds(text)


class TestReference:
    def test_one_arm_alone_is_its_own_reference(self) -> None:
        plan = plan_from_flags(STUDIES["sweep"], {"arms": "two-module"})
        assert (plan.arms, plan.reference) == (("two-module",), "two-module")
        assert STUDIES["sweep"].family(plan) == 0

    def test_logistic_where_it_is_among_the_arms(self) -> None:
        kind = STUDIES["sweep"]
        assert plan_from_flags(kind, {"arms": "svc,logistic"}).reference == "logistic"
        assert plan_from_flags(kind, {"arms": "dressed,svc"}).reference == "dressed"
        assert plan_from_flags(kind, {"arms": "dressed,svc", "reference": "svc"}).reference == "svc"
        with pytest.raises(UnknownNameError, match="arm of this study 'svc'"):
            plan_from_flags(kind, {"arms": "dressed", "reference": "svc"})

    def test_a_matched_arm_needs_what_it_matches(self) -> None:
        with pytest.raises(InputError, match="expected a quantum arm among the arms"):
            plan_from_flags(STUDIES["sweep"], {"arms": "matched-mlp"})

    @pytest.mark.parametrize("arms", ["", ",", "two-module,,svc", " "])
    def test_empty_names(self, arms: str) -> None:
        with pytest.raises(InputError, match="--arms was given"):
            plan_from_flags(STUDIES["sweep"], {"arms": arms})


class TestFamily:
    def test_a_sweep_counts_what_is_tested_together(self) -> None:
        kind = STUDIES["sweep"]
        given = {"arms": "two-module,matched-mlp,svc,logistic", "qubits": "2,4,6"}
        assert kind.family(plan_from_flags(kind, given)) == 3 + 3 + 1
        assert kind.family(plan_from_flags(kind, given | {"reference": "two-module"})) == 3

    def test_others(self) -> None:
        assert STUDIES["ablate"].family(STUDIES["ablate"].plan()) == 6
        assert STUDIES["screen"].family(STUDIES["screen"].plan()) == 0
