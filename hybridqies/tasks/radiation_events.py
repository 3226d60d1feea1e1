"""Radiation events: runs of a simulated detector, and whether a release of Cs-137 went by."""

from __future__ import annotations

import copy
import enum
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.backends import Backend
from hybridqies.errors import InputError
from hybridqies.events import AttentionConfig, AttentionDetector, Scene, make_rows
from hybridqies.events.attention import CHANNELS
from hybridqies.heads import Head, head_class
from hybridqies.options import within
from hybridqies.roles import Role
from hybridqies.tasks.base import OnProgress
from hybridqies.tasks.made import MadeData, MadeTask, check_size
from hybridqies.tasks.specs import DataOptions, ModelSpec
from hybridqies.text import Entry
from hybridqies.training.prediction import evaluating, slices

_LABELS = ("background", "release")
# Runs at a time where they are only encoded.
_BATCH = 256


class EventEncoder(enum.Enum):
    """What heads read of a run.

    NONE: the square roots of all counts. ATTENTION: the output of an attention encoder that is trained with
    the head.
    """

    NONE = "none"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class EventOptions:
    """Simulated runs: a `Scene`, mean counts of releases between `weakest` and `strongest`, and windows.

    `width`, `heads` and `layers` are those of the attention encoder. `seed` draws the runs.
    """

    n_runs: int = 2048
    weakest: float = 20.0
    strongest: float = 120.0
    duration: float = 600.0
    rate: float = 5.0
    spread: float = 0.0
    tau: float = 30.0
    window: float = 10.0
    encoder: EventEncoder = EventEncoder.NONE
    width: int = 32
    heads: int = 4
    layers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        what = "option of radiation-events:"
        within(self, what, n_runs=(64, 1e6), weakest=(0, 1e6), seed=(0, 2**32 - 1))
        within(self, what, strongest=(self.weakest, 1e6))
        n_windows = math.ceil(self.scene.duration / self.attention.window)
        check_size(self.n_runs, n_windows * CHANNELS)

    @property
    def scene(self) -> Scene:
        """What is measured."""
        return Scene(self.duration, self.rate, self.spread, self.tau)

    @property
    def attention(self) -> AttentionConfig:
        """The windows, and the size of the encoder."""
        return AttentionConfig(self.window, self.width, self.heads, self.layers)


class AttentionModel(AttentionDetector):
    """Counts (B, T · CHANNELS) to logits (B, 2): the attention encoder, then the head."""

    # The head's own layers say what they are for.
    roles: ClassVar[dict[str, Role]] = {}

    def __init__(self, problem: EventOptions, head: Head) -> None:
        super().__init__(problem.scene, problem.attention, head)
        self.n_classes = head.n_classes

    @property
    def head(self) -> Head:
        """What reads the encoder's output."""
        assert isinstance(self.decide, Head)
        return self.decide

    @property
    def n_encoder(self) -> int:
        """How many values training sets before the head."""
        return sum(each.numel() for each in self.parameters()) - sum(
            each.numel() for each in self.head.parameters()
        )

    def encode(self, counts: Tensor) -> Tensor:
        """(B, T · CHANNELS) to (B, 2 · width)."""
        return super().encode(counts.to(self.read.weight.dtype))

    def embed(self, counts: Tensor) -> Tensor:
        """What the head reads of all runs, (N, 2 · width), without gradients."""
        with evaluating(self):
            return torch.cat([self.encode(counts[part]) for part in slices(len(counts), _BATCH)])

    def adapt(self, counts: Tensor) -> None:
        """Fits the head's scaling to what the encoder starts with."""
        self.head.adapt(self.embed(counts))

    def n_trained(self) -> int:
        """How many values training sets, in the head and in the encoder."""
        return self.head.n_trained() + self.n_encoder


class EventData(MadeData):
    """Counts (N, T · CHANNELS) of simulated runs, with the labels "background" and "release".

    `trained` is the model whose encoder heads read, once there is one.
    """

    problem: EventOptions
    trained: AttentionModel | None = None

    @property
    def n_inputs(self) -> int:
        """Numbers that a head reads: all counts, or twice the width of the encoder."""
        return 2 * self.problem.width if self.has_encoder else super().n_inputs

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder is trained with each head."""
        return self.problem.encoder is EventEncoder.ATTENTION

    def build(self, spec: ModelSpec, backend: Backend, seed: int) -> nn.Module:
        """A head on the square roots of counts, or the encoder and a head behind it.

        Raises
        ------
        InputError: the head is solved, and cannot train an encoder.
        """
        if not self.has_encoder:
            return super().build(spec, backend, seed)
        if head_class(spec.head).is_solved:
            raise InputError(
                f"head {spec.head!r} was to train the attention encoder, and is not trained by gradients",
                expected="a head that is, such as mlp or dressed",
                todo="leave it out of --head, --compare and --arms, or give encoder=none in --data",
            )
        head = super().build(spec, backend, seed)
        assert isinstance(head, Head)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AttentionModel(self.problem, head).to(self.device)

    def tuned_by(self, model: nn.Module) -> EventData:
        """The data as the head reads it behind its trained encoder; itself for a head alone."""
        if not isinstance(model, AttentionModel):
            return self
        changed = copy.copy(self)
        # A copy: the model may be trained further.
        changed.trained, changed._embeddings = copy.deepcopy(model), None
        return changed

    @property
    def n_tuned(self) -> int:
        """How many values of the encoder were trained."""
        return 0 if self.trained is None else self.trained.n_encoder

    def _compute(self, entries: list[Entry], on_progress: OnProgress | None) -> Tensor:  # noqa: ARG002
        if self.trained is not None:
            return self.trained.embed(self.features.to(self.device))
        return self.features if self.has_encoder else self.features.sqrt()


class RadiationEvents(MadeTask):
    """Runs of a gamma detector with and without a release; accuracy and macro-F1."""

    name: ClassVar[str] = "radiation-events"
    default_data: ClassVar[str] = "radiation-events"
    Problem: ClassVar[type] = EventOptions

    def make(self, problem: EventOptions, options: DataOptions, device: str) -> EventData:
        """Runs without a release and with one in turn, 32 at a time."""
        between = (problem.weakest, problem.strongest)
        rows = make_rows(problem.scene, problem.attention, problem.n_runs, problem.seed, between)
        # Whole numbers, which nothing scales before the encoder takes their square roots.
        counts: Any = rows.inputs.int()
        totals = counts.sum(1).tolist()
        entries = [f"run {at}: {total} events" for at, total in enumerate(totals)]
        return EventData(
            problem, counts, [_LABELS[label] for label in rows.labels.tolist()], entries, options, device
        )
