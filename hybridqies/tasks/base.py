"""What a task is: the data of it, loaded once, how models are built for it, and how they are measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

from hybridqies import defaults
from hybridqies.backends import Backend
from hybridqies.tasks.metric import Metric
from hybridqies.tasks.specs import DataOptions, ModelSpec
from hybridqies.training import Objective, Rows, TrainingConfig
from hybridqies.training.metrics import FloatArray

OnProgress = Callable[[int, int], None]
OnEpoch = Callable[[dict[str, Any]], None]
PartT = TypeVar("PartT")


@dataclass(frozen=True, slots=True)
class Splits(Generic[PartT]):
    """Three parts of one kind: to train on, to choose by, and to measure on at the end."""

    train: PartT
    validation: PartT
    test: PartT

    def named(self) -> dict[str, PartT]:
        """The parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def map(self, change: Callable[[PartT], Any]) -> Splits[Any]:
        """The splits with `change` applied to every part."""
        return Splits(change(self.train), change(self.validation), change(self.test))


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained model with its specification, where its circuits run, how it was trained, and on what."""

    model: nn.Module
    spec: ModelSpec
    backend: Backend
    training: TrainingConfig
    drawn: Splits[Any]


class TaskData(ABC):
    """A task's data, loaded once and shared by every model and seed.

    `draw` and `rows` are two steps, because a plan counts rows without computing them. `stage` is what
    progress calls the making of rows.
    """

    stage: ClassVar[str] = "embedding"

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call the data."""

    @property
    @abstractmethod
    def classes(self) -> tuple[Any, ...]:
        """The labels, in the order of a model's outputs; empty for a task without classes."""

    @property
    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """A digest of everything that was loaded, by what it is: "data", and "encoder" where there is one."""

    @abstractmethod
    def draw(self, seed: int) -> Splits[Any]:
        """The parts that `seed` draws; the same for every model.

        Raises
        ------
        DataError: a part is left without rows.
        """

    @abstractmethod
    def describe(self, drawn: Splits[Any]) -> dict[str, Any]:
        """Name, fingerprint, classes and counts of what was drawn, as JSON values."""

    @abstractmethod
    def places(self, part: Any) -> list[int]:
        """Where the rows of a drawn part stand in the data; equal rows have equal places."""

    @abstractmethod
    def rows(self, part: Any, spec: ModelSpec, on_progress: OnProgress | None = None) -> Rows:
        """The rows of a drawn part, as a model of `spec` reads them."""

    @abstractmethod
    def build(self, spec: ModelSpec, backend: Backend, seed: int) -> nn.Module:
        """The model of `spec` as training starts with it.

        Raises
        ------
        InputError: options that do not exist or do not fit together.
        """

    @abstractmethod
    def objective(self, config: TrainingConfig, training: Rows) -> Objective[Any]:
        """What training on these rows lowers and validation measures."""

    def tune(
        self,
        spec: ModelSpec,  # noqa: ARG002
        training: Any,  # noqa: ARG002
        validation: Any,  # noqa: ARG002
        config: TrainingConfig,  # noqa: ARG002
        *,
        folder: Path | None = None,  # noqa: ARG002
        resume: bool = False,  # noqa: ARG002
        on_epoch: OnEpoch | None = None,  # noqa: ARG002
    ) -> TaskData:
        """The data as a model of `spec` reads it; itself, where nothing is tuned before the model is trained.

        `training` and `validation` are drawn parts; `folder`, `resume` and `on_epoch` are those of `fit`.

        Raises
        ------
        InputError: something cannot be tuned that way.
        """
        return self

    def tuned_by(self, model: nn.Module) -> TaskData:  # noqa: ARG002
        """The data as the head of a trained model reads it; itself, where nothing was tuned with the head."""
        return self

    @property
    def n_tuned(self) -> int:
        """How many values were trained to make the rows."""
        return 0

    @property
    def saved_seconds(self) -> float:
        """The time that making the rows took at another time, because something was kept."""
        return 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """What the record of a run says of the data beside its name and fingerprints, as JSON values."""
        return {}

    def details(self, part: Any, probabilities: FloatArray) -> dict[str, Any]:  # noqa: ARG002
        """What the record says of the answers (B, K) for the test part beside the metrics, as JSON values."""
        return {}


class Task(ABC):
    """What is learned, and how it is measured; one row of `hybridqies.tasks.TASKS`.

    `metrics` are those of a measurement that studies summarise. Studies choose and compare by the first.
    `saver` is the dotted path of the function that saves a trained model; without one the task is for
    studies alone. It takes the `TaskData`, the `TrainedModel`, a folder and the configuration of the run as
    JSON values. It writes `model.safetensors` and `config.json`, which holds at least the model's head,
    circuits and `weights_sha256`. A task that `is_made` makes its data from options and reads no file;
    `default_data` is the source of its data where none is given.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    saver: ClassVar[str] = ""
    is_made: ClassVar[bool] = False
    default_data: ClassVar[str] = defaults.DATA

    @abstractmethod
    def load(self, options: DataOptions, encoder: str, device: str, *, cached: bool = True) -> TaskData:
        """Reads and checks the data; nothing is computed from it yet.

        With `cached` computed rows are kept on disk for later runs.

        Raises
        ------
        DataError: it cannot be read.
        """
