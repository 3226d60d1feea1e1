"""Heads trained in a stack: what each would be alone, and to the last bit whoever is in the stack with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from built_heads import built_head
from torch import nn

from hybridqies.backends import QuantumLayer, load_backend
from hybridqies.circuit import load_circuit
from hybridqies.errors import InputError
from hybridqies.training import (
    ClassWeights,
    CrossEntropy,
    Labelled,
    Outcome,
    Rates,
    SelectOn,
    Training,
    TrainingConfig,
    fit_many,
    stacked,
    why_alone,
)
from hybridqies.training.objectives import Solvable
from hybridqies.training.stacked import _StackedCircuits
from hybridqies.training.steps import draw_batches

D, K, ROWS = 7, 3, 45
QUICK = TrainingConfig(epochs=4, batch_size=16, learning_rate=0.05)
HEADS: dict[str, dict[str, Any]] = {
    "dressed": {"n_qubits": 3},
    "mlp": {"widths": (17, 5)},
}
CONFIGS = {
    "plain": QUICK,
    "weighted, smoothed, clipped": dataclasses.replace(
        QUICK,
        class_weights=ClassWeights.BALANCED,
        label_smoothing=0.1,
        clip_norm=0.2,
        weight_decay=0.3,
        batch_size=13,
    ),
    "patient": dataclasses.replace(QUICK, epochs=9, learning_rate=0.4, patience=2),
}


def data(rows: int, seed: int, width: int = D) -> Labelled:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(K, (rows,), generator=draw)
    return Labelled(torch.randn(rows, width, generator=draw) + torch.eye(K, width)[labels], labels)


def a_training(
    name: str, seed: int, config: TrainingConfig, *, double: bool = False, width: int = D
) -> Training:
    head = built_head(name, width, K, seed, **HEADS[name])
    parts = [data(ROWS, seed, width), data(19, seed + 100, width)]
    if double:
        head = head.double()
        parts = [Labelled(part.inputs.double(), part.labels) for part in parts]
    objective = CrossEntropy.of(config, parts[0], K)
    return Training(head, parts[0], parts[1], objective, dataclasses.replace(config, seed=seed))


def alone(training: Training) -> Outcome:
    return training.fit()


def train_stack(trainings: Sequence[Training]) -> list[Outcome]:
    """`fit_many`, of trainings that all come through."""
    outcomes = [each for each in fit_many(trainings) if isinstance(each, Outcome)]
    assert len(outcomes) == len(trainings)
    return outcomes


def numbers(outcome: Outcome) -> tuple[int, list[dict[str, Any]]]:
    """Everything but the time."""
    plain = [{key: each for key, each in record.items() if key != "seconds"} for record in outcome.history]
    return outcome.best_epoch, plain


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("name", HEADS)
class TestEachHead:
    def test_what_it_would_be_alone(self, name: str, config: TrainingConfig) -> None:
        """In double precision, every epoch, and the weights that are kept."""
        if config.class_weights is ClassWeights.BALANCED:
            # The loss takes weights of its own precision alone, and class weights are single.
            config = dataclasses.replace(config, class_weights=ClassWeights.NONE)
        stack, singles = ([a_training(name, s, config, double=True) for s in range(3)] for _ in range(2))
        for mine, theirs, outcome in zip(stack, singles, train_stack(stack), strict=True):
            expected = alone(theirs)
            assert outcome.best_epoch == expected.best_epoch
            assert len(outcome.history) == len(expected.history)
            for ours, other in zip(outcome.history, expected.history, strict=True):
                assert list(ours) == list(other)
                for key in set(ours) - {"seconds"}:
                    assert ours[key] == pytest.approx(other[key], abs=1e-9), key
            torch.testing.assert_close(mine.head.state_dict(), theirs.head.state_dict(), atol=1e-9, rtol=1e-9)
            assert not mine.head.training

    def test_to_the_last_bit_whoever_is_beside_it(self, name: str, config: TrainingConfig) -> None:
        # Wide matrices are multiplied in another way, whatever the configuration.
        for width in (7, 385) if config is QUICK else (7,):
            one = [a_training(name, seed, config, width=width) for seed in range(5)]
            expected = [numbers(train_stack([each])[0]) for each in one]
            for seeds in ((0, 1, 2, 3, 4), (3, 1), (4, 0, 2)):
                stack = [a_training(name, seed, config, width=width) for seed in seeds]
                for seed, training, outcome in zip(seeds, stack, train_stack(stack), strict=True):
                    assert numbers(outcome) == expected[seed]
                    assert same_bits(training.head, one[seed].head)


def test_class_weights_are_those_of_each_head_s_rows() -> None:
    config = dataclasses.replace(CONFIGS["weighted, smoothed, clipped"], epochs=2)
    stack, singles = ([a_training("mlp", seed, config) for seed in range(3)] for _ in range(2))
    counts = [torch.bincount(each.training.labels, minlength=K).tolist() for each in stack]
    assert len({tuple(each) for each in counts}) == 3
    for outcome, single in zip(train_stack(stack), singles, strict=True):
        for ours, theirs in zip(outcome.history, alone(single).history, strict=True):
            assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)


def test_early_stops_are_each_head_s_own() -> None:
    stack = [a_training("mlp", seed, CONFIGS["patient"]) for seed in range(5)]
    outcomes = train_stack(stack)
    lengths = [len(outcome.history) for outcome in outcomes]
    assert len(set(lengths)) > 1
    for outcome, length in zip(outcomes, lengths, strict=True):
        assert length == min(outcome.best_epoch + 2, 9)
        assert [record["epoch"] for record in outcome.history] == list(range(1, length + 1))


def test_what_becomes_of_a_head_that_is_over_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = train_stack([a_training("mlp", seed, CONFIGS["patient"]) for seed in range(5)])
    lengths = [len(outcome.history) for outcome in expected]
    first = lengths.index(min(lengths))
    stack = [a_training("mlp", seed, CONFIGS["patient"]) for seed in range(5)]

    def ordered(config: TrainingConfig, epoch: int, n_rows: int) -> Any:
        if epoch == lengths[first]:
            stack[first].training.inputs.fill_(float("nan"))
        return draw_batches(config, epoch, n_rows)

    monkeypatch.setattr(stacked, "draw_batches", ordered)
    for outcome, single in zip(train_stack(stack), expected, strict=True):
        assert numbers(outcome) == numbers(single)


@pytest.mark.parametrize("rule", list(SelectOn))
def test_what_is_kept_is_what_was_measured(rule: SelectOn) -> None:
    config = dataclasses.replace(QUICK, epochs=10, learning_rate=0.3, select_on=rule)
    stack = [a_training("dressed", seed, config) for seed in range(3)]
    for training, outcome in zip(stack, train_stack(stack), strict=True):
        assert training.validation is not None
        kept = outcome.history[outcome.best_epoch - 1]
        with torch.no_grad():
            logits = training.head(training.validation.inputs)
        assert kept["validation_log_loss"] == pytest.approx(
            float(nn.functional.cross_entropy(logits, training.validation.labels)), abs=1e-6
        )


@pytest.mark.parametrize("part", ["squeeze", "circuit", "readout"])
def test_frozen_parts_stay_as_they_are(part: str) -> None:
    stack = [a_training("dressed", seed, QUICK) for seed in range(2)]
    before = []
    for training in stack:
        training.head.get_submodule(part).requires_grad_(False)
        before.append({name: value.clone() for name, value in training.head.named_parameters()})
    train_stack(stack)
    for training, start in zip(stack, before, strict=True):
        moved = {
            name.partition(".")[0]
            for name, value in training.head.named_parameters()
            if not torch.equal(value, start[name])
        }
        assert moved == {"squeeze", "circuit", "readout"} - {part}


def test_each_part_has_its_learning_rate() -> None:
    for part in ("circuit", "readout"):
        rates = {part: 0.01, **({"circuit": 1e-12} if part == "readout" else {"readout": 1e-12})}
        config = dataclasses.replace(
            QUICK, epochs=1, learning_rate=rates["circuit"], rates=Rates(readout=rates["readout"])
        )
        stack = [a_training("dressed", seed, config) for seed in range(2)]
        before = [training.head.get_submodule(part).state_dict() for training in stack]
        start = [{key: value.clone() for key, value in each.items()} for each in before]
        train_stack(stack)
        for training, values in zip(stack, start, strict=True):
            for key, value in training.head.get_submodule(part).state_dict().items():
                assert not torch.allclose(value, values[key], atol=1e-7, rtol=0)


def test_without_validation_the_last_epoch_is_kept() -> None:
    stack = [dataclasses.replace(a_training("mlp", seed, QUICK), validation=None) for seed in range(2)]
    for outcome in train_stack(stack):
        assert outcome.best_epoch == 4
        assert "validation_accuracy" not in outcome.history[0]


def test_they_share_the_time() -> None:
    outcomes = train_stack([a_training("mlp", seed, QUICK) for seed in range(2)])
    assert (
        outcomes[0].seconds
        == outcomes[1].seconds
        == pytest.approx(outcomes[0].history[-1]["seconds"], abs=1e-3)
    )


@pytest.mark.parametrize("copies", [None, 2])
def test_circuits_side_by_side(copies: int | None) -> None:
    """Values and slopes of three layers in one call, against each by itself."""
    circuit = load_circuit("long-range-reupload", 3)
    draw = torch.Generator().manual_seed(0)
    layers = [QuantumLayer(circuit, copies=copies, generator=draw, dtype=torch.float64) for _ in range(3)]
    shape = (4, circuit.n_features) if copies is None else (4, copies, circuit.n_features)
    inputs = [torch.randn(shape, generator=draw, dtype=torch.float64, requires_grad=True) for _ in layers]
    together = _StackedCircuits(layers)
    joined = torch.cat([each.detach() for each in inputs]).requires_grad_()
    values = together(joined)
    slopes = torch.randn(values.shape, generator=draw, dtype=torch.float64)
    values.backward(slopes)
    singles = [layer(each) for layer, each in zip(layers, inputs, strict=True)]
    torch.autograd.backward(singles, list(slopes.chunk(3)))
    torch.testing.assert_close(values, torch.cat(singles))
    torch.testing.assert_close(
        joined.grad, torch.cat([each.grad for each in inputs if each.grad is not None])
    )
    torch.testing.assert_close(together.weights.grad, torch.stack([each.weights.grad for each in layers]))


class Shifted(nn.Module):
    """A head with a parameter that no layer has."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, K)
        self.shift = nn.Parameter(torch.zeros(K))


class TestRefusal:
    def test_why_a_head_goes_alone(self) -> None:
        def said(name: str, config: TrainingConfig = QUICK, **options: Any) -> str | None:
            return why_alone(built_head(name, D, K, **options), config)

        for name, options in HEADS.items():
            assert said(name, **options) is None
        assert said("mlp", widths=(4,), dropout=0.1) == "its dropout would draw other masks in a stack"
        for name in ("logistic", "svc"):
            assert isinstance(built_head(name, D, K), Solvable)
            assert said(name) == "it has a solver of its own"
        assert "tensors beside its parameters" in str(said("two-module", n_qubits=3))
        assert why_alone(Shifted(), QUICK) == (
            "its parameter 'shift' is neither of a circuit nor of a linear layer"
        )
        large = dataclasses.replace(QUICK, batch_size=100)
        assert "its steps of 102,400 amplitudes" in str(said("dressed", large, n_qubits=10))

    @pytest.mark.parametrize(
        "spec",
        [
            "statevector,shots=64",
            "statevector,p1=0.01",
            "pennylane:default.qubit",
            "statevector,gradient=shift",
        ],
    )
    def test_other_backends_go_alone(self, spec: str) -> None:
        head = built_head("dressed", D, K, n_qubits=2)
        assert isinstance(head.circuit, QuantumLayer)
        head.circuit.backend = load_backend(spec)
        assert "is not the exact native simulator" in str(why_alone(head, QUICK))


class TestFallingBack:
    def test_what_does_not_fit_together_is_trained_one_by_one(self) -> None:
        def pair() -> list[Training]:
            return [a_training("mlp", seed, QUICK) for seed in range(2)]

        one, two = pair()
        expected = [numbers(train_stack([each])[0]) for each in (one, two)]
        short = Labelled(two.training.inputs[1:], two.training.labels[1:])
        for changed in (
            {"config": dataclasses.replace(two.config, learning_rate=0.01)},
            {"training": short},
            {"validation": None},
            {"head": built_head("logistic", D, K)},
        ):
            first, second = pair()
            other = dataclasses.replace(second, **changed)
            outcomes = train_stack([first, other])
            assert numbers(outcomes[0]) == expected[0]
            assert numbers(outcomes[1]) != expected[1]

    def test_heads_that_go_alone_are_what_fit_makes_of_them(self) -> None:
        def each() -> list[Training]:
            return [
                dataclasses.replace(a_training("mlp", 0, QUICK), head=built_head("mlp", D, K, dropout=0.2)),
                dataclasses.replace(a_training("mlp", 0, QUICK), head=built_head("logistic", D, K)),
            ]

        for outcome, training in zip(train_stack(each()), each(), strict=True):
            assert without_time(outcome) == without_time(training.fit())

    def test_one_that_is_not_finite_takes_nobody_with_it(self) -> None:
        expected = [train_stack([a_training("mlp", seed, QUICK)])[0] for seed in range(3)]
        stack = [a_training("mlp", seed, QUICK) for seed in range(3)]
        stack[1].training.inputs[5] = float("inf")
        first, failed, last = fit_many(stack)
        assert isinstance(failed, InputError)
        assert "the training loss became nan in epoch 1" in str(failed)
        for outcome, own in ((first, expected[0]), (last, expected[2])):
            assert isinstance(outcome, Outcome)
            assert numbers(outcome) == numbers(own)


def without_time(outcome: Outcome) -> list[dict[str, Any]]:
    return numbers(outcome)[1]
