"""A training that was cut off goes on to the same weights, bit for bit, or refuses to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from built_heads import built_head

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.heads.base import Head
from hybridqies.training import CrossEntropy, Labelled, Outcome, Schedule, TrainingConfig, fit
from hybridqies.training.checkpoint import CHECKPOINT

D, K, EPOCHS = 7, 2, 6
CONFIG = TrainingConfig(epochs=EPOCHS, batch_size=16, learning_rate=0.05, seed=2)


def train(
    module: Head,
    training: Labelled,
    validation: Labelled | None,
    config: TrainingConfig,
    **rest: Any,
) -> Outcome:
    """`fit` with cross-entropy."""
    objective = CrossEntropy.of(config, training, module.n_classes)
    return fit(module, training, validation, objective, config, **rest)


def data(seed: int = 0) -> Labelled:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(K, (50,), generator=draw)
    return Labelled(torch.randn(50, D, generator=draw) + torch.eye(K, D)[labels], labels)


def head(name: str = "two-module", **options: Any) -> Head:
    return built_head(name, D, K, **({"n_qubits": 3} if name == "two-module" else {}), **options)


class Killed(BaseException):
    """Ends a training from within, as a kill would."""


def kill_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            raise Killed

    return stop


def interrupted(folder: Path, epoch: int, **options: Any) -> None:
    with pytest.raises(Killed):
        train(head(**options), data(), data(1), CONFIG, folder=folder, on_epoch=kill_after(epoch))


def without_time(history: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history]


@pytest.mark.parametrize("options", [{"dropout": 0.4}, {"name": "mlp", "dropout": 0.3}], ids=str)
@pytest.mark.parametrize("epochs", [[1], [EPOCHS - 1], [EPOCHS], [2, 4]], ids=str)
def test_a_resumed_training_ends_the_same(options: dict[str, Any], epochs: list[int], tmp_path: Path) -> None:
    whole = head(**options)
    expected = train(whole, data(), data(1), CONFIG)
    interrupted(tmp_path, epochs[0], **options)
    for epoch in epochs[1:]:
        with pytest.raises(Killed):
            train(
                head(**options),
                data(),
                data(1),
                CONFIG,
                folder=tmp_path,
                resume=True,
                on_epoch=kill_after(epoch),
            )
    resumed, epochs_run = head(**options), []
    outcome = train(
        resumed,
        data(),
        data(1),
        CONFIG,
        folder=tmp_path,
        resume=True,
        on_epoch=lambda r: epochs_run.append(r),
    )
    assert len(epochs_run) == EPOCHS - epochs[-1]
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    assert without_time(outcome.history) == without_time(expected.history)
    assert outcome.best_epoch == expected.best_epoch


def test_an_early_stop_is_resumed_as_one(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=40, patience=3, learning_rate=0.3)
    expected = train(head(), data(), data(1), config)
    assert len(expected.history) < 40
    with pytest.raises(Killed):
        train(head(), data(), data(1), config, folder=tmp_path, on_epoch=kill_after(len(expected.history)))
    outcome = train(head(), data(), data(1), config, folder=tmp_path, resume=True)
    assert without_time(outcome.history) == without_time(expected.history)


def test_without_resume_it_starts_anew(tmp_path: Path) -> None:
    interrupted(tmp_path, 3)
    assert len(train(head(), data(), data(1), CONFIG, folder=tmp_path).history) == EPOCHS


def test_nothing_to_resume_is_a_start(tmp_path: Path) -> None:
    assert len(train(head(), data(), data(1), CONFIG, folder=tmp_path / "new", resume=True).history) == EPOCHS


@pytest.mark.parametrize(
    "changed",
    [
        {"config": dataclasses.replace(CONFIG, seed=3)},
        {"training": data(5)},
        {"validation": data(5)},
        {"validation": None},
        {"head": lambda: head(feature_scale=2.0)},
        {"head": lambda: head(dropout=0.1)},
        {"head": lambda: head(circuit_options={"reuploads": 5})},
        {"head": lambda: head("mlp")},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_training_is_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    interrupted(tmp_path, 2)
    before = (tmp_path / CHECKPOINT).read_bytes()
    given: dict[str, Any] = {
        "head": head,
        "training": data(),
        "validation": data(1),
        "config": CONFIG,
    } | changed
    with pytest.raises(
        ModelFolderError, match="belongs to a training with other settings or data; resume with"
    ):
        train(
            given["head"](),
            given["training"],
            given["validation"],
            given["config"],
            folder=tmp_path,
            resume=True,
        )
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def damaged(content: bytes, how: str) -> bytes:
    if how == "truncated":
        return content[: len(content) // 2]
    if how == "empty":
        return b""
    flipped = bytearray(content)
    flipped[-9 if how == "value" else 300] ^= 1
    return bytes(flipped)


@pytest.mark.parametrize("how", ["truncated", "empty", "value", "header"])
def test_a_damaged_checkpoint_is_refused(how: str, tmp_path: Path) -> None:
    interrupted(tmp_path, 2)
    path = tmp_path / CHECKPOINT
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(ModelFolderError, match="damaged"):
        train(head(), data(), data(1), CONFIG, folder=tmp_path, resume=True)


def test_no_temporary_files_stay(tmp_path: Path) -> None:
    train(head(), data(), data(1), CONFIG, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, "metrics.jsonl"}


class TestMoreEpochs:
    """A training goes on to more epochs than it was begun with."""

    def trained(self, epochs: int, schedule: Schedule, **rest: Any) -> tuple[Head, Outcome]:
        config = dataclasses.replace(CONFIG, epochs=epochs, schedule=schedule)
        module = head()
        return module, train(module, data(), data(1), config, **rest)

    def test_with_a_constant_rate_it_is_the_longer_training(self, tmp_path: Path) -> None:
        whole, expected = self.trained(7, Schedule.CONSTANT)
        self.trained(3, Schedule.CONSTANT, folder=tmp_path)
        resumed, outcome = self.trained(7, Schedule.CONSTANT, folder=tmp_path, resume=True)
        for name, value in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], value), name
        assert without_time(outcome.history) == without_time(expected.history)

    def test_a_schedule_goes_on_where_the_longer_one_would_be(self, tmp_path: Path) -> None:
        _, whole = self.trained(8, Schedule.LINEAR)
        self.trained(4, Schedule.LINEAR, folder=tmp_path)
        _, outcome = self.trained(8, Schedule.LINEAR, folder=tmp_path, resume=True)
        rates, longer = ([r["learning_rate"] for r in each.history] for each in (outcome, whole))
        assert rates[:4] != longer[:4]
        assert rates[4:] == longer[4:]
        assert len(outcome.history) == 8

    def test_a_finished_one_has_nothing_left_to_do(self, tmp_path: Path) -> None:
        module, expected = self.trained(3, Schedule.COSINE, folder=tmp_path)
        again, outcome = self.trained(3, Schedule.COSINE, folder=tmp_path, resume=True)
        assert outcome == expected
        assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))

    def test_fewer_are_refused(self, tmp_path: Path) -> None:
        self.trained(3, Schedule.COSINE, folder=tmp_path)
        with pytest.raises(InputError, match="epochs=2 was given to go on from a checkpoint of 3 epochs"):
            self.trained(2, Schedule.COSINE, folder=tmp_path, resume=True)
