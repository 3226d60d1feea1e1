"""A head of your own: the nearest of K trained centres."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from hybridqies.heads import Description, Head, HeadContext, Term


@dataclass(frozen=True, slots=True)
class NearestCentreConfig:
    """Distances are divided by `temperature`."""

    temperature: float = 1.0


class NearestCentre(Head):
    """Logits are the negative distances (B, K) to a centre for each class."""

    name: ClassVar[str] = "nearest-centre"
    Config: ClassVar[type] = NearestCentreConfig

    def __init__(self, config: NearestCentreConfig, context: HeadContext) -> None:
        super().__init__(config, context)
        start = torch.empty(context.n_classes, context.n_inputs)
        self.centres = torch.nn.Parameter(start.normal_(generator=context.generator))

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) for embeddings (B, D)."""
        return -torch.cdist(embeddings, self.centres) / self.config.temperature

    def describe(self) -> Description:
        """K * D values."""
        classes, inputs = self.centres.shape
        return Description(self.name, (Term("centres", f"{classes} * {inputs}", classes * inputs),))
