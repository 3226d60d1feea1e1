"""The protocol of a backend: circuits and tensors in, expectations out, and declared capabilities."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from torch import Tensor

from hybridqies.backends.estimate import Estimate
from hybridqies.backends.inputs import check_inputs
from hybridqies.backends.registry import DEFAULT_BACKEND
from hybridqies.backends.spec import BackendSpec, label_of
from hybridqies.circuit import Circuit, Start
from hybridqies.errors import CapabilityError, MissingExtraError, UnknownNameError
from hybridqies.options import from_mapping, to_mapping


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; everything else it refuses by name.

    With `light_cones` a circuit may have more than `max_qubits`, if exact values are asked for and no
    observable depends on more than `max_qubits` of them.
    """

    native_gradients: bool
    shots: bool
    noise: bool
    hardware: bool
    amplitude_input: bool
    max_qubits: int
    costs_money: bool
    light_cones: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """One target of a family: a row of the table of backends.

    `target` follows the family's name and a colon; a target in angle brackets stands for any other.
    `options` are its own options where they are not those of the family.
    `packages` are the modules it needs, and `extra` installs them.
    """

    target: str
    summary: str
    capabilities: Capabilities
    packages: tuple[str, ...] = ()
    extra: str = ""
    options: type | None = None

    @property
    def is_open(self) -> bool:
        """Whether it stands for every target that has no row of its own."""
        return self.target.startswith("<")

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules it needs that are not installed here."""
        return tuple(name for name in self.packages if find_spec(name) is None)


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The options of a backend that has none."""


class Backend(ABC):
    """Where circuits run. Subclasses fill in `_run`; inputs are checked and normalised here.

    A family with several targets lists them in `variants`; one with settings has a frozen
    dataclass `Options`, whose fields are what may follow the name in a string
    (`aer:density_matrix,p2=0.01`) or be given as keywords (`Aer("density_matrix", p2=0.01)`).

    Raises
    ------
    UnknownNameError: a target or an option that it does not have.
    MissingExtraError: the packages that it needs are not installed.
    """

    name: ClassVar[str]
    variants: ClassVar[tuple[Variant, ...]]
    Options: ClassVar[type] = NoOptions

    def __init__(self, target: str = "", **options: Any) -> None:
        self.variant = self.variant_of(target)
        self.target = target or self.variant.target
        if self.variant.missing:
            raise MissingExtraError(f"backend {self.label!r}", self.variant.extra)
        self.options: Any = from_mapping(
            self.variant.options or self.Options, options, what=f"option of backend {self.label!r}:"
        )
        self.capabilities = self.variant.capabilities

    @classmethod
    def variant_of(cls, target: str) -> Variant:
        """The row for `target`; the first row when it is empty."""
        if not target:
            return cls.variants[0]
        for variant in cls.variants:
            if variant.target == target:
                return variant
        for variant in cls.variants:
            if variant.is_open:
                return variant
        raise UnknownNameError(
            f"target of backend {cls.name!r}:", target, [each.target for each in cls.variants if each.target]
        )

    @classmethod
    def may_cost(cls, target: str) -> bool:
        """Whether circuits on `target` may cost money; asked before a backend that a file names is made."""
        return cls.variant_of(target).capabilities.costs_money

    @property
    def label(self) -> str:
        """Family and target, as messages and tables name it."""
        return label_of(self.name, self.target)

    @property
    def spec(self) -> str:
        """The string from which `load_backend` makes an equal backend; it holds no credentials."""
        defaults = to_mapping(type(self.options)())
        given = {key: value for key, value in to_mapping(self.options).items() if value != defaults[key]}
        return str(BackendSpec(self.name, self.target, given))

    @property
    def gradient(self) -> str:
        """The name of its gradient method, as it is recorded."""
        return "adjoint"

    @property
    def tells_errors(self) -> bool:
        """Whether the covariance of its estimates describes their errors."""
        return True

    @property
    def is_exact(self) -> bool:
        """Whether its values are those of the noiseless circuit, without sampling."""
        return True

    @property
    def gives_states(self) -> bool:
        """Whether it has `states`; hardware and samplers do not."""
        return False

    def check(self, circuit: Circuit) -> None:
        """Refuses a circuit this backend cannot run, before anything is spent.

        Raises
        ------
        CapabilityError: too many qubits, or an amplitude start that it doesn't take.
        """
        self._check_size(circuit)
        if circuit.start is Start.AMPLITUDES and not self.capabilities.amplitude_input:
            raise CapabilityError(
                f"circuit {circuit.name!r} starts from amplitudes, "
                f"which backend {self.label!r} does not take",
                todo=f"run it on {DEFAULT_BACKEND!r}, or use a circuit that starts from |0...0>",
            )

    def _check_size(self, circuit: Circuit) -> None:
        """Refuses a circuit of more qubits than the backend takes."""
        most = self.capabilities.max_qubits
        if circuit.n_qubits > most:
            raise CapabilityError(
                f"{circuit.n_qubits} qubits were asked of backend {self.label!r}",
                expected=f"at most {most}",
                todo="use fewer qubits or another backend (see: hybridqies backends)",
            )

    def expectations(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
    ) -> Tensor:
        """The expectation of every observable, (B, M), differentiable in features, weights and amplitudes.

        Shapes: features (B, F) in radians, weights (W,) or (B, W) in radians,
        amplitudes (B, 2**n), real or complex. They are scaled to unit norm here, and the
        scaling is part of their gradient.

        Raises
        ------
        CapabilityError: the backend cannot run the circuit, or not differentiate it.
        InputError: a wrong shape, dtype or device, a value that is not finite, or a zero amplitude vector.
        """
        self.check(circuit)
        amplitudes = check_inputs(circuit, features, weights, amplitudes)
        if features.shape[0] == 0:
            # Nothing to run, but backward() has to work.
            given = (features, weights) if amplitudes is None else (features, weights, amplitudes.abs())
            total = torch.cat([each.flatten() for each in given]).sum()
            return features.new_zeros(0, len(circuit.observables)) * total
        return self._run(circuit, features, weights, amplitudes)

    @torch.no_grad()
    def states(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
    ) -> Tensor:
        """The states before measurement, (B, 2**n), up to a global phase; qubit 0 is the highest bit.

        Inputs as for `expectations`; without gradient.

        Raises
        ------
        CapabilityError: the backend gives no states, or cannot run the circuit.
        InputError: as for `expectations`.
        """
        if not self.gives_states:
            raise CapabilityError(
                f"backend {self.label!r} was asked for final states, which it does not give",
                expected="'statevector' without shots or noise",
            )
        self.check(circuit)
        return self._states(circuit, features, weights, check_inputs(circuit, features, weights, amplitudes))

    @torch.no_grad()
    def estimate(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None = None
    ) -> Estimate:
        """Expectations with their standard errors; as `expectations`, but without gradient."""
        self.check(circuit)
        amplitudes = check_inputs(circuit, features, weights, amplitudes)
        if features.shape[0] == 0:
            return Estimate(features.new_zeros(0, len(circuit.observables)))
        return self._estimate(circuit, features, weights, amplitudes)

    @abstractmethod
    def _run(self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None) -> Tensor:
        """`expectations` for checked inputs and at least one sample."""

    def _states(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
    ) -> Tensor:
        """`states` for checked inputs, on a backend that gives them."""
        raise NotImplementedError

    def _estimate(
        self, circuit: Circuit, features: Tensor, weights: Tensor, amplitudes: Tensor | None
    ) -> Estimate:
        """`estimate` for checked inputs; by default for backends that are exact."""
        return Estimate(self._run(circuit, features, weights, amplitudes))

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        # A backend has no state that belongs to a model; copies of a layer share it.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Target and options alone: plans are compiled again, and no client or credentials are stored.
        return type(self)._again, (self.target, to_mapping(self.options))

    @classmethod
    def _again(cls, target: str, options: dict[str, Any]) -> Backend:
        return cls(target, **options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec!r}>"


def describe_backends(kinds: dict[str, type[Backend]]) -> list[dict[str, Any]]:
    """The table of backends as JSON values, with what is installed here."""
    return [
        {
            "name": label_of(name, variant.target),
            "what it is": variant.summary,
            **dataclasses.asdict(variant.capabilities),
            "installed": not variant.missing,
            "install": f"pip install 'hybridqies[{variant.extra}]'" if variant.extra else "",
        }
        for name, kind in kinds.items()
        for variant in kind.variants
    ]
