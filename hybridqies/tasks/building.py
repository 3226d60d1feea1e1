"""From a specification to a head, the one way for runs, comparisons, studies and estimators."""

from __future__ import annotations

import hashlib
import json

import torch
from torch import nn

from hybridqies.backends import Backend
from hybridqies.circuit import Circuit
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads import Head, HeadContext, build_head, head_class, head_options
from hybridqies.tasks.specs import ModelSpec
from hybridqies.tuning.spec import Tuning


def build_head_of(spec: ModelSpec, n_inputs: int, n_classes: int, backend: Backend, seed: int) -> Head:
    """The head of `spec` from embeddings (B, D) to logits (B, K), drawn from `seed`.

    Raises
    ------
    UnknownNameError: a head, circuit, option or part to freeze that does not exist.
    InputError: options that contradict each other, or do not fit the sizes.
    """
    own = spec.circuit if isinstance(spec.circuit, Circuit) else None
    if own is not None and spec.n_qubits not in (None, own.n_qubits):
        raise InputError(f"n_qubits={spec.n_qubits} was given with a circuit of {own.n_qubits} qubits")
    circuits = dict(spec.circuits or {})
    if own is not None:
        circuits.setdefault("circuit", own)
    qubits = own.n_qubits if own is not None else spec.n_qubits
    options = spec.options
    if options is None:
        options = head_options(spec.head, spec.settings, spec.circuit, qubits)
    generator = torch.Generator().manual_seed(seed)
    head = build_head(
        spec.head, options, HeadContext(n_inputs, n_classes, backend, generator, circuits or None)
    )
    _freeze(head, spec)
    return head


def tuning_of(spec: ModelSpec) -> Tuning:
    """How the encoder is changed for a model of `spec`, and by what.

    Raises
    ------
    UnknownNameError: no head has that name.
    InputError: it was to be trained through a head that is solved.
    """
    return spec.tuning.for_head(is_solved=head_class(spec.head).is_solved)


def digest_circuits(head: Head) -> str:
    """A digest of the circuits that the head is laid out with; empty where it has none."""
    circuits = {role: circuit.to_mapping() for role, circuit in head.circuits().items()}
    if not circuits:
        return ""
    return hashlib.sha256(json.dumps(circuits, sort_keys=True).encode()).hexdigest()


def runs_circuit(head: str) -> bool:
    """Whether the head of that name runs a circuit."""
    return head_class(head).runs_circuit


def _freeze(head: nn.Module, spec: ModelSpec) -> None:
    parts = dict(head.named_children())
    for name in spec.frozen:
        if name not in parts:
            raise UnknownNameError(f"part of head {spec.head!r} to freeze:", name, parts)
        parts[name].requires_grad_(False)
