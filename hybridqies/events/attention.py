"""An attention model as a detector: its tokens are windows of time, of which it reads the spectra."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hybridqies.backends import QuantumLayer
from hybridqies.circuit import load_circuit
from hybridqies.errors import InputError
from hybridqies.events.detectors import Detector
from hybridqies.events.runs import Runs, simulate
from hybridqies.events.scene import EDGES, Floats, Scene
from hybridqies.options import within
from hybridqies.roles import Role
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit

# Three bins of the spectrum are one channel: 24 keV, about half the width of the peak.
_MERGED = 3
CHANNELS = math.ceil((len(EDGES) - 1) / _MERGED)


class Readout(enum.Enum):
    """What follows the attention: a linear layer, or a circuit between two of them."""

    LINEAR = "linear"
    CIRCUIT = "circuit"


@dataclass(frozen=True, slots=True)
class AttentionConfig:
    """The model: windows of `window` seconds, `width` numbers each, and what reads their maximum and mean.

    Raises
    ------
    InputError: a number that is out of its range, or a width that the heads cannot share.
    """

    window: float = 10.0
    width: int = 32
    heads: int = 4
    layers: int = 2
    readout: Readout = Readout.LINEAR
    qubits: int = 4

    def __post_init__(self) -> None:
        within(
            self,
            "attention option",
            window=(0.1, 1e4),
            width=(2, 4096),
            heads=(1, 64),
            layers=(1, 64),
            qubits=(2, 20),
        )
        if self.width % self.heads:
            raise InputError(
                f"attention option 'width' was given {self.width} with heads={self.heads}",
                expected=f"a multiple of {self.heads}: heads share the width",
            )


class AttentionDetector(nn.Module):
    """Scores two classes, without and with a release, (B, 2), from windows of counts (B, T · CHANNELS).

    Square roots of counts have equal noise at any rate. Positions are sinusoidal (arXiv:1706.03762, 3.5).
    `decide` (B, 2 · width) -> (B, 2) takes the place of the readout that `config` names.
    """

    roles: ClassVar[dict[str, Role]] = {"decide": Role.READOUT}

    def __init__(
        self, scene: Scene, config: AttentionConfig | None = None, decide: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.scene, self.config = scene, config or AttentionConfig()
        width = self.config.width
        self.n_windows = math.ceil(scene.duration / self.config.window)
        self.read = nn.Linear(CHANNELS, width)
        layer = nn.TransformerEncoderLayer(
            width, self.config.heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.attend = nn.TransformerEncoder(layer, self.config.layers, enable_nested_tensor=False)
        self.register_buffer("positions", _positions(self.n_windows, width), persistent=False)
        self.decide = _make_readout(self.config) if decide is None else decide

    def forward(self, counts: Tensor) -> Tensor:
        """(B, T · CHANNELS) to (B, 2)."""
        scores: Tensor = self.decide(self.encode(counts))
        return scores

    def encode(self, counts: Tensor) -> Tensor:
        """(B, T · CHANNELS) to what is read: maximum and mean over windows, (B, 2 · width)."""
        windows = counts.reshape(counts.shape[0], self.n_windows, CHANNELS).sqrt()
        seen = self.attend(self.read(windows) + self.positions)
        return torch.cat([seen.amax(1), seen.mean(1)], 1)


def _make_readout(config: AttentionConfig) -> nn.Module:
    if config.readout is Readout.LINEAR:
        return nn.Linear(2 * config.width, 2)
    circuit = load_circuit("data-reuploading", config.qubits)
    into, out = nn.Linear(2 * config.width, circuit.n_features), nn.Linear(len(circuit.observables), 2)
    return nn.Sequential(into, QuantumLayer(circuit), out)


def _positions(count: int, width: int) -> Tensor:
    places = torch.arange(count)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([places.sin(), places.cos()], 2).reshape(count, -1)[:, :width]


def count_windows(runs: Runs, config: AttentionConfig) -> Tensor:
    """Counts of each window and channel, (R, T · CHANNELS), float32."""
    n_windows = math.ceil(runs.scene.duration / config.window)
    cells = (
        runs.of_run * n_windows + (runs.times / config.window).astype(np.int64)
    ) * CHANNELS + runs.bins // _MERGED
    counts = np.bincount(cells, minlength=runs.n_runs * n_windows * CHANNELS)
    return torch.from_numpy(counts.astype(np.float32)).reshape(runs.n_runs, -1)


def make_rows(
    scene: Scene, config: AttentionConfig, n_runs: int, seed: int, sources: tuple[float, float]
) -> Labelled:
    """As many runs without source as with one, whose mean counts are uniform between the two of `sources`."""
    random = np.random.default_rng(seed)
    counts, labels = [], []
    for part in range(math.ceil(n_runs / 32)):
        source = random.uniform(*sources) if part % 2 else 0.0
        (runs,) = simulate(scene, source, min(32, n_runs - 32 * part), int(random.integers(2**62)))
        counts.append(count_windows(runs, config))
        labels.append(torch.full((runs.n_runs,), part % 2))
    return Labelled(torch.cat(counts), torch.cat(labels))


def train_detector(
    scene: Scene,
    config: AttentionConfig | None = None,
    training: TrainingConfig | None = None,
    n_runs: int = 8192,
    sources: tuple[float, float] = (20.0, 120.0),
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> AttentionDetector:
    """An attention model trained on simulated runs.

    The epoch with the lowest loss on an eighth as many other runs is kept.

    `training.seed` decides the simulated runs and the first weights, too.
    """
    config, training = config or AttentionConfig(), training or TrainingConfig(epochs=20, batch_size=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        model = AttentionDetector(scene, config)
    # Seeds below 2**32 are those of trainings; measurements draw from theirs with further numbers.
    rows = [
        make_rows(scene, config, count, 2 * training.seed + at, sources)
        for at, count in enumerate((n_runs, max(64, n_runs // 8)))
    ]
    fit(model, rows[0], rows[1], CrossEntropy(), training, on_epoch=on_epoch)
    return model


def as_detector(model: AttentionDetector) -> Detector:
    """The trained model as a detector: the difference of its two scores."""

    @torch.no_grad()
    def detect(runs: Runs) -> Floats:
        scores = model.eval()(count_windows(runs, model.config)).double()
        difference: Floats = (scores[:, 1] - scores[:, 0]).numpy()
        return difference

    return detect
