"""Trials are assembled as runs are: one function, the same predictions, each model built once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from study.studies import plan_of, rows

from hybridqies.runs import RunConfig, execute, predict_run, prepare
from hybridqies.study import layout
from hybridqies.study.conduct import run_study
from hybridqies.study.context import TrialContext
from hybridqies.study.kinds.sweep import SWEEP, sweep_trials
from hybridqies.study.layout import Cohorts, config_of
from hybridqies.study.protocol import run_cohort, run_trial
from hybridqies.study.trials.journal import TrialJournal
from hybridqies.tasks import DataOptions
from hybridqies.tasks.text_classification import TextData
from hybridqies.training import TrainingConfig

SETTINGS: dict[str, dict[str, Any]] = {
    "two-module": {"encoders": 1, "encoder.layers": 1},
    "dressed": {"layers": 2},
    "logistic": {"C": 0.5},
}


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("head", SETTINGS)
def test_a_run_and_a_study_of_one_trial_give_the_same_predictions(
    head: str, reviews: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    data = DataOptions(str(reviews), per_class=20)
    training: dict[str, Any] = {"epochs": 4, "learning_rate": 0.02}
    plan = plan_of(
        arms=(head,), qubits=(2,), seeds=(3,), options={head: SETTINGS[head]}, data=data,
        encoder=str(tiny_encoder), training=training,
    )  # fmt: skip
    run_study(SWEEP, plan, tmp_path / "study")
    (record,) = TrialJournal(tmp_path / "study").state().records.values()
    config = RunConfig(
        data=data, encoder=str(tiny_encoder), head=head, n_qubits=None if head == "logistic" else 2,
        settings=SETTINGS[head], compare=(), training=TrainingConfig(seed=3, **training),
    )  # fmt: skip
    prepared = prepare(config)
    texts = prepared.drawn.test.texts
    (result,) = execute(prepared, tmp_path / "run")["results"]
    _, probabilities = predict_run(tmp_path / "run", texts)
    assert tuple(np.argmax(probabilities, axis=1).tolist()) == record.predictions
    for name in ("accuracy", "macro_f1"):
        assert result[name] == record.test[name]
        assert result[f"validation_{name}"] == record.validation[name]
    assert result["log_loss"] == pytest.approx(record.test["log_loss"], abs=1e-6)


def test_the_configuration_of_a_trial_is_that_of_its_run() -> None:
    plan = plan_of(options={"two-module": {"encoders": 1, "training.clip_norm": 0.5}}, qubits=(2,))
    trial = sweep_trials(plan, rows())[0]
    config = config_of(trial, {"constant": 2.0, "training.learning_rate": 0.5})
    assert config.settings == {"encoders": 1, "constant": 2.0}
    assert (config.training.clip_norm, config.training.learning_rate) == (0.5, 0.5)
    assert (config.head, config.n_qubits, config.compare) == ("two-module", 2, ())


def test_each_model_is_built_once_for_the_plan_and_once_for_its_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[str] = []

    def count(config: RunConfig, data: Any) -> Any:
        built.append(config.head)
        return prepare(config, data)

    monkeypatch.setattr(layout, "prepare", count)
    context = rows()
    plan = plan_of(arms=("two-module", "dressed", "matched-mlp"), qubits=(2,), seeds=(0, 1), options={})
    planned = sweep_trials(plan, context)
    cohorts = Cohorts(context)
    for trial in planned:
        cohorts(trial)
    assert sorted(built) == ["dressed", "matched-mlp", "two-module"]
    built.clear()
    run_cohort([trial for trial in planned if trial.arm == "dressed"], context)
    run_trial(planned[0], context)
    assert built == ["dressed", "dressed", "two-module"]


@pytest.mark.usefixtures("own_cache")
def test_planning_embeds_nothing(reviews: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[int] = []
    monkeypatch.setattr(
        TextData,
        "_compute",
        lambda own, texts, _: (embedded.append(len(texts)), torch.rand(len(texts), own.n_inputs))[1],
    )
    plan = plan_of(data=DataOptions(str(reviews), per_class=20), encoder=str(tiny_encoder), qubits=(2,))
    context = TrialContext.load(plan.source)
    sweep_trials(plan, context)
    assert embedded == []
    context.compute_rows(0)
    context.compute_rows(1)
    assert len(embedded) == 1
