"""Multilayer perceptrons, of given widths or matched to a parameter count."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.heads.base import Description, Head, HeadContext
from hybridqies.heads.readout import linear, linear_term
from hybridqies.options import within

_WIDEST = 2**24


@dataclass(frozen=True, slots=True)
class MLPConfig:
    """`widths` of the hidden layers; none makes it a linear classifier."""

    widths: tuple[int, ...] = (48,)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        within(self, "head option", dropout=(0, 0.999))
        if any(not 1 <= width <= _WIDEST for width in self.widths):
            raise InputError(
                f"hidden widths {self.widths} were asked for", expected=f"widths of 1 to {_WIDEST}"
            )


class MLPHead(Head):
    """Linear layers with ReLU between them."""

    name: ClassVar[str] = "mlp"
    Config: ClassVar[type] = MLPConfig

    def __init__(self, config: Any, context: HeadContext) -> None:
        super().__init__(config, context)
        self.layers = self._layers(config.widths, config.dropout, context)

    def _layers(self, widths: tuple[int, ...], dropout: float, context: HeadContext) -> nn.Sequential:
        sizes = (context.n_inputs, *widths, context.n_classes)
        modules: list[nn.Module] = []
        for n_inputs, n_outputs in itertools.pairwise(sizes):
            modules += [linear(n_inputs, n_outputs, context.generator), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(*modules[:-2])

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D)."""
        logits: Tensor = self.layers(embeddings)
        return logits

    def describe(self) -> Description:
        """One term a linear layer."""
        layers = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        return Description(
            self.name, tuple(linear_term(f"layer {at}", layer) for at, layer in enumerate(layers))
        )


@dataclass(frozen=True, slots=True)
class MatchedMLPConfig:
    """`target`: the parameter count to come closest to, usually the quantum head's."""

    target: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        within(self, "head option", dropout=(0, 0.999), target=(0, 1e10))


class MatchedMLPHead(MLPHead):
    """One hidden layer, as wide as brings the parameter count closest to `target`.

    With one hidden unit it already has D + 2K + 1 parameters, so that smaller
    targets are exceeded; `describe()` states target and gap.
    """

    name: ClassVar[str] = "matched-mlp"
    Config: ClassVar[type] = MatchedMLPConfig
    matches: ClassVar[str] = "target"

    def __init__(self, config: MatchedMLPConfig, context: HeadContext) -> None:
        Head.__init__(self, config, context)
        if config.target < 1:
            raise InputError(
                f"matched-mlp was given target={config.target}",
                expected="the parameter count to match",
                todo="set target=N, or compare it with a quantum head, which sets it",
            )
        per_unit = context.n_inputs + 1 + context.n_classes
        width = max(1, round((config.target - context.n_classes) / per_unit))
        self.layers = self._layers((width,), config.dropout, context)

    def describe(self) -> Description:
        """One term a layer, and how far the count is from its target."""
        plain = MLPHead.describe(self)
        gap = plain.n_parameters - self.config.target
        return Description(self.name, plain.terms, f"target {self.config.target}, off by {gap:+d}")
