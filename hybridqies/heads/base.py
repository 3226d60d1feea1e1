"""What a head is: a module from embeddings to logits that can say how many parameters it has, and why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.backends import DEFAULT_BACKEND, Backend
from hybridqies.circuit import Circuit
from hybridqies.errors import InputError
from hybridqies.options import within
from hybridqies.roles import Role


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a parameter count: what it counts, its closed formula, and the formula's value."""

    what: str
    formula: str
    value: int


@dataclass(frozen=True, slots=True)
class Description:
    """What `describe()` tells of a head."""

    head: str
    terms: tuple[Term, ...]
    note: str = ""

    @property
    def n_parameters(self) -> int:
        """The count that the formula gives; it equals the number of trained values."""
        return sum(term.value for term in self.terms)

    @property
    def formula(self) -> str:
        """The closed formula, one summand a term."""
        return " + ".join(f"{term.what}: {term.formula} = {term.value}" for term in self.terms)


@dataclass(frozen=True, slots=True)
class HeadContext:
    """What a head is built for, besides its own options: sizes, backend, randomness, stored circuits.

    `circuits` replaces what the recipes would build; a loaded model uses it, so that a
    recipe that changed since cannot change the model.
    """

    n_inputs: int
    n_classes: int
    backend: str | Backend = DEFAULT_BACKEND
    generator: torch.Generator | None = None
    circuits: Mapping[str, Circuit] | None = None

    def __post_init__(self) -> None:
        within(self, "size of a head", n_inputs=(1, 1e9), n_classes=(1, 1e9))

    def circuit(self, role: str, default: Any) -> Circuit:
        """The stored circuit for `role`, or what `default()` builds."""
        if self.circuits is not None and role in self.circuits:
            return self.circuits[role]
        built: Circuit = default()
        return built


def check_labels(labels: Tensor, n_classes: int) -> None:
    """Refuses labels (B,) that lack a class, for heads that are solved: they would have no values for it.

    Raises
    ------
    InputError: a class has no row.
    """
    counts = torch.bincount(labels, minlength=n_classes)
    if bool((counts == 0).any()):
        missing = int((counts == 0).sum())
        raise InputError(
            f"{missing} of {n_classes} classes have no training row; the first is {int(counts.argmin())}",
            expected="at least one row of each class",
            todo="train on more rows",
        )


class Head(nn.Module, ABC):
    """Embeddings (B, D) to logits (B, K).

    A subclass names its frozen `Config` and takes (config, context). These say what it is:

    - `runs_circuit`: it has a circuit, and runs it on the backend of its context.
    - `recipes`: the fields of `Config` that name its recipes, by the circuit's part; the options of the
      recipe of part "circuit" are the field `circuit_options`.
    - `is_solved`: it isn't trained by gradients, but has `solve(embeddings, labels, class_weights, seed)`.
    - `matches`: the option that takes the parameter count of the head that it is compared with; empty for
      one of its own size.
    - `grows`: how many values it has is known after solving only.
    - `roles`: what its own layers are for; circuit layers say it themselves.
    """

    name: ClassVar[str]
    Config: ClassVar[type]
    runs_circuit: ClassVar[bool] = False
    recipes: ClassVar[Mapping[str, str]] = {}
    is_solved: ClassVar[bool] = False
    matches: ClassVar[str] = ""
    grows: ClassVar[bool] = False
    roles: ClassVar[Mapping[str, Role]] = {}

    def __init__(self, config: Any, context: HeadContext) -> None:
        super().__init__()
        self.config = config
        self.n_inputs = context.n_inputs
        self.n_classes = context.n_classes

    @abstractmethod
    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) for embeddings (B, D)."""

    @abstractmethod
    def describe(self) -> Description:
        """The parameter count and the closed formula it must equal."""

    def adapt(self, embeddings: Tensor) -> None:
        """Fits whatever scaling the head has; called once, with the training embeddings alone."""

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes the sizes of saved tensors, for a head that `grows`; others have theirs already."""

    def circuits(self) -> dict[str, Circuit]:
        """The circuits the head runs, by role; none for a classical head."""
        return {}

    def n_trained(self) -> int:
        """How many values training sets, counted rather than computed."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)
