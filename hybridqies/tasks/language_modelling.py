"""Causal language modelling with entanglement layers: the joint objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from hybridqies.training import Batch, NextToken, next_token_losses


@dataclass(frozen=True)
class JointNextToken(NextToken):
    """Cross-entropy + `local_weight` · local cross-entropy − `entanglement_weight` · mean S₂ / log r.

    The local one is that of the logits without entanglement layers, and S₂ the Rényi-2 entropy of all gates.
    Validation measures the cross-entropy alone. For decoders of `hybridqies.lm`.
    """

    local_weight: float = 0.0
    entanglement_weight: float = 0.0

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean over all tokens of the batch that have one before them."""
        local, entropy = bool(self.local_weight), bool(self.entanglement_weight)
        if not (local or entropy):
            return super().loss(model, batch)
        answer: Any = model(batch.inputs, local=local, entropy=entropy)
        total = next_token_losses(answer.logits, batch.inputs).mean()
        if local:
            total = total + self.local_weight * next_token_losses(answer.local_logits, batch.inputs).mean()
        if entropy:
            total = total - self.entanglement_weight * answer.entropy
        return total

    def describe(self) -> Mapping[str, Any]:
        """The weights."""
        weights = {"local_weight": self.local_weight, "entanglement_weight": self.entanglement_weight}
        return {**super().describe(), **weights}
