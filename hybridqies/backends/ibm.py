"""IBM Quantum: QPUs through qiskit-ibm-runtime, and snapshots of them that are simulated here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from hybridqies.backends.aer import Aer
from hybridqies.backends.base import Capabilities, Variant
from hybridqies.backends.estimate import Estimate
from hybridqies.backends.ibm_provider import IBMProvider
from hybridqies.backends.remote import JobSettings, RemoteBackend, RemoteOptions
from hybridqies.backends.resources import Resources
from hybridqies.circuit import Circuit
from hybridqies.errors import CapabilityError

_LOCAL = "fake_"


@dataclass(frozen=True, slots=True)
class IBMOptions(RemoteOptions):
    """Shots, and how a QPU suppresses errors: dynamical decoupling, twirling of gates and measurements."""

    shots: int | None = 4096
    dynamical_decoupling: bool = False
    twirling: bool = False


def _variant(target: str, summary: str, *, hardware: bool, max_qubits: int) -> Variant:
    able = Capabilities(
        native_gradients=False,
        shots=True,
        noise=True,
        hardware=hardware,
        amplitude_input=False,
        max_qubits=max_qubits,
        costs_money=hardware,
    )
    return Variant(target, summary, able, packages=("qiskit_ibm_runtime",), extra="ibm")


class IBM(RemoteBackend):
    """A QPU by its name (`ibm:ibm_torino`), in Batch mode; or a snapshot of one (`ibm:fake_torino`).

    A snapshot is simulated here by Aer with the noise of the device, for nothing and without a journal:
    by density matrix up to 12 qubits, else by a trajectory a shot.

    Raises
    ------
    CapabilityError: error suppression was asked of a snapshot.
    UnknownNameError: there is no such snapshot.
    """

    name: ClassVar[str] = "ibm"
    variants: ClassVar[tuple[Variant, ...]] = (
        _variant(
            "fake_torino",
            "snapshot of an IBM QPU with 133 qubits, simulated here",
            hardware=False,
            max_qubits=28,
        ),
        _variant(
            "<fake_device>",
            "any other snapshot, such as ibm:fake_manila, simulated here",
            hardware=False,
            max_qubits=28,
        ),
        _variant(
            "<device>", "an IBM QPU, such as ibm:ibm_torino, in Batch mode", hardware=True, max_qubits=156
        ),
    )
    Options: ClassVar[type] = IBMOptions

    def __init__(self, target: str = "", *, jobs: JobSettings | None = None, **options: Any) -> None:
        super().__init__(target, jobs=jobs, **options)
        given: IBMOptions = self.options
        self._local: tuple[Aer, ...] = ()
        if self.capabilities.hardware:
            self._provider = IBMProvider(self.target, given)
            return
        if given.dynamical_decoupling or given.twirling:
            raise CapabilityError(
                f"error suppression was asked of backend {self.label!r}",
                expected="a QPU, as in ibm:ibm_torino",
            )
        shared = {"device": self.target, "shots": given.shots, "seed": given.seed}
        self._local = (Aer("density_matrix", **shared), Aer("statevector", **shared))
        self.capabilities = replace(
            self.capabilities, max_qubits=max(each.capabilities.max_qubits for each in self._local)
        )

    @classmethod
    def variant_of(cls, target: str) -> Variant:
        """The row for `target`: every name that begins with fake_ is a snapshot."""
        named = {each.target: each for each in cls.variants}
        if not target:
            return cls.variants[0]
        return named.get(target) or named["<fake_device>" if target.startswith(_LOCAL) else "<device>"]

    @property
    def has_jobs(self) -> bool:
        """Whether it is a QPU: a snapshot is simulated here."""
        return not self._local

    def provider(self) -> IBMProvider:
        """IBM Quantum by its own client."""
        if self._local:
            raise CapabilityError(
                f"backend {self.label!r} has no jobs", expected="a QPU, as in ibm:ibm_torino"
            )
        return self._provider

    def resources(self, circuit: Circuit) -> Resources:
        """What the circuit takes once it is compiled for the device."""
        return self._simulator(circuit).resources(circuit) if self._local else super().resources(circuit)

    def n_jobs(self, bases: int, rows: int) -> int:
        """Jobs at the service; a snapshot takes everything at once."""
        return 1 if self._local else super().n_jobs(bases, rows)

    def _execute(self, circuit: Circuit, angles: Tensor, amplitudes: Tensor | None) -> Estimate:
        if self._local:
            return self._simulator(circuit)._execute(circuit, angles, amplitudes)
        return super()._execute(circuit, angles, amplitudes)

    def _simulator(self, circuit: Circuit) -> Aer:
        """The first that takes the circuit."""
        return next(
            (each for each in self._local if circuit.n_qubits <= each.capabilities.max_qubits),
            self._local[-1],
        )
