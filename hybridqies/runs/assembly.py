"""From a configuration to models ready to be trained: the one way, for runs, dry runs and studies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from hybridqies.backends import Backend, load_backend
from hybridqies.devices import check_device
from hybridqies.errors import InputError
from hybridqies.heads import Head, head_class, matching
from hybridqies.runs.config import RunConfig
from hybridqies.tasks import DataOptions, ModelSpec, Splits, TaskData, load_task, tuning_of
from hybridqies.tasks.base import OnEpoch, OnProgress
from hybridqies.tuning.spec import TuneBy, Tuning
from hybridqies.tuning.text_model import head_of


@dataclass
class Arm:
    """One model of a run, as training starts with it. It is trained in place, so it can be used once."""

    name: str
    spec: ModelSpec
    model: nn.Module

    @property
    def head(self) -> Head:
        """The head of the model."""
        return head_of(self.model)


@dataclass
class PreparedRun:
    """A run with everything loaded and built once; the first arm is its own, the others are compared with it.

    Nothing is embedded yet: `rows` does that when it is first called.
    """

    config: RunConfig
    data: TaskData
    backend: Backend
    arms: tuple[Arm, ...]
    _rows: dict[str, Splits[Any]] = field(default_factory=dict, repr=False)
    _tuned: dict[str, TaskData] = field(default_factory=dict, repr=False)

    @property
    def arm(self) -> Arm:
        """The run's own arm."""
        return self.arms[0]

    @cached_property
    def drawn(self) -> Splits[Any]:
        """The parts that the run's seed draws from the data.

        Raises
        ------
        DataError: a part is left without rows.
        """
        return self.data.draw(self.config.training.seed)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many rows each part has."""
        return {name: len(part) for name, part in self.drawn.named().items()}

    @cached_property
    def overlap(self) -> int:
        """How many test rows also stand in the training part."""
        trained = set(self.data.places(self.drawn.train))
        return sum(place in trained for place in self.data.places(self.drawn.test))

    @property
    def epochs(self) -> int:
        """How many epochs training by gradients has."""
        return self.config.training.n_epochs(self.sizes["train"])

    def tune(
        self, arm: Arm, *, folder: Path | None = None, resume: bool = False, on_epoch: OnEpoch | None = None
    ) -> TaskData:
        """The data as `arm` reads it: an encoder that is tuned first is tuned now, once for all arms.

        `folder`, `resume` and `on_epoch` are those of `fit`.
        """
        key = _tuning_key(arm)
        if key not in self._tuned:
            self._tuned[key] = self.data.tune(
                arm.spec,
                self.drawn.train,
                self.drawn.validation,
                self.config.training,
                folder=folder,
                resume=resume,
                on_epoch=on_epoch,
            )
        return self._tuned[key]

    def rows(self, arm: Arm, on_progress: OnProgress | None = None) -> Splits[Any]:
        """The parts as `arm` is trained on them; arms that read the same share them."""
        key = _tuning_key(arm)
        if key not in self._rows:
            data = self.tune(arm)
            self._rows[key] = self.drawn.map(lambda part: data.rows(part, arm.spec, on_progress))
        return self._rows[key]

    def has_rows(self, arm: Arm) -> bool:
        """Whether the rows of `arm` are there already."""
        return _tuning_key(arm) in self._rows


def prepare(
    config: RunConfig, data: TaskData | None = None, backend: Backend | None = None, *, cached: bool = True
) -> PreparedRun:
    """Loads and checks the data, and builds every model of the run, once.

    `data` is what the task loaded before, for many runs on the same data; `backend` one that is configured
    already. With `cached` embeddings are kept on disk. Nothing is embedded, trained or sent.

    Raises
    ------
    UnknownNameError: a task, encoder, head, circuit, backend or option that does not exist.
    DataError: data that cannot be read, or that leaves a part without rows (asked of `drawn` where `data` is
        given).
    InputError: options that contradict each other.
    """
    _check_heads(config)
    placed = load_backend(config.backend) if backend is None else backend
    given = data is not None
    data = load_data(config, cached=cached) if data is None else data
    seed = config.training.seed
    own = Arm(config.head, config.spec(), data.build(config.spec(), placed, seed))
    arms = [own]
    for name in config.compare:
        spec = _compared(config, name, own)
        arms.append(Arm(name, spec, data.build(spec, placed, seed)))
    prepared = PreparedRun(config, data, placed, tuple(arms))
    if not given:
        # Data that was just read is checked at once; that of a study draws many seeds.
        _ = prepared.drawn
    return prepared


def load_data(config: RunConfig, options: DataOptions | None = None, *, cached: bool = True) -> TaskData:
    """The data of a run, or other data for its task."""
    check_device(config.device)
    return load_task(config.task).load(options or config.data, config.encoder, config.device, cached=cached)


def _check_heads(config: RunConfig) -> None:
    for name in (config.head, *config.compare):
        head_class(name)
    if config.head in config.compare:
        raise InputError(
            f"head {config.head!r} was to be compared with itself", todo="leave it out of --compare"
        )


def _compared(config: RunConfig, name: str, own: Arm) -> ModelSpec:
    """A head with its defaults, beside the run's own: as many qubits, and an encoder tuned as its own is."""
    kind = head_class(name)
    if kind.matches and head_class(own.name).grows:
        raise InputError(
            f"head {name!r} was to match {own.name!r}, whose size is known after fitting only",
            expected="a head whose size is known before it is trained",
            todo=f"leave {name} out of --compare",
        )
    return ModelSpec(
        name,
        n_qubits=config.n_qubits if kind.runs_circuit else None,
        settings=matching(name, own.head.n_trained()),
        tuning=_for_compared(config.tuning, is_solved=kind.is_solved),
    )


def _for_compared(tuning: Tuning, *, is_solved: bool) -> Tuning:
    """A solved head beside one that its encoder is trained with: it gets one that is tuned first."""
    return replace(tuning, by=None) if is_solved and tuning.by is TuneBy.HEAD else tuning


def _tuning_key(arm: Arm) -> str:
    return tuning_of(arm.spec).key
