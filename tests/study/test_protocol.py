"""The protocol: one budget, scaling on train, choice on validation, one look at the test set."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import pytest
import torch
from study.studies import QUICK, parts_of, plan_of, rows

from hybridqies.errors import InputError
from hybridqies.study import protocol
from hybridqies.study.context import TrialContext
from hybridqies.study.head_plan import Scaling
from hybridqies.study.kinds.sweep import sweep_trials
from hybridqies.study.layout import Cohorts
from hybridqies.study.protocol import attempt, run_cohort, run_trial
from hybridqies.study.scaling import Scaler, fit_scaler
from hybridqies.study.seal import Reading, SealedTest, SealError
from hybridqies.study.trials.outcome import TrialFailure
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.tasks.feature_classification import FeatureData
from hybridqies.training import Labelled, Rows

WIDTHS = {"mlp-48": {"widths": [4, 8, 12, 16, 20, 24], "training.learning_rate": [0.01, 0.02]}}


def leaking(context: TrialContext, seed: int, size: float = 4.0) -> TrialContext:
    """The label written into the last column of the test rows of `seed` alone."""
    clean = context.data
    assert isinstance(clean, FeatureData)
    features = clean.features.clone()
    sealed = context.test_places(seed)
    labels = torch.tensor([clean.dataset.train.labels[at] for at in sealed])
    features[sealed, -1] = size * (2.0 * labels - 1)
    leaky = FeatureData("rows", features, clean.dataset.train.labels, clean.options)  # type: ignore[arg-type]
    # Under the name of the clean rows, or the trial would refuse it.
    leaky.__dict__["fingerprints"] = clean.fingerprints
    return TrialContext(leaky)


def searched_trials(arms: tuple[str, ...], seeds: tuple[int, ...], budget: int) -> tuple[Trial, ...]:
    space = {name: WIDTHS[name] for name in arms if name in WIDTHS}
    plan = plan_of(
        arms=arms, reference=arms[0], seeds=seeds, budget=budget, space=space, qubits=(2,), options={}
    )
    return sweep_trials(plan, rows())


class TestSeal:
    def test_a_second_reading_is_refused(self) -> None:
        sealed = SealedTest(parts_of(rows(), 0).test)
        reading = sealed.measure(lambda test: Reading({"accuracy": 0.5}, (0,) * len(test)))
        assert reading == Reading({"accuracy": 0.5}, (0,) * 100)
        with pytest.raises(SealError, match="a second time"):
            sealed.measure(lambda test: Reading({}))

    def test_a_trial_reads_once_after_all_training(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        read, train = SealedTest.measure, protocol.fit  # type: ignore[attr-defined]
        monkeypatch.setattr(SealedTest, "measure", lambda *given: (calls.append("test"), read(*given))[1])
        monkeypatch.setattr(protocol, "fit", lambda *given: (calls.append("train"), train(*given))[1])
        run_trial(searched_trials(("logistic",), (0,), 5)[0], rows())
        assert calls == ["train"] * 5 + ["test"]


class TestLeak:
    def test_selection_does_not_see_it(self) -> None:
        clean, seeds = rows(), tuple(range(4))
        accuracies: dict[str, list[float]] = {"clean": [], "leaking": [], "by the test set": []}
        for trial in searched_trials(("mlp-48", "svc", "logistic"), seeds, 4):
            leaky = leaking(clean, trial.seed)
            without, with_leak = run_trial(trial, clean), run_trial(trial, leaky)
            assert with_leak.chosen == without.chosen
            assert with_leak.candidates == without.candidates
            if trial.head in ("svc", "logistic"):
                # Their answers have no random part that the leak could move.
                assert with_leak.test["accuracy"] <= without.test["accuracy"]
            if trial.arm == "mlp-48":
                accuracies["clean"].append(without.test["accuracy"])
                accuracies["leaking"].append(with_leak.test["accuracy"])
                accuracies["by the test set"].append(max(of_each_candidate(trial, with_leak, leaky)))
        means = {name: statistics.mean(values) for name, values in accuracies.items()}
        assert means["leaking"] <= means["clean"]
        # It is worth peeking at: who chose by the test set would report more.
        assert means["by the test set"] > means["leaking"]


def of_each_candidate(trial: Trial, record: TrialRecord, context: TrialContext) -> list[float]:
    """The test accuracy of every candidate, as somebody would know who peeks."""
    found = []
    for candidate in record.candidates:
        alone = dataclasses.replace(
            trial, settings={**trial.settings, **candidate["options"]}, space={}, budget=1
        )
        found.append(run_trial(alone, context).test["accuracy"])
    return found


class TestScaling:
    def test_fitted_on_train_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        context = rows()
        seen: list[Rows] = []
        fit = Scaler.fit
        monkeypatch.setattr(Scaler, "fit", lambda given: (seen.append(given), fit(given))[1])
        plan = plan_of(arms=("logistic", "svc"), scaling=Scaling.STANDARD, options={}, seeds=(3,))
        for trial in sweep_trials(plan, context):
            run_trial(trial, context)
        assert len(seen) == 2
        for given in seen:
            assert given.fingerprint == parts_of(context, 3).train.fingerprint

    def test_what_it_does(self) -> None:
        given = Labelled(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([0, 1]))
        scaled = Scaler.fit(given)(given)
        assert scaled[slice(None)].inputs.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
        assert fit_scaler(Scaling.NONE, given) is None

    def test_what_is_no_numbers_is_refused(self) -> None:
        words = Labelled(torch.tensor([[1, 5]]), torch.tensor([0]))
        with pytest.raises(InputError, match="which an encoder reads; expected --scaling none"):
            fit_scaler(Scaling.STANDARD, words)


class TestTrial:
    def test_the_best_on_validation_is_what_is_tested(self) -> None:
        context = rows()
        record = run_trial(searched_trials(("svc",), (1,), 8)[0], context)
        scores = [(each["validation_accuracy"], -each["validation_log_loss"]) for each in record.candidates]
        chosen = record.candidates[scores.index(max(scores))]
        assert record.chosen == chosen["options"]
        assert record.validation["accuracy"] == chosen["validation_accuracy"]
        right = [a == b for a, b in zip(record.predictions, record.truth, strict=True)]
        assert sum(each["n"] for each in record.reliability) == len(right)
        assert sum(each["n"] * each["accuracy"] for each in record.reliability) == pytest.approx(sum(right))
        assert all(0.5 <= each["confidence"] <= 1 for each in record.reliability)
        assert record.n_inputs == context.data.features.shape[1]  # type: ignore[attr-defined]
        assert statistics.mean(right) == pytest.approx(record.test["accuracy"])

    def test_the_same_numbers_again(self) -> None:
        context = rows()
        for trial in sweep_trials(plan_of(qubits=(2,), seeds=(0,)), context):
            assert run_trial(trial, context).same_numbers(run_trial(trial, rows()))

    def test_every_arm_of_a_seed_has_the_same_parts(self) -> None:
        context = rows()
        truths = {run_trial(trial, context).truth for trial in sweep_trials(plan_of(seeds=(4,)), context)}
        assert len(truths) == 1
        split = parts_of(context, 4)
        assert (len(split.train.labels), len(split.validation.labels)) == (42, 18)

    def test_a_candidate_that_diverges_is_none_to_choose(self, monkeypatch: pytest.MonkeyPatch) -> None:
        train, calls = protocol.fit, [0]  # type: ignore[attr-defined]

        def fail_first(*given: Any) -> Any:
            calls[0] += 1
            if calls[0] == 1:
                raise InputError("the training loss became nan in epoch 1")
            return train(*given)

        monkeypatch.setattr(protocol, "fit", fail_first)
        record = run_trial(searched_trials(("logistic",), (0,), 3)[0], rows())
        assert record.candidates[0] == {"options": {}, "error": "the training loss became nan in epoch 1"}
        assert record.chosen in [each["options"] for each in record.candidates[1:]]

    def test_a_failure_keeps_its_error_and_no_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IONQ_API_KEY", "s3cr3t")

        def fail(*given: Any, **more: Any) -> Any:
            raise RuntimeError("the key s3cr3t is not known")

        monkeypatch.setattr(protocol, "fit", fail)
        trial = searched_trials(("logistic",), (0,), 1)[0]
        (outcome,) = attempt([trial], rows())
        assert isinstance(outcome, TrialFailure)
        assert outcome.error == "RuntimeError: the key *** is not known"

    def test_other_data_is_refused(self) -> None:
        trial = searched_trials(("logistic",), (0,), 1)[0]
        with pytest.raises(InputError, match="the encoder is not what the study began with"):
            run_trial(trial, rows(seed=1))


class TestCohorts:
    """Trials that differ in their seed alone train together, and are none the worse for it."""

    def cohort(self, arm: str, seeds: int = 5, **changes: Any) -> tuple[Trial, ...]:
        plan = plan_of(
            arms=(arm,), reference=arm, qubits=(2,), seeds=tuple(range(seeds)), options={}, **changes
        )
        return sweep_trials(plan, rows())

    @pytest.mark.parametrize("arm", ["dressed", "mlp-0", "mlp-48"])
    def test_the_same_record_to_the_last_bit_whoever_is_in_it(self, arm: str) -> None:
        context, group = rows(), self.cohort(arm, training={**QUICK, "clip_norm": 0.5})
        name = Cohorts(context)
        assert len({name(trial) for trial in group}) == 1
        alone = [run_trial(trial, context) for trial in group]
        for some in (group, group[3:], group[1:2]):
            for trial, record in zip(some, run_cohort(some, context), strict=True):
                assert record.same_numbers(alone[trial.seed])
                assert record.key == trial.key

    def test_a_search_and_a_head_that_cannot_be_stacked_go_alone(self) -> None:
        name = Cohorts(rows())
        alone = [
            *self.cohort("two-module"),
            *self.cohort("logistic"),
            *self.cohort("mlp-48", budget=2),
            *self.cohort("dressed", backend="statevector,shots=64"),
        ]
        assert [name(trial) for trial in alone] == [trial.key for trial in alone]
        dropped = dataclasses.replace(self.cohort("mlp-48", 1)[0], settings={"widths": 4, "dropout": 0.2})
        assert name(dropped) == dropped.key

    def test_arms_and_options_are_cohorts_of_their_own(self) -> None:
        name = Cohorts(rows())
        groups = [
            self.cohort("dressed"),
            self.cohort("mlp-48"),
            self.cohort("mlp-96"),
            self.cohort("mlp-48", training={**QUICK, "epochs": 7}),
        ]
        assert [len({name(trial) for trial in group}) for group in groups] == [1, 1, 1, 1]
        assert len({name(group[0]) for group in groups}) == 4

    def test_one_that_diverges_takes_nobody_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        context, group, stack = rows(), self.cohort("mlp-48", 3), protocol.fit_many  # type: ignore[attr-defined]
        expected = [run_trial(trial, context) for trial in group]

        def diverging(trainings: Any) -> Any:
            told = InputError("the training loss became nan in epoch 2")
            return tuple(
                told if each.config.seed == 1 else outcome
                for each, outcome in zip(trainings, stack(trainings), strict=True)
            )

        monkeypatch.setattr(protocol, "fit_many", diverging)
        first, failed, last = attempt(group, context)
        for outcome, record in ((first, expected[0]), (last, expected[2])):
            assert isinstance(outcome, TrialRecord)
            assert outcome.same_numbers(record)
        assert isinstance(failed, TrialFailure)
        assert failed.key == group[1].key
        assert failed.error == (
            "InputError: none of 1 candidates could be trained: the training loss became nan in epoch 2"
        )

    def test_an_error_at_the_test_set_is_one_trial_s_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        measure, readings = SealedTest.measure, []

        def failing(*given: Any) -> Any:
            readings.append(given)
            if len(readings) == 2:
                raise RuntimeError("no memory")
            return measure(*given)

        monkeypatch.setattr(SealedTest, "measure", failing)
        first, failed, last = attempt(self.cohort("mlp-48", 3), rows())
        assert isinstance(first, TrialRecord)
        assert isinstance(last, TrialRecord)
        assert isinstance(failed, TrialFailure)
        assert failed.error == "RuntimeError: no memory"
        assert len(readings) == 3

    def test_a_stack_that_is_broken_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(trainings: Any) -> Any:
            raise TypeError("a bug")

        monkeypatch.setattr(protocol, "fit_many", broken)
        outcomes = attempt(self.cohort("mlp-48", 2), rows())
        assert [getattr(each, "error", None) for each in outcomes] == ["TypeError: a bug"] * 2

    def test_each_reads_its_own_test_part_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        measure, stack = SealedTest.measure, protocol.fit_many  # type: ignore[attr-defined]
        monkeypatch.setattr(SealedTest, "measure", lambda *given: (calls.append("test"), measure(*given))[1])
        monkeypatch.setattr(protocol, "fit_many", lambda given: (calls.append("train"), stack(given))[1])
        run_cohort(self.cohort("mlp-48", 3), rows())
        assert calls == ["train", "test", "test", "test"]


class TestConvergence:
    def test_a_solver_says_so_itself(self) -> None:
        plan = plan_of(
            arms=("logistic", "svc"), seeds=(0,), options={"logistic": {"max_iterations": 1, "C": 1000.0}}
        )
        cut, whole = (run_trial(trial, rows()) for trial in sweep_trials(plan, rows()))
        assert not cut.converged
        assert "failed to converge" in cut.convergence
        assert whole.converged


def test_records_go_through_json() -> None:
    import json

    trial = searched_trials(("svc",), (0,), 2)[0]
    record = run_trial(trial, rows())
    assert TrialRecord.from_mapping(json.loads(json.dumps(record.to_mapping()))) == record
    again = Trial.from_mapping(json.loads(json.dumps(trial.to_mapping())))
    assert (again, again.key) == (trial, trial.key)


def test_predictions_are_of_the_tested_rows() -> None:
    """`test_places` numbers the rows that the sealed part has, in its order."""
    context = rows()
    assert isinstance(context.data, FeatureData)
    seen: list[Any] = []
    SealedTest(parts_of(context, 2).test).measure(lambda test: (seen.append(test), Reading({}))[1])
    assert torch.equal(seen[0].inputs, context.data.features[context.test_places(2)])


def test_other_circuits_are_not_trained_under_a_trials_name() -> None:
    planned = sweep_trials(plan_of(arms=("two-module", "logistic"), qubits=(2,), seeds=(0,)), rows())[0]
    assert planned.circuits
    edited = dataclasses.replace(planned, circuits="0" * 64)
    with pytest.raises(InputError, match="the circuits of arm 'two-module' are not those"):
        run_trial(edited, rows())
