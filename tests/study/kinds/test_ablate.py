"""Ablation: each module is off as its words say, nothing else has changed, and differences are paired."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from study.studies import OPTIONS, QUICK, head_of, parts_of, plan_of, rows, training_of

from hybridqies.circuit import Circuit, Feature
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads.base import Head
from hybridqies.report.studies.ablate import ablation_notes
from hybridqies.report.studies.cells import cells_table, write_differences
from hybridqies.study.kinds.ablate import HEAD, MODULES, WHOLE, AblationPlan, ablation_trials, summarise
from hybridqies.study.kinds.sweep import sweep_trials
from hybridqies.study.plan_file import parse_plan, plan_to_toml, read_plan
from hybridqies.study.protocol import run_trial
from hybridqies.study.trials.journal import StudyState
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.training import CrossEntropy, fit

TEXTS = 400


def ablation_of(**changes: Any) -> AblationPlan:
    base: dict[str, Any] = {"qubits": (4,), "seeds": (0, 1), "data": OPTIONS, "training": QUICK}
    return AblationPlan(**base | changes)


def heads(**changes: Any) -> dict[str, Head]:
    """The whole head as "", and each variant by its module, as training starts with them."""
    plan = ablation_of(**changes)
    planned = ablation_trials(plan, rows())
    return {name: head_of(trial, rows()) for name, trial in zip(("", *plan.modules), planned, strict=False)}


def pairs(circuit: Circuit) -> set[tuple[int, ...]]:
    return {gate.qubits for gate in circuit.gates if len(gate.qubits) > 1}


def uploads(circuit: Circuit) -> int:
    fed = [gate for gate in circuit.gates if any(isinstance(angle, Feature) for angle in gate.angles)]
    return len(fed) // circuit.n_qubits


class TestModules:
    def test_what_is_off_is_off(self) -> None:
        built = heads(options={HEAD: {"reuploads": 3, "layers": 2}})
        whole = built[""].circuits()
        circuits = {name: head.circuits() for name, head in built.items()}
        assert uploads(whole["circuit"]) == 3
        assert uploads(circuits["re-upload"]["circuit"]) == 1
        assert circuits["pqc-2"]["circuit"].n_weights == whole["circuit"].n_weights / 2
        assert uploads(circuits["entanglers"]["circuit"]) == 3
        assert not any(pairs(circuit) for circuit in circuits["entanglers"].values())
        assert len(circuits["entanglers"]["circuit"].observables) == 4
        ring = {(at, (at + 1) % 4) for at in range(4)}
        for circuit in circuits["long-range"].values():
            assert pairs(circuit) == ring
        assert len(pairs(whole["encoder"])) > len(ring)

    def test_what_is_not_named_is_as_before(self) -> None:
        built = heads()
        whole = built[""].circuits()
        for name, same in {
            "encoder": ("encoder", "circuit"),
            "re-upload": ("encoder",),
            "pqc-2": ("encoder",),
            "readout": ("encoder", "circuit"),
        }.items():
            for role in same:
                assert built[name].circuits()[role] == whole[role]
        for name in ("re-upload", "pqc-2", "readout"):
            assert torch.equal(built[name].encoders.weights, built[""].encoders.weights)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("module", "part"), [("encoder", "encoders"), ("readout", "readout")])
    def test_what_is_untrained_stays_as_it_was_drawn(self, module: str, part: str) -> None:
        plan, context = ablation_of(modules=(module,)), rows()
        whole, off = ablation_trials(plan, context)[:2]
        splits = parts_of(context, 0)
        head = head_of(off, context)
        frozen = dict(head.named_parameters())
        before = {name: value.detach().clone() for name, value in frozen.items()}
        fit(head, splits.train, splits.validation, CrossEntropy(), training_of(off, context))
        moved = {name.split(".")[0] for name, value in frozen.items() if not torch.equal(value, before[name])}
        assert moved == {"encoders", "circuit", "readout"} - {part}
        lost = sum(value.numel() for name, value in before.items() if name.startswith(part))
        assert head_of(whole, context).n_trained() - head.n_trained() == lost > 0

    @pytest.mark.parametrize(
        ("changes", "module"),
        [
            ({"options": {HEAD: {"connectivity": 1, "encoder.connectivity": 1}}}, "long-range"),
            ({"options": {HEAD: {"circuit.reuploads": 1}}}, "re-upload"),
            ({"options": {HEAD: {"pqc2": False}}}, "pqc-2"),
        ],
    )
    def test_what_is_off_already_is_refused(self, changes: dict[str, Any], module: str) -> None:
        with pytest.raises(InputError, match=f"{module!r} is off in the whole head already"):
            ablation_trials(ablation_of(**changes), rows())

    def test_only_parts_of_the_head_can_be_frozen(self) -> None:
        trial = dataclasses.replace(ablation_trials(ablation_of(), rows())[0], frozen=("encoder",))
        with pytest.raises(UnknownNameError, match="did you mean 'encoders'"):
            head_of(trial, rows())


class TestPlan:
    def test_through_toml_and_back(self, tmp_path: Path) -> None:
        for plan in (AblationPlan(), ablation_of(modules=("encoder",), options={HEAD: {"encoders": 2}})):
            (tmp_path / "study.toml").write_text(plan_to_toml(plan))
            assert read_plan(tmp_path / "study.toml", AblationPlan) == plan
        with pytest.raises(InputError, match="use: hybridqies sweep"):
            parse_plan('kind = "sweep"', "x", AblationPlan)

    @pytest.mark.parametrize(
        ("changes", "error", "told"),
        [
            ({"modules": ("encoders",)}, UnknownNameError, "did you mean 'encoder'"),
            ({"modules": ()}, InputError, "at least one, each once"),
            ({"modules": ("encoder", "encoder")}, InputError, "at least one, each once"),
            ({"qubits": (4, 6)}, InputError, "at one number of qubits"),
            ({"arms": ("dressed", "two-module")}, InputError, "the arm two-module alone"),
            ({"options": {HEAD: {"circuit": "iqp"}}}, InputError, "recipes of the paper's head"),
        ],
    )
    def test_what_is_refused(self, changes: dict[str, Any], error: type[Exception], told: str) -> None:
        with pytest.raises(error, match=told):
            ablation_of(**changes)

    def test_trials_are_all_different_and_the_whole_is_a_sweep_s(self) -> None:
        planned = ablation_trials(ablation_of(), rows())
        assert len({trial.key for trial in planned}) == len(planned) == 2 * (1 + len(MODULES))
        assert [trial.seed for trial in planned] == [0] * 7 + [1] * 7
        swept = sweep_trials(plan_of(qubits=(4,), options={}), rows())
        assert planned[0].key in {trial.key for trial in swept}

    def test_every_variant_searches_alike_what_means_something(self) -> None:
        planned = ablation_trials(ablation_of(budget=3, seeds=(0,)), rows())
        assert {trial.budget for trial in planned} == {3}
        whole, *variants = planned
        idle = {"encoder": {"training.rates.encoding"}, "entanglers": {"constant"}}
        for name, variant in zip(MODULES, variants, strict=True):
            assert variant.space == {
                k: each for k, each in whole.space.items() if k not in idle.get(name, ())
            }
            assert len(variant.space) == len(whole.space) - len(idle.get(name, ()))
        record = run_trial(planned[1], rows())
        assert len(record.candidates) == 3


def record_of(trial: Trial, accuracy: float) -> TrialRecord:
    right = np.arange(TEXTS) < round(accuracy * TEXTS)
    metrics = {"accuracy": float(right.mean()), "macro_f1": accuracy}
    answers, truth = tuple(right.astype(int).tolist()), (1,) * TEXTS
    return TrialRecord(
        trial.key, trial.to_mapping(), {}, (), metrics, metrics, answers, truth, 9, True, "", 1.0
    )


def recorded(plan: AblationPlan) -> tuple[tuple[Trial, ...], StudyState]:
    """Records where the encoder is worth ten points, and nothing else anything."""
    planned = ablation_trials(plan, rows())
    about = {
        "data": "rows",
        "classes": [0, 1],
        "test_texts": {str(seed): list(range(TEXTS)) for seed in plan.seeds},
    }
    draw, variants = np.random.default_rng(0), 1 + len(plan.modules)
    levels = [0.7 if at % variants == 1 else 0.8 for at in range(len(planned))]
    records = {
        trial.key: record_of(trial, level + draw.uniform(-0.01, 0.01))
        for trial, level in zip(planned, levels, strict=True)
    }
    return planned, StudyState(about, records=records)


class TestResult:
    def test_what_a_module_is_worth(self, tmp_path: Path) -> None:
        plan = ablation_of(seeds=tuple(range(8)))
        planned, state = recorded(plan)
        result = summarise(plan, planned, state)
        assert [cell["module"] for cell in result["cells"]] == [None, *MODULES]
        verdicts = {each["arm"]: each["verdict"] for each in result["comparisons"]}
        labels = [module.label for module in MODULES.values()]
        assert verdicts == {
            label: "worse" if label == labels[0] else "no difference was shown" for label in labels
        }
        lost = result["comparisons"][0]["over_seeds"]["difference"]
        assert lost["low"] < -0.1 < lost["high"]
        assert {each["reference"] for each in result["comparisons"]} == {WHOLE}
        assert {each["left_out"] for each in map(_hashable, result["comparisons"])} == {()}
        assert cells_table(result).row_count == 7
        notes = "\n".join(ablation_notes(result))
        assert "encoder untrained against whole head: worse (−" in notes
        assert "one upload: the features are uploaded once, N = 1." in notes
        write_differences(result, tmp_path / "ablate.png")
        assert (tmp_path / "ablate.png").read_bytes().startswith(b"\x89PNG")

    def test_failures_are_named_and_leave_the_rest(self, tmp_path: Path) -> None:
        plan = ablation_of(seeds=tuple(range(8)), modules=("encoder", "readout"))
        planned, state = recorded(plan)
        for trial in planned[2::3]:
            del state.records[trial.key]
            state.failures[trial.key] = TrialFailure(trial.key, trial.to_mapping(), "MemoryError: large", 1.0)
        result = summarise(plan, planned, state)
        assert [each["arm"] for each in result["comparisons"]] == ["encoder untrained"]
        assert "Failed: readout untrained, seed 3: MemoryError: large" in list(ablation_notes(result))
        for trial in planned[0::3]:
            state.records.pop(trial.key, None)
        nothing = summarise(plan, planned, state)
        assert nothing["comparisons"] == []
        assert cells_table(nothing).row_count == 3
        write_differences(nothing, tmp_path / "ablate.png")
        assert not (tmp_path / "ablate.png").exists()


def _hashable(comparison: dict[str, Any]) -> dict[str, Any]:
    return comparison | {"left_out": tuple(comparison["left_out"])}
