"""`qml.device("hybridqies.statevector")`: the engine as a PennyLane device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
import torch
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.default_qubit import accepted_analytic_measurement, accepted_sample_measurement
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.devices.preprocess import (
    decompose,
    device_resolve_dynamic_wires,
    validate_device_wires,
    validate_measurements,
)
from pennylane.exceptions import DeviceError
from pennylane.math import Interface
from pennylane.measurements import ClassicalShadowMP, ShadowExpvalMP

from hybridqies.pennylane_device.measure import measured_states, pauli_expectations, reads_pauli_words
from hybridqies.pennylane_device.plans import Plans
from hybridqies.pennylane_device.tape import TARGET_GATES, decompose_once, is_gate

_JAX = (Interface.JAX, Interface.JAX_JIT)


@simulator_tracking
@single_tape_support
class StateVectorDevice(Device):  # type: ignore[misc]
    """The native state-vector simulator for PennyLane: broadcasting and adjoint gradients of its own.

    Parameters
    ----------
    wires: their number or their labels; None takes those of each circuit.
    shots: the number of shots where a QNode sets none; None is exact.
    seed: what `numpy.random.default_rng` takes; shots of equal seeds are equal.
    """

    def __init__(self, wires: Any = None, shots: Any = None, seed: Any = None) -> None:
        super().__init__(wires=wires, shots=shots)
        self._random = np.random.default_rng(seed)
        self._plans = Plans()

    @property
    def name(self) -> str:
        """The name of the device, by which `qml.device` finds it."""
        return "hybridqies.statevector"

    @property
    def bytes_held(self) -> int:
        """Bytes kept between circuits: the plans of the last ones, and arrays for the next."""
        return self._plans.nbytes

    def setup_execution_config(self, config: Any = None, circuit: Any = None) -> Any:  # noqa: ARG002
        """Adjoint gradients as vector-Jacobian products, or inside torch's own graph; deferred measurements.

        Raises
        ------
        DeviceError: an option or a method of mid-circuit measurement that the device does not have.
        """
        config = config or ExecutionConfig()
        if config.device_options:
            given = ", ".join(config.device_options)
            raise DeviceError(f"{self.name} was given device options {given}; expected none")
        method = config.mcm_config.mcm_method
        if method not in (None, "deferred"):
            raise DeviceError(f"{self.name} was given mcm_method {str(method)!r}; expected 'deferred'")
        config = replace(config, mcm_config=replace(config.mcm_config, mcm_method="deferred"))
        if config.gradient_method not in ("best", "adjoint"):
            return config
        # "backprop" is PennyLane's word for results that carry the gradient of torch themselves.
        in_torch = config.interface == Interface.TORCH
        return replace(
            config,
            gradient_method="backprop" if in_torch else "adjoint",
            use_device_gradient=True,
            use_device_jacobian_product=not in_torch and config.interface not in _JAX,
            grad_on_execution=False,
        )

    def preprocess_transforms(self, execution_config: Any = None) -> Any:
        """Decomposes to the engine's gates, and splits a batch only where PennyLane requires it."""
        config = execution_config or self.setup_execution_config()
        program = qml.CompilePipeline()
        program.add_transform(qml.defer_measurements, allow_postselect=False)
        program.add_transform(
            decompose,
            stopping_condition=is_gate,
            decomposer=decompose_once,
            device_wires=self.wires,
            target_gates=TARGET_GATES,
            name=self.name,
        )
        program.add_transform(device_resolve_dynamic_wires, wires=self.wires, allow_resets=False)
        program.add_transform(validate_device_wires, self.wires, name=self.name)
        program.add_transform(
            validate_measurements,
            analytic_measurements=accepted_analytic_measurement,
            sample_measurements=accepted_sample_measurement,
            name=self.name,
        )
        program.add_transform(_shadows_one_by_one)
        if config.gradient_method == "adjoint" and not config.use_device_jacobian_product:
            program.add_transform(qml.transforms.broadcast_expand)
        return program

    def supports_derivatives(self, execution_config: Any = None, circuit: Any = None) -> bool:
        """First derivatives of exact expectations of Pauli words, by the adjoint method."""
        if execution_config is None:
            return True
        if execution_config.gradient_method not in ("best", "adjoint"):
            return False
        return execution_config.derivative_order == 1 and (circuit is None or reads_pauli_words(circuit))

    supports_vjp = supports_derivatives

    def execute(self, circuits: Sequence[Any], execution_config: Any = None) -> tuple[Any, ...]:
        """The results of each circuit, in the shapes that PennyLane wants.

        Raises
        ------
        DeviceError: a circuit that the engine has no memory for, or no gradient where one is wanted.
        """
        in_torch = execution_config is not None and execution_config.gradient_method == "backprop"
        return tuple(self._run(each.map_to_standard_wires(), in_torch) for each in circuits)

    def compute_vjp(
        self,
        circuits: Sequence[Any],
        cotangents: Sequence[Any],
        execution_config: Any = None,  # noqa: ARG002
    ) -> tuple[Any, ...]:
        """For each circuit the gradient of ⟨cotangent, results⟩, an array for each trainable parameter.

        Raises
        ------
        DeviceError: a circuit that reads something else than exact expectations of Pauli words.
        """
        return tuple(map(self._vjp, circuits, cotangents))

    def compute_derivatives(
        self,
        circuits: Sequence[Any],
        execution_config: Any = None,  # noqa: ARG002
    ) -> tuple[Any, ...]:
        """For each circuit the Jacobian (measurements, parameters), single rows and columns dropped.

        Raises
        ------
        DeviceError: a circuit that reads something else than exact expectations of Pauli words, or one with a
        batch, whose Jacobian PennyLane has no shape for.
        """
        return tuple(map(self._jacobian, circuits))

    def _run(self, tape: Any, in_torch: bool) -> Any:
        if not reads_pauli_words(tape):
            return measured_states(tape, self._plans, self._random)
        values = pauli_expectations(tape, self._plans)
        in_torch = in_torch or any(each.requires_grad for each in values)
        results = values if in_torch else tuple(each.cpu().numpy() for each in values)
        return results[0] if len(results) == 1 else results

    def _differentiable(self, tape: Any) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
        """The trainable parameters of a tape as leaves, and its expectations."""
        if not reads_pauli_words(tape):
            raise DeviceError(
                f"{self.name} was asked for the adjoint gradient of {tape.measurements} with {tape.shots}; "
                "expected exact expectations of Pauli words"
            )
        leaves = [torch.tensor(value, requires_grad=True) for value in map(_floating, tape.get_parameters())]
        bound = tape.map_to_standard_wires().bind_new_parameters(leaves, tape.trainable_params)
        return leaves, pauli_expectations(bound, self._plans)

    # PennyLane also calls from within a backward pass of torch, where its gradients are off.
    @torch.enable_grad()
    def _vjp(self, tape: Any, cotangent: Any) -> tuple[Any, ...]:
        leaves, values = self._differentiable(tape)
        given = cotangent if len(values) > 1 else (cotangent,)
        pairs = zip(values, given, strict=True)
        total = sum(((torch.as_tensor(np.asarray(c)) * v).sum() for v, c in pairs), torch.zeros(()))
        return _gradients_of(total, leaves)

    @torch.enable_grad()
    def _jacobian(self, tape: Any) -> Any:
        if tape.batch_size is not None:
            raise DeviceError(
                f"{self.name} was asked for the Jacobian of a circuit with a batch of {tape.batch_size}; "
                "take vector-Jacobian products (compute_vjp), or expand the batch"
            )
        leaves, values = self._differentiable(tape)
        rows = [_gradients_of(value, leaves) for value in values]
        columns = [row[0] if len(row) == 1 else row for row in rows]
        return columns[0] if len(columns) == 1 else tuple(columns)


def _gradients_of(total: torch.Tensor, leaves: Sequence[torch.Tensor]) -> tuple[Any, ...]:
    if not leaves or not total.requires_grad:
        return tuple(np.zeros(leaf.shape) for leaf in leaves)
    gradients = torch.autograd.grad(total, leaves, retain_graph=True, materialize_grads=True)
    return tuple(gradient.numpy() for gradient in gradients)


def _floating(value: Any) -> Any:
    array = np.asarray(value)
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


@qml.transform  # type: ignore[untyped-decorator]
def _shadows_one_by_one(tape: Any) -> Any:
    """PennyLane draws classical shadows from one state at a time."""
    if any(isinstance(each, ClassicalShadowMP | ShadowExpvalMP) for each in tape.measurements):
        return qml.transforms.broadcast_expand(tape)
    return (tape,), lambda results: results[0]
