"""The two-module head: encoders of the embedding, a re-uploading circuit, and a linear readout."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.backends import DEFAULT_BACKEND, QuantumLayer, load_backend
from hybridqies.circuit import Circuit, load_circuit, load_recipe
from hybridqies.errors import InputError
from hybridqies.heads.amplitudes import AmplitudeOptions, AmplitudeVector, AngleVector, Fit, ScaledVector
from hybridqies.heads.base import Description, Head, HeadContext, Term
from hybridqies.heads.readout import circuit_term, linear, linear_term
from hybridqies.options import within
from hybridqies.roles import Role


class Merge(enum.Enum):
    """How the outputs of several encoders become the second module's features."""

    MEAN = "mean"
    SUM = "sum"
    CONCAT = "concat"
    LEARNT = "learnt"


@dataclass(frozen=True, slots=True)
class TwoModuleConfig:
    """Every open point of the paper as an option; the defaults are the documented ones.

    First module: `encoders` circuits (E) of the recipe `encoder_circuit` on `encoder_qubits`
    (Q_c), fed as `amplitudes` say. A recipe that starts from |0...0> has the embedding uploaded as
    angles instead, as many as its option `inputs` makes room for. Q_c of None is the second
    module's Q, or as many more as padding needs; then the first Q qubits are read. `feature_scale`
    turns merged expectations into radians. The second module is read as its recipe says, but on
    every qubit when there are more than two classes. Angles start uniformly within
    ±`encoder_spread` and ±`spread`, the readout's weights within ±`readout_gain` / sqrt(Q_m).
    """

    n_qubits: int = 9
    circuit: str = "long-range-reupload"
    circuit_options: Mapping[str, Any] = field(default_factory=dict)
    encoders: int = 8
    encoder_circuit: str = "long-range-encoder"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    encoder_qubits: int | None = None
    amplitudes: AmplitudeOptions = AmplitudeOptions()
    merge: Merge = Merge.MEAN
    feature_scale: float = 3.0
    encoder_spread: float = 0.1
    spread: float = math.pi
    readout_gain: float = 2.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        within(self, "head option", encoders=(1, 1e6), encoder_spread=(0, 1e6), spread=(0, 1e6))
        within(self, "head option", feature_scale=(-1e6, 1e6), readout_gain=(0, 1e6), dropout=(0, 0.999))


class TwoModuleHead(Head):
    """Embedding → E amplitude-encoded circuits → merge → re-uploading circuit → linear → logits.

    Kim et al., "Quantum Large Language Model Fine-Tuning", arXiv:2504.08732, Figs. 1-3.
    The first module always runs on the native simulator, exactly, as in the
    paper; `backend` is where the second module runs.

    Raises
    ------
    InputError: sizes that don't fit together; the message says which options to change.
    """

    name: ClassVar[str] = "two-module"
    Config: ClassVar[type] = TwoModuleConfig
    runs_circuit: ClassVar[bool] = True
    recipes: ClassVar[Mapping[str, str]] = {"circuit": "circuit", "encoder": "encoder_circuit"}
    roles: ClassVar[Mapping[str, Role]] = {"readout": Role.READOUT}

    orders: Tensor | None

    def __init__(self, config: TwoModuleConfig, context: HeadContext) -> None:
        super().__init__(config, context)
        draw = context.generator
        second = context.circuit("circuit", lambda: _second_circuit(config, context.n_classes))
        _check_second(second)
        first = context.circuit("encoder", lambda: _encoder_circuit(config, context.n_inputs, second))
        _check_encoder(first)
        load_backend(DEFAULT_BACKEND).check(first)  # Before a projection onto its amplitudes is drawn.
        self.amplitudes = _start(config.amplitudes, context.n_inputs, first, draw)
        self.register_buffer("orders", _orders(config, first, draw))
        self.encoders = QuantumLayer(
            first,
            DEFAULT_BACKEND,
            copies=config.encoders,
            role=Role.ENCODING,
            spread=config.encoder_spread,
            generator=draw,
        )
        self.merge = _merge(config.merge, config.encoders, len(first.observables), second.n_features, draw)
        self.circuit = QuantumLayer(second, context.backend, spread=config.spread, generator=draw)
        self.dropout = nn.Dropout(config.dropout)
        self.readout = linear(len(second.observables), context.n_classes, draw, config.readout_gain)

    def adapt(self, embeddings: Tensor) -> None:
        """Centring and scale of the amplitude vector, from the training embeddings."""
        self.amplitudes.adapt(embeddings)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D)."""
        start = self.amplitudes(embeddings)
        if self.orders is None:
            starts = start[:, None].expand(-1, self.config.encoders, -1)
        else:
            starts = start[:, self.orders]
        outputs = self.encoders(starts)
        features = self._merged(outputs) * self.config.feature_scale
        logits: Tensor = self.readout(self.dropout(self.circuit(features)))
        return logits

    def _merged(self, outputs: Tensor) -> Tensor:
        rule: Merge = self.config.merge
        match rule:
            case Merge.MEAN:
                return outputs.mean(dim=1)
            case Merge.SUM:
                return outputs.sum(dim=1)
            case Merge.CONCAT | Merge.LEARNT:
                merged: Tensor = self.merge(outputs.flatten(1))
                return merged

    def circuits(self) -> dict[str, Circuit]:
        """The first module's circuit as "encoder", the second's as "circuit"."""
        return {"encoder": self.encoders.circuit, "circuit": self.circuit.circuit}

    def describe(self) -> Description:
        """Counts of projection, encoders, merge, circuit and readout."""
        terms = []
        if self.amplitudes.projection is not None:
            rows, columns = self.amplitudes.projection.shape
            terms.append(Term("projection", f"{rows} * {columns}", rows * columns))
        config, count = self.config, self.config.encoders
        encoder = circuit_term("", self.encoders.circuit, config.encoder_circuit, config.encoder_options)
        terms.append(Term("encoders", f"{count} * ({encoder.formula})", count * encoder.value))
        if isinstance(self.merge, nn.Linear):
            terms.append(linear_term("merge", self.merge))
        terms.append(
            circuit_term("circuit", self.circuit.circuit, self.config.circuit, self.config.circuit_options)
        )
        terms.append(linear_term("readout", self.readout))
        return Description(self.name, tuple(terms))


def _second_circuit(config: TwoModuleConfig, n_classes: int) -> Circuit:
    options = dict(config.circuit_options)
    if n_classes > 2 and any(
        option.name == "readout_qubits" for option in load_recipe(config.circuit).options
    ):
        options.setdefault("readout_qubits", config.n_qubits)
    return load_circuit(config.circuit, config.n_qubits, **options)


def _encoder_circuit(config: TwoModuleConfig, n_inputs: int, second: Circuit) -> Circuit:
    qubits = config.encoder_qubits
    if qubits is None:
        entries = n_inputs + (1 if config.amplitudes.constant else 0)
        needed = (entries - 1).bit_length() if config.amplitudes.fit is Fit.PAD else 0
        qubits = max(second.n_qubits, needed)
    options = dict(config.encoder_options)
    if any(option.name == "inputs" for option in load_recipe(config.encoder_circuit).options):
        options.setdefault("inputs", n_inputs)
    if config.merge in (Merge.MEAN, Merge.SUM) and qubits > second.n_features > 0:
        options.setdefault("readout_qubits", second.n_features)
    return load_circuit(config.encoder_circuit, qubits, **options)


def _check_second(circuit: Circuit) -> None:
    if circuit.n_amplitudes or not circuit.n_features:
        raise InputError(
            f"circuit {circuit.name!r} was given as the second module",
            expected="one that starts from |0...0> and has angle features, such as long-range-reupload",
        )


def _orders(config: TwoModuleConfig, first: Circuit, generator: torch.Generator | None) -> Tensor | None:
    """One fixed order of what each encoder takes, (E, F), or None for the embedding's own."""
    if not config.amplitudes.permute:
        return None
    return torch.stack([torch.randperm(first.n_inputs, generator=generator) for _ in range(config.encoders)])


def _check_encoder(circuit: Circuit) -> None:
    if bool(circuit.n_amplitudes) == bool(circuit.n_features):
        raise InputError(
            f"circuit {circuit.name!r} was given as an encoder",
            expected="one with amplitudes or with angle features, such as long-range-encoder",
        )


def _start(
    options: AmplitudeOptions, n_inputs: int, first: Circuit, generator: torch.Generator | None
) -> ScaledVector:
    if first.n_amplitudes:
        return AmplitudeVector(options, n_inputs, first.n_qubits, generator)
    return AngleVector(options, n_inputs, first.n_features)


def _merge(
    rule: Merge, count: int, n_outputs: int, n_features: int, generator: torch.Generator | None
) -> nn.Module:
    if rule is Merge.LEARNT:
        return linear(count * n_outputs, n_features, generator)
    given = count * n_outputs if rule is Merge.CONCAT else n_outputs
    if given != n_features:
        raise InputError(
            f"merge={rule.value} of {count} encoder(s) with {n_outputs} outputs gives {given} features",
            expected=f"{n_features}, which the second circuit takes",
            todo="use merge=learnt, or for concat as many encoders as re-uploads with fresh_features=true",
        )
    return nn.Identity()
