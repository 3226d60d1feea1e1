"""TensorCircuit-NG on JAX: vmap over the samples, value and gradient compiled as one function."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import tensorcircuit as tc

from peers.workload import Prepared, Result, Workload, angle_value

FIXED = {"H": "h", "X": "x", "CNOT": "cnot", "CZ": "cz"}
ROTATIONS = {"RX": "rx", "RY": "ry", "RZ": "rz"}

# Above this many qubits its default contraction order is several times slower than gate after gate, which it
# calls experimental; at and below it, faster.
DEFAULT_ORDER_UP_TO = 8


def prepare(work: Workload) -> Prepared:
    """The compiled function, and a step that waits for it."""
    # Without this JAX would take the CPU where it finds no CUDA device.
    jax.config.update("jax_platforms", work.device)
    backend = tc.set_backend("jax")
    tc.set_dtype({"float32": "complex64", "float64": "complex128"}[work.precision])
    if work.n_qubits > DEFAULT_ORDER_UP_TO:
        tc.set_contractor("plain-experimental")
    features, weights, cotangent = (
        jnp.asarray(each, dtype=work.precision) for each in (work.features, work.weights, work.cotangent)
    )
    batched = backend.vmap(lambda row, weights: _expectations(work, row, weights), vectorized_argnums=0)

    def loss(features: Any, weights: Any) -> tuple[Any, Any]:
        values = batched(features, weights)
        return jnp.sum(values * cotangent), values

    compiled = backend.jit(backend.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    def step() -> Result:
        (_, values), gradients = jax.block_until_ready(compiled(features, weights))
        return values, *gradients

    return Prepared(step, work.precision)


def _expectations(work: Workload, features: Any, weights: Any) -> Any:
    circuit = tc.Circuit(work.n_qubits)
    for gate in work.gates:
        angles = [angle_value(angle, features, weights) for angle in gate.angles]
        if gate.name in FIXED:
            getattr(circuit, FIXED[gate.name])(*gate.qubits)
        elif gate.name in ROTATIONS:
            getattr(circuit, ROTATIONS[gate.name])(*gate.qubits, theta=angles[0])
        elif gate.name == "ROT":
            # Apart from a phase of the whole state.
            circuit.u(*gate.qubits, theta=angles[1], phi=angles[2], lbd=angles[0])
        else:
            raise NotImplementedError(f"this peer's file has no {gate.name}")
    values = [circuit.expectation_ps(**_letters(each)) for each in work.observables]
    return jnp.real(jnp.stack(values))


def _letters(observable: list[tuple[int, str]]) -> dict[str, list[int]]:
    return {
        letter.lower(): [qubit for qubit, other in observable if other == letter]
        for letter in {letter for _, letter in observable}
    }
