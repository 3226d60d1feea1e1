"""The loop trains models that are no heads: through an encoder, and a language model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from built_heads import built_head
from torch import Tensor, nn
from training_models import EncodedHead, LanguageModel, NextToken, Sequences, texts

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.roles import Role
from hybridqies.text import Encoder
from hybridqies.training import (
    ClassWeights,
    Compute,
    CrossEntropy,
    Labelled,
    Outcome,
    Precision,
    Rates,
    TrainingConfig,
    fit,
    numerics,
    predict_probabilities,
)
from hybridqies.training.checkpoint import CHECKPOINT
from hybridqies.training.groups import learning_rate, parameter_groups
from hybridqies.training.loop import adapt
from hybridqies.training.numerics import check_precision
from hybridqies.tuning import Tuning
from hybridqies.tuning.tunable import TunableEncoder

CONFIG = TrainingConfig(epochs=4, batch_size=16, learning_rate=0.03, rates=Rates(encoder=0.01))


def classify(model: nn.Module, config: TrainingConfig, rows: int = 60, **rest: Any) -> Outcome:
    training, validation = texts(rows), texts(30, seed=1)
    return fit(model, training, validation, CrossEntropy.of(config, training, 2), config, **rest)


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class Killed(BaseException):
    """Ends a training from within, as a kill would."""


def kill_after(epoch: int) -> Any:
    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            raise Killed

    return stop


class TestEncoder:
    def encoded(self, folder: Path, head: str = "two-module", **options: Any) -> EncodedHead:
        return EncodedHead(folder, 2, head, **({"n_qubits": 3} if head == "two-module" else {}), **options)

    def test_gradients_reach_it_and_are_those_of_finite_differences(self, tiny_encoder: Path) -> None:
        model = self.encoded(tiny_encoder).double().eval()
        rows = texts(12)
        adapt(model, rows)
        objective = CrossEntropy(label_smoothing=0.1)
        objective.loss(model, rows[slice(None)]).backward()
        weight = model.encoder.encoder.layer[-1].attention.self.query.weight
        at, step = divmod(int(weight.grad.abs().argmax()), weight.shape[1]), 1e-5
        ends = []
        for moved in (step, -step):
            with torch.no_grad():
                weight[at] += moved
                ends.append(float(objective.loss(model, rows[slice(None)])))
                weight[at] -= moved
        assert abs(float(weight.grad[at])) > 1e-8
        assert float(weight.grad[at]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)

    def test_what_is_trained_moves_and_what_is_frozen_stays(self, tiny_encoder: Path) -> None:
        model = self.encoded(tiny_encoder)
        before = copy_of(model)
        losses = [record["train_loss"] for record in classify(model, CONFIG).history]
        assert losses[-1] < losses[0]
        moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        assert moved == {name for name, value in model.named_parameters() if value.requires_grad}
        assert "encoder.encoder.layer.0.output.dense.weight" in moved

    def test_it_has_its_own_learning_rate(self, tiny_encoder: Path) -> None:
        model = self.encoded(tiny_encoder)
        before = copy_of(model)
        slow = dataclasses.replace(CONFIG, epochs=1, rates=Rates(encoder=1e-12))
        classify(model, slow)
        moved = {
            name.partition(".")[0]
            for name, value in model.named_parameters()
            if not torch.allclose(value, before[name], atol=1e-8, rtol=0)
        }
        assert moved == {"head"}
        assert learning_rate(TrainingConfig(), Role.ENCODER) == 2e-5

    @pytest.mark.parametrize("epoch", [1, 3])
    def test_a_killed_training_goes_on_bit_for_bit(
        self, epoch: int, tiny_encoder: Path, tmp_path: Path
    ) -> None:
        whole, resumed = (self.encoded(tiny_encoder, dropout=0.3) for _ in range(2))
        expected = classify(whole, CONFIG)
        with pytest.raises(Killed):
            classify(
                self.encoded(tiny_encoder, dropout=0.3), CONFIG, folder=tmp_path, on_epoch=kill_after(epoch)
            )
        outcome = classify(resumed, CONFIG, folder=tmp_path, resume=True)
        for name, value in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], value), name
        assert [r["train_loss"] for r in outcome.history] == [r["train_loss"] for r in expected.history]

    def test_frozen_weights_are_not_in_the_checkpoint(self, tiny_encoder: Path, tmp_path: Path) -> None:
        from hybridqies.tensors import load_tensors

        classify(self.encoded(tiny_encoder), CONFIG, folder=tmp_path)
        names = load_tensors(tmp_path / CHECKPOINT)[0]
        assert not [name for name in names if "word_embeddings" in name]
        assert [name for name in names if name.startswith("model.encoder.encoder.layer.0")]

    def test_other_texts_and_another_start_are_refused(self, tiny_encoder: Path, tmp_path: Path) -> None:
        classify(self.encoded(tiny_encoder), CONFIG, folder=tmp_path)
        other = self.encoded(tiny_encoder)
        with torch.no_grad():
            other.encoder.embeddings.word_embeddings.weight[7, 0] += 1e-6
        for model, rows in ((other, 60), (self.encoded(tiny_encoder), 59)):
            with pytest.raises(ModelFolderError, match="other settings or data"):
                classify(model, CONFIG, rows, folder=tmp_path, resume=True)

    def test_recomputed_activations_change_nothing(self, tiny_encoder: Path) -> None:
        config = dataclasses.replace(CONFIG, compute=Compute(checkpointing=True))
        plain, recomputing = (self.encoded(tiny_encoder, "mlp", widths=(5,)) for _ in range(2))
        calls = []
        layer = recomputing.encoder.encoder.layer[0]
        layer.attention.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
        first, second = classify(plain, CONFIG), classify(recomputing, config)
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(recomputing.state_dict()[name], value, atol=1e-6, rtol=1e-5)
        assert second.history[-1]["train_loss"] == pytest.approx(first.history[-1]["train_loss"], rel=1e-5)
        steps = 4 * 4
        assert sum(calls) == 2 * steps, "each step computes the layer twice"
        assert not recomputing.encoder.encoder.layer[0].gradient_checkpointing

    def test_a_wrapper_without_a_way_back_leaves_it_to_the_model_inside(self, tiny_encoder: Path) -> None:
        """sentence-transformers 5 has `gradient_checkpointing_enable` without its counterpart."""
        model = TunableEncoder(Encoder.load(str(tiny_encoder)), Tuning("full", last=1), 0)
        inside = [part for part in model.modules() if hasattr(part, "gradient_checkpointing")]
        with numerics.recomputing(model, wanted=True):
            assert any(part.gradient_checkpointing for part in inside)
        assert inside
        assert not any(part.gradient_checkpointing for part in inside)

    def test_a_model_that_cannot_recompute_says_so(self) -> None:
        config = dataclasses.replace(CONFIG, compute=Compute(checkpointing=True))
        with pytest.raises(InputError, match="no part of the model can recompute"):
            fit(LanguageModel(), Sequences.of(9), None, NextToken(), config)


class TestLanguageModel:
    def trained(self, config: TrainingConfig, **rest: Any) -> tuple[LanguageModel, Outcome]:
        model = LanguageModel()
        validation = Sequences.of(20, seed=1)
        return model, fit(model, Sequences.of(50), validation, NextToken(), config, **rest)

    def test_it_learns(self) -> None:
        config = TrainingConfig(epochs=30, batch_size=10, learning_rate=0.02)
        model, outcome = self.trained(config)
        assert outcome.history[0]["train_loss"] > 2
        kept = outcome.history[outcome.best_epoch - 1]["validation_loss"]
        assert kept < 0.3
        again = NextToken().measure(model, Sequences.of(20, seed=1), 7)
        assert again.loss == pytest.approx(kept, rel=1e-5)

    def test_it_resumes_bit_for_bit_with_tied_weights(self, tmp_path: Path) -> None:
        whole, expected = self.trained(CONFIG)
        with pytest.raises(Killed):
            self.trained(CONFIG, folder=tmp_path, on_epoch=kill_after(2))
        resumed, outcome = self.trained(CONFIG, folder=tmp_path, resume=True)
        assert resumed.last.weight is resumed.embedding.weight
        for name, value in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], value), name
        assert outcome.best_epoch == expected.best_epoch

    def test_another_objective_is_refused(self, tmp_path: Path) -> None:
        class Other(NextToken):
            def describe(self) -> dict[str, Any]:
                return {"what": "something else"}

        self.trained(CONFIG, folder=tmp_path)
        with pytest.raises(ModelFolderError, match="other settings or data"):
            fit(
                LanguageModel(),
                Sequences.of(50),
                Sequences.of(20, seed=1),
                Other(),
                CONFIG,
                folder=tmp_path,
                resume=True,
            )


class TestAccumulation:
    """Four parts of a batch give the step of the whole, whatever the mean is divided by."""

    @pytest.mark.parametrize(("rows", "shortest"), [(32, 3), (45, 3), (37, 1)])
    def test_tokens(self, rows: int, shortest: int) -> None:
        """Rows of one token have nothing to predict; a part may hold such rows only."""
        ends = []
        for parts in (1, 4, 32):
            model = LanguageModel().double()
            compute = Compute(accumulation=parts)
            config = TrainingConfig(epochs=3, batch_size=32, clip_norm=0.5, compute=compute)
            outcome = fit(model, Sequences.of(rows, shortest=shortest), None, NextToken(), config)
            ends.append((model.state_dict(), outcome.history[-1]["train_loss"]))
        for state, loss in ends[1:]:
            torch.testing.assert_close(ends[0][0], state, atol=1e-12, rtol=1e-10)
            assert ends[0][1] == pytest.approx(loss, rel=1e-12)

    @pytest.mark.parametrize("weights", list(ClassWeights))
    @pytest.mark.parametrize("head", ["mlp", "dressed"])
    def test_weighted_classes(self, weights: ClassWeights, head: str) -> None:
        draw = torch.Generator().manual_seed(0)
        labels = torch.tensor([0] * 20 + [1] * 9 + [2] * 3)
        rows = Labelled(torch.randn(32, 7, generator=draw, dtype=torch.float64), labels)
        ends = []
        for parts in (1, 4):
            model = built_head(head, 7, 3).double()
            config = TrainingConfig(
                epochs=3,
                batch_size=32,
                class_weights=weights,
                label_smoothing=0.1,
                compute=Compute(accumulation=parts),
            )
            fit(model, rows, None, CrossEntropy.of(config, rows, 3), config)
            ends.append(model.state_dict())
        torch.testing.assert_close(ends[0], ends[1], atol=1e-10, rtol=1e-8)


class TestPrecision:
    def trained(self, head: str, precision: Precision, around: Any = None) -> tuple[Outcome, Any]:
        """The training and its predictions, both within the context `around`."""
        draw = torch.Generator().manual_seed(0)
        labels = torch.randint(2, (60,), generator=draw)
        rows = Labelled(torch.randn(60, 7, generator=draw) + torch.eye(2, 7)[labels], labels)
        config = TrainingConfig(epochs=6, batch_size=16, compute=Compute(precision=precision))
        model = built_head(head, 7, 2)
        with around or contextlib.nullcontext():
            outcome = fit(model, rows, rows, CrossEntropy.of(config, rows, 2), config)
            return outcome, predict_probabilities(model, rows.inputs)

    @pytest.mark.parametrize("head", ["mlp", "dressed", "two-module"])
    def test_bf16_learns_as_float32_does(self, head: str) -> None:
        """Weights cast for one step must not serve the next one."""
        exact, coarse = (self.trained(head, each)[0].history for each in Precision)
        losses = [[record["train_loss"] for record in history] for history in (exact, coarse)]
        assert losses[0] != losses[1]
        assert losses[0] == pytest.approx(losses[1], rel=0.02)

    @pytest.mark.parametrize("has_it", [True, False])
    def test_a_card_without_bf16_is_refused_by_name(
        self, has_it: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
        # Torch says yes to emulation, too, unless it is asked otherwise.
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_it or including_emulation
        )
        card = torch.device("cuda")
        check_precision(Precision.FLOAT32, card)
        if has_it:
            check_precision(Precision.BF16, card)
            return
        with pytest.raises(InputError, match=r"Tesla T4 does not compute in it.*use precision float32"):
            check_precision(Precision.BF16, card)
        monkeypatch.setattr("hybridqies.training.loop.device_of", lambda _: card)
        config = TrainingConfig(epochs=1, compute=Compute(precision=Precision.BF16))
        rows = Labelled(torch.zeros(2, 7), torch.tensor([0, 1]))
        with pytest.raises(InputError, match="Tesla T4"):
            fit(built_head("mlp", 7, 2), rows, None, CrossEntropy.of(config, rows, 2), config)

    @pytest.mark.parametrize("head", ["mlp", "dressed", "two-module", "logistic", "svc"])
    @pytest.mark.parametrize("how", ["autocast", "float64 as default", "no_grad", "inference_mode"])
    def test_what_the_caller_has_switched_on_changes_nothing(self, head: str, how: str) -> None:
        contexts: dict[str, Any] = {
            "autocast": torch.autocast("cpu", torch.bfloat16),
            "float64 as default": default_dtype(torch.float64),
            "no_grad": torch.no_grad(),
            "inference_mode": torch.inference_mode(),
        }
        expected, answers = self.trained(head, Precision.FLOAT32)
        outcome, others = self.trained(head, Precision.FLOAT32, contexts[how])
        plain = [[{**record, "seconds": 0} for record in each.history] for each in (outcome, expected)]
        assert plain[0] == plain[1]
        assert (answers == others).all()


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Another default, given back afterwards."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def test_groups_are_in_one_order_with_no_decay_on_angles() -> None:
    model = built_head("two-module", 7, 2, n_qubits=3)
    config = TrainingConfig(weight_decay=0.3, learning_rate=0.1, rates=Rates(encoding=0.2, readout=0.3))
    groups = [(group["lr"], group["weight_decay"]) for group in parameter_groups(model, config)]
    assert groups == [(0.2, 0.0), (0.1, 0.0), (0.3, 0.3)]
    assert [group["lr"] for group in parameter_groups(built_head("mlp", 7, 2), config)] == [0.1]
