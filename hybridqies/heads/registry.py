"""The table of heads. A new one is a file beside this and a row here; the table drives tests and docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hybridqies.extensions import class_names, find_class
from hybridqies.options import from_mapping

if TYPE_CHECKING:
    from hybridqies.heads.base import Head, HeadContext

HEADS: dict[str, str] = {
    "two-module": "hybridqies.heads.two_module:TwoModuleHead",
    "dressed": "hybridqies.heads.dressed:DressedHead",
    "reupload": "hybridqies.heads.reupload:ReuploadHead",
    "logistic": "hybridqies.heads.logistic:LogisticHead",
    "mlp": "hybridqies.heads.mlp:MLPHead",
    "matched-mlp": "hybridqies.heads.mlp:MatchedMLPHead",
    "svc": "hybridqies.heads.svc:SVCHead",
    "quantum-kernel": "hybridqies.heads.quantum_kernel:QuantumKernelHead",
}

# Where other packages announce heads of their own.
ENTRY_POINTS = "hybridqies.heads"


def head_names() -> list[str]:
    """Every head: those of the table, then those of installed packages."""
    return class_names(HEADS, ENTRY_POINTS)


def head_class(name: str) -> type[Head]:
    """The class behind a head's name; its ClassVars tell what it does.

    Raises
    ------
    UnknownNameError: no head has that name; the nearest is offered.
    CapabilityError: another package announces it, and it cannot be loaded.
    """
    from hybridqies.heads.base import Head

    return find_class("head", name, HEADS, ENTRY_POINTS, Head)  # type: ignore[type-abstract]


def quantum_heads() -> list[str]:
    """The heads of the table that run a circuit."""
    return [name for name in HEADS if head_class(name).runs_circuit]


def matching(name: str, n_parameters: int) -> dict[str, int]:
    """The option that makes the head called `name` about that large; none for a head of its own size."""
    option = head_class(name).matches
    return {option: n_parameters} if option else {}


def build_head(name: str, options: Mapping[str, Any], context: HeadContext) -> Head:
    """The head called `name` with `options`, unknown ones refused by name."""
    found = head_class(name)
    return found(from_mapping(found.Config, options, what=f"option of head {name!r}:"), context)
