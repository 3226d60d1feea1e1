"""PennyLane's default.qubit on JAX: parameter broadcasting, value and gradient compiled as one function."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pennylane as qml

from peers.qnode import circuit_of, stacked
from peers.workload import Prepared, Result, Workload


def prepare(work: Workload) -> Prepared:
    """The compiled function, and a step that waits for it."""
    # Without this JAX would take the CPU where it finds no CUDA device.
    jax.config.update("jax_platforms", work.device)
    jax.config.update("jax_enable_x64", work.precision == "float64")
    device = qml.device("default.qubit", wires=work.n_qubits)
    node = qml.QNode(circuit_of(work), device, interface="jax", diff_method="backprop")
    features, weights, cotangent = (
        jnp.asarray(each, dtype=work.precision) for each in (work.features, work.weights, work.cotangent)
    )

    def loss(features: Any, weights: Any) -> tuple[Any, Any]:
        values = stacked(node(features, weights))
        return jnp.sum(values * cotangent), values

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    def step() -> Result:
        (_, values), gradients = jax.block_until_ready(compiled(features, weights))
        return values, *gradients

    return Prepared(step, work.precision)
