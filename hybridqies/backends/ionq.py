"""IonQ's simulators and QPUs."""

from __future__ import annotations

from typing import Any, ClassVar

from hybridqies.backends.base import Capabilities, Variant
from hybridqies.backends.ionq_provider import IonQOptions, IonQProvider
from hybridqies.backends.remote import JobSettings, RemoteBackend


class IonQ(RemoteBackend):
    """IonQ's cloud simulator and QPUs. Equal work under an equal seed is one job."""

    name: ClassVar[str] = "ionq"
    variants: ClassVar[tuple[Variant, ...]] = (
        Variant(
            "simulator",
            "IonQ's cloud simulator, ideal or with a QPU's noise model",
            Capabilities(
                native_gradients=False,
                shots=True,
                noise=True,
                hardware=False,
                amplitude_input=False,
                max_qubits=29,
                costs_money=False,
            ),
            packages=("qiskit_ionq",),
            extra="ionq",
        ),
        Variant(
            "<qpu>",
            "an IonQ QPU, such as ionq:qpu.forte-1",
            Capabilities(
                native_gradients=False,
                shots=True,
                noise=True,
                hardware=True,
                amplitude_input=False,
                max_qubits=36,
                costs_money=True,
            ),
            packages=("qiskit_ionq",),
            extra="ionq",
        ),
    )
    Options: ClassVar[type] = IonQOptions

    def __init__(self, target: str = "", *, jobs: JobSettings | None = None, **options: Any) -> None:
        super().__init__(target, jobs=jobs, **options)
        self._provider = IonQProvider(self.target, self.options)

    @property
    def tells_errors(self) -> bool:
        """Not where averages are debiased: they are no plain samples."""
        return not self.options.debiasing

    def provider(self) -> IonQProvider:
        """IonQ by its own client."""
        return self._provider
