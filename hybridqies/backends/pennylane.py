"""PennyLane's devices, with their own gradients where they have them and the shift rules elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hybridqies.backends.base import Capabilities, Variant
from hybridqies.backends.circuit_cache import CircuitCache
from hybridqies.backends.estimate import Estimate
from hybridqies.backends.executor import ExecutingBackend, ExecutionOptions, derive_seed
from hybridqies.backends.free_circuit import FreeCircuit
from hybridqies.backends.frequencies import Frequencies, estimate_observables
from hybridqies.backends.gradient_rules import Gradient
from hybridqies.backends.measurement_bases import split_by_basis
from hybridqies.backends.memory import check_memory
from hybridqies.circuit import Circuit, Constant, Gate, Weight, gate, gate_type, to_pennylane
from hybridqies.errors import CapabilityError, UnknownNameError

# Amplitudes that are run at a time; larger batches go in pieces.
_AT_ONCE = 2**23
# Devices of PennyLane that return zero for everything, for timing.
_NO_ANSWER = ("null.qubit",)
# Packages whose devices are known to run on this machine.
_LOCAL_PACKAGES = ("hybridqies", "pennylane", "pennylane_lightning")
# Fewer bytes are not checked against the memory that is free.
_ALWAYS_THERE = 2**26


def _able(*, native_gradients: bool) -> Capabilities:
    return Capabilities(
        native_gradients=native_gradients,
        shots=True,
        noise=False,
        hardware=False,
        amplitude_input=True,
        max_qubits=28,
        costs_money=False,
    )


@dataclass(frozen=True, slots=True)
class PennyLaneOptions(ExecutionOptions):
    """Shots and gradients of a device.

    With `gradient` adjoint the device differentiates, by backpropagation or the adjoint method: values may
    then be sampled while the gradient is exact. Devices that cannot differentiate use shift.
    """

    gradient: Gradient = Gradient.ADJOINT


class PennyLane(ExecutingBackend):
    """Any installed PennyLane device. Tensors go to it on the CPU and in double precision.

    A batch is one broadcast tape, which PennyLane itself splits for devices that take no batches.

    Raises
    ------
    UnknownNameError: no installed device has that name.
    CapabilityError: the device cannot be made, runs no such circuit, or takes no seed for its shots.
    """

    name: ClassVar[str] = "pennylane"
    variants: ClassVar[tuple[Variant, ...]] = (
        Variant(
            "default.qubit",
            "PennyLane's own simulator: a batch at once, gradients by backpropagation",
            _able(native_gradients=True),
            packages=("pennylane",),
        ),
        Variant(
            "lightning.qubit",
            "PennyLane's C++ simulator: sample by sample, adjoint gradients",
            _able(native_gradients=True),
            packages=("pennylane", "pennylane_lightning"),
        ),
        Variant(
            "lightning.gpu",
            "PennyLane's CUDA simulator: sample by sample, adjoint gradients",
            _able(native_gradients=True),
            packages=("pennylane", "pennylane_lightning.lightning_gpu"),
            extra="gpu",
        ),
        Variant(
            "<device>",
            "any other installed PennyLane device; its own gradients where it has them",
            _able(native_gradients=False),
            packages=("pennylane",),
        ),
    )
    Options: ClassVar[type] = PennyLaneOptions

    def __init__(self, target: str = "", **options: Any) -> None:
        if not self.variant_of(target).capabilities.native_gradients:
            options = {"gradient": Gradient.SHIFT.value} | options
        super().__init__(target, **options)
        if self.target in _NO_ANSWER:
            raise CapabilityError(
                f"backend {self.label!r} was asked for expectations", expected="a device that computes them"
            )
        self._method = _gradient_method(_device(self.target, 1, 0))
        if self.options.shots is not None and not _takes_seed(self.target):
            raise CapabilityError(
                f"backend {self.label!r} was asked for shots",
                expected="none: the device takes no seed, so that samples could not be repeated",
            )
        self._rotations = CircuitCache(lambda circuit: FreeCircuit.of(_with_rotations(circuit)))

    @classmethod
    def variant_of(cls, target: str) -> Variant:
        """The row for `target`; a device that has none of its own is asked what it can do."""
        variant = super().variant_of(target)
        if not variant.is_open or variant.missing:
            return variant
        import pennylane as qml

        if target not in qml.plugin_devices:
            raise UnknownNameError("PennyLane device", target, qml.plugin_devices)
        native = bool(_gradient_method(_device(target, 1, 0)))
        return replace(variant, target=target, capabilities=_able(native_gradients=native))

    @classmethod
    def may_cost(cls, target: str) -> bool:
        """True for devices of other packages, which may be remote. The device is not made."""
        import pennylane as qml

        row = super().variant_of(target)
        if not row.is_open:
            return row.capabilities.costs_money
        if target not in qml.plugin_devices:
            raise UnknownNameError("PennyLane device", target, qml.plugin_devices)
        return qml.plugin_devices[target].value.partition(".")[0] not in _LOCAL_PACKAGES

    def _run(self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        free = self._rotations(circuit)
        slots = free.slots_of(features=features.requires_grad, weights=weights.requires_grad)
        of_start = amplitudes is not None and amplitudes.requires_grad
        native = self.options.gradient is Gradient.ADJOINT and torch.is_grad_enabled()
        if not (native and (slots or of_start)) or (of_start and self._method == "adjoint"):
            # Nothing to differentiate, or not by the device. Shift rules refuse what they cannot do.
            return super()._run(circuit, features, weights, amplitudes)
        angles = free.values(features, weights).cpu().double()
        starts = _unit_norm(amplitudes)
        if self._method == "backprop":
            smooth = self._by_backprop(free.circuit, angles, starts).to(features)
        else:
            sweep = _Sweep(self.target, free.circuit, angles, starts, slots)
            smooth = _Adjoint.apply(angles, sweep).to(features)  # type: ignore[no-untyped-call]
        if self.options.shots is None:
            return smooth
        with torch.no_grad():
            sampled = super()._run(circuit, features, weights, amplitudes)
        # The value is sampled; the gradient is that of the exact expectation.
        return smooth + (sampled - smooth).detach()

    def _by_backprop(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Tensor:
        # A state is kept for every gate.
        asked = 16 * len(angles) * (len(circuit.gates) + 2) << circuit.n_qubits
        if asked > _ALWAYS_THERE:
            check_memory(angles, circuit.n_qubits, asked)
        device = _device(self.target, circuit.n_qubits, self.options.seed)
        (result,) = _executed(device, [_tape(circuit, angles, amplitudes)], "backprop")
        return _columns(result)

    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        starts = _unit_norm(amplitudes)
        if not circuit.n_weights and starts is None:
            # A circuit without angles has no batch; a rotation by 0 gives it one.
            circuit = replace(circuit, gates=(gate("RZ", 0, Weight(0)), *circuit.gates), n_weights=1)
            angles = angles.new_zeros(len(angles), 1)
        device = _device(
            self.target, circuit.n_qubits, derive_seed(self.options.seed, circuit, angles, amplitudes)
        )
        at_once = max(1, _AT_ONCE >> circuit.n_qubits)
        read = self._sampled if self.options.shots else _exact
        pieces = [
            read(
                device,
                circuit,
                angles[at : at + at_once],
                None if starts is None else starts[at : at + at_once],
            )
            for at in range(0, len(angles), at_once)
        ]
        covariances = [piece.covariance for piece in pieces if piece.covariance is not None]
        return Estimate(
            torch.cat([piece.values for piece in pieces]), torch.cat(covariances) if covariances else None
        )

    def _sampled(self, device: Any, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        """From the device's own samples: with shots, its probabilities are frequencies."""
        import pennylane as qml

        shots: int = self.options.shots
        tapes = [
            _tape(each, angles, amplitudes).copy(
                measurements=[qml.probs(wires=range(circuit.n_qubits))], shots=shots
            )
            for each in split_by_basis(circuit)
        ]
        outcomes = np.arange(1 << circuit.n_qubits)[None]
        # A batch of one comes without its axis.
        seen = [np.asarray(result).reshape(len(angles), -1) for result in _executed(device, tapes)]
        return estimate_observables(
            circuit, [Frequencies(outcomes, frequencies, shots) for frequencies in seen]
        )


def _exact(device: Any, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
    (result,) = _executed(device, [_tape(circuit, angles, amplitudes)])
    return Estimate(_columns(result))


def _device(target: str, n_qubits: int, seed: int) -> Any:
    """A PennyLane device with wires 0 to n-1, seeded where it can be."""
    import pennylane as qml

    seeded = {"seed": seed} if _takes_seed(target) else {}
    with _named_errors(target):
        return qml.device(target, wires=n_qubits, **seeded)


def _takes_seed(target: str) -> bool:
    import pennylane as qml

    with _named_errors(target):
        return "seed" in inspect.signature(qml.plugin_devices[target].load()).parameters


def _gradient_method(device: Any) -> str:
    """How the device differentiates: "backprop", "adjoint", or "" where it doesn't."""
    from pennylane.devices import ExecutionConfig

    # Others claim it too, and default.mixed 0.45 detaches the angles of some gates from torch.
    if device.name == "default.qubit":
        return "backprop"
    if device.supports_vjp(ExecutionConfig(gradient_method="adjoint")):
        return "adjoint"
    return ""


@contextmanager
def _named_errors(target: str) -> Iterator[None]:
    """What a device refuses, as an error of ours that names it."""
    from pennylane.exceptions import DecompositionUndefinedError, DeviceError, WireError

    try:
        yield
    except (DecompositionUndefinedError, DeviceError, ImportError, NotImplementedError, WireError) as error:
        raise CapabilityError(
            f"PennyLane device {target!r} refuses: {error}",
            todo="use another backend (see: hybridqies backends)",
        ) from error


def _tape(circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Any:
    """One broadcast tape of a circuit without features; tensors that need no gradient go in as arrays."""
    import pennylane as qml

    given = (each if each is None or each.requires_grad else each.numpy() for each in (angles, amplitudes))
    return qml.tape.make_qscript(to_pennylane(circuit))(None, *given)


def _executed(device: Any, tapes: Sequence[Any], method: str | None = None) -> Sequence[Any]:
    import pennylane as qml

    interface = "torch" if method else "numpy"
    with _named_errors(device.name):
        results: Sequence[Any] = qml.execute(tapes, device, diff_method=method, interface=interface)
    return results


def _columns(result: Any) -> Tensor:
    """The values (B, M) of a broadcast tape, which come observable by observable."""
    columns = result if isinstance(result, tuple | list) else (result,)
    return torch.stack([torch.as_tensor(each) for each in columns], dim=1)


def _unit_norm(amplitudes: Tensor | None) -> Tensor | None:
    """In double precision and again of unit norm: PennyLane checks more digits than float32 has."""
    if amplitudes is None:
        return None
    amplitudes = amplitudes.cpu().to(torch.promote_types(amplitudes.dtype, torch.float64))
    unit: Tensor = amplitudes / torch.linalg.vector_norm(amplitudes, dim=1, keepdim=True)
    return unit


def _with_rotations(circuit: Circuit) -> Circuit:
    """The circuit with an equal ROT for each U: devices that split a U lose its angles."""

    def rewritten(each: Gate) -> Gate:
        if each.type.name != "U":
            return each
        theta, phi, lamda = each.angles
        return Gate(gate_type("ROT"), each.qubits, (lamda, theta, phi))

    return replace(circuit, gates=tuple(map(rewritten, circuit.gates)))


class _Sweep:
    """A batch on a device with adjoint gradients: its values, and the gradient of a loss in its angles."""

    def __init__(
        self, target: str, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None, slots: Sequence[int]
    ) -> None:
        from pennylane.devices import ExecutionConfig

        self.device = _device(target, circuit.n_qubits, 0)
        self.slots = slots
        wanted = ExecutionConfig(
            gradient_method="adjoint", use_device_gradient=True, use_device_jacobian_product=True
        )
        tape = _tape(circuit, angles.detach(), amplitudes)
        with _named_errors(target):
            self.config = self.device.setup_execution_config(wanted, tape)
            self.tapes, self.gather = self.device.preprocess_transforms(self.config)([tape])
        places = _places(circuit, amplitudes is not None)
        if any(len(each.get_parameters(trainable_only=False)) != places[-1] for each in self.tapes):
            raise CapabilityError(
                f"PennyLane device {target!r} splits gates of {circuit.name!r} that it differentiates",
                todo="use gradient=shift",
            )
        for each in self.tapes:
            each.trainable_params = [places[slot] for slot in slots]

    def values(self) -> Tensor:
        """Expectations (B, M)."""
        (result,) = self.gather(self.device.execute(self.tapes, self.config))
        return _columns(result)

    def gradients_of_slots(self, gradients: Tensor) -> Tensor:
        """The gradients of a loss in the wanted slots, (B, slots), from those in the values, (B, M)."""
        rows = gradients.numpy()
        if self.tapes[0].batch_size is not None:
            (of_slots,) = self.device.compute_vjp(self.tapes, (_cotangent(rows.T),), self.config)
            return torch.stack([torch.as_tensor(each) for each in of_slots], dim=1)
        each_row = self.device.compute_vjp(self.tapes, tuple(map(_cotangent, rows)), self.config)
        return torch.from_numpy(np.array(each_row, dtype=np.float64).reshape(len(rows), len(self.slots)))


def _cotangent(column: Any) -> Any:
    """As PennyLane takes it: one number or array an observable; not in a tuple where there is one."""
    return tuple(column) if len(column) > 1 else column[0]


def _places(circuit: Circuit, has_start: bool) -> list[int]:
    """Where each weight stands among the parameters of a tape; last, how many parameters there are."""
    angles = [angle for each in circuit.gates for angle in each.angles]
    places = [at + has_start for at, angle in enumerate(angles) if not isinstance(angle, Constant)]
    return [*places, len(angles) + has_start]


class _Adjoint(torch.autograd.Function):
    """Values of a sweep; backward asks the device for the gradients."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor, sweep: _Sweep) -> Tensor:
        ctx.sweep = sweep
        ctx.shape = angles.shape
        return sweep.values()

    @staticmethod
    def backward(ctx: Any, gradients: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise CapabilityError(
                "a second derivative of a circuit was asked for (create_graph=True)",
                expected="first derivatives only from a PennyLane device",
                todo="call backward without create_graph, or difference the gradient",
            )
        of_angles = gradients.new_zeros(ctx.shape)
        of_angles[:, ctx.sweep.slots] = ctx.sweep.gradients_of_slots(gradients)
        return of_angles, None
