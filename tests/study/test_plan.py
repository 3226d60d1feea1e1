"""Plans and trials: content-addressed, complete, through TOML and back, and refused where unfair."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from study.studies import plan_of, rows

from hybridqies.circuit.recipe import MAX_QUBITS
from hybridqies.errors import CapabilityError, InputError, UnknownNameError
from hybridqies.runs.config import DataOptions
from hybridqies.study.arms import ARMS
from hybridqies.study.head_plan import Scaling
from hybridqies.study.kinds.sweep import SweepPlan, sweep_trials
from hybridqies.study.plan_file import plan_to_toml, read_plan


class TestPlan:
    @pytest.mark.parametrize(
        "plan",
        [
            SweepPlan(),
            plan_of(
                budget=3,
                space={"logistic": {"C": {"low": 0.1, "high": 10.0, "log": True}}},
                options={"two-module": {"encoder.layers": 1, 'circuit"s': "a\\b\n"}},
                scaling=Scaling.STANDARD,
                data=DataOptions("a b/ü.csv", per_class=3),
            ),
        ],
    )
    def test_through_toml_and_back(self, plan: SweepPlan, tmp_path: Path) -> None:
        (tmp_path / "study.toml").write_text(plan_to_toml(plan), encoding="utf-8")
        assert read_plan(tmp_path / "study.toml", SweepPlan) == plan

    @pytest.mark.parametrize(
        ("changes", "error", "told"),
        [
            ({"arms": ()}, InputError, "arms were given as"),
            ({"seeds": (1, 1)}, InputError, "each once"),
            ({"qubits": (0,)}, InputError, f"1 to {MAX_QUBITS:,}"),
            ({"budget": 0}, InputError, "search budget of 0"),
            ({"reference": "svc"}, UnknownNameError, "arm of this study 'svc'"),
            ({"options": {"svc": {"C": 1}}}, UnknownNameError, "arm of this study 'svc'"),
            ({"arms": ("logistic", "svm")}, UnknownNameError, "did you mean 'svc'"),
            ({"backend": "ionq:simulator"}, CapabilityError, "is a remote service"),
        ],
    )
    def test_what_is_refused(self, changes: dict[str, Any], error: type[Exception], told: str) -> None:
        with pytest.raises(error, match=told):
            plan_of(**{"options": {}, **changes})

    def test_an_arm_left_unsearched_among_searched_ones(self) -> None:
        with pytest.raises(InputError, match="'logistic' has nothing to search while others try 5"):
            plan_of(budget=5, options={"logistic": {"C": 1.0}})


class TestTrials:
    def test_arms_without_qubits_run_once_a_seed(self) -> None:
        planned = sweep_trials(plan_of(), rows())
        assert len({trial.key for trial in planned}) == len(planned) == 2 * (2 + 2 + 1)
        assert [trial.n_qubits for trial in planned if trial.arm == "logistic"] == [None, None]
        assert {trial.budget for trial in planned} == {1}

    def test_the_key_is_the_content_s(self) -> None:
        trial = sweep_trials(plan_of(), rows())[0]
        again = sweep_trials(plan_of(), rows())[0]
        assert again.key == trial.key
        changes: dict[str, Any] = {
            "arm": "x",
            "head": "x",
            "seed": 9,
            "data": DataOptions("other"),
            "data_fingerprint": "x",
            "encoder": "x",
            "encoder_fingerprint": "x",
            "n_qubits": 9,
            "settings": {"encoders": 2},
            "space": {"C": [1, 2]},
            "budget": 9,
            "scaling": "standard",
            "backend": "aer",
            "task": "x",
            "frozen": ("readout",),
            "tested": False,
            "circuits": "x",
            "protocol": 99,
        }
        assert set(changes) == {field.name for field in dataclasses.fields(trial)}
        keys = {dataclasses.replace(trial, **{name: value}).key for name, value in changes.items()}
        assert len(keys | {trial.key}) == len(changes) + 1

    def test_an_edited_recipe_is_another_trial(self, tmp_path: Path) -> None:
        mine = tmp_path / "mine.toml"
        text = (Path(__file__).parents[2] / "circuits" / "product.toml").read_text()
        keys = set()
        for each in (text, text.replace('{ rotate = "ROT" }', '{ rotate = ["RZ", "RY", "RX"] }')):
            mine.write_text(each)
            plan = plan_of(arms=(f"dressed:{mine}", "logistic"), options={})
            keys.add(sweep_trials(plan, rows())[0].key)
        assert len(keys) == 2

    def test_what_cannot_be_built_is_refused_before_anything_is_trained(self) -> None:
        for options, told in (
            ({"encoders": 0}, "'encoders' was given 0"),
            ({"encoder": 3}, "unknown setting of head 'two-module': 'encoder'"),
            ({"training.epoch": 3}, "did you mean 'epochs'"),
            ({"training.seed": 3}, r"training\.seed was set in a study"),
        ):
            with pytest.raises(InputError, match=told):
                sweep_trials(plan_of(options={"two-module": options}), rows())

    def test_settings_reach_their_arms(self) -> None:
        planned = sweep_trials(plan_of(training={"epochs": 3}, options={"logistic": {"C": 2.0}}), rows())
        assert {trial.settings["training.epochs"] for trial in planned} == {3}
        assert {trial.settings.get("C") for trial in planned} == {None, 2.0}
        assert {trial.arm for trial in planned} <= set(ARMS)
