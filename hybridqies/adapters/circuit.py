"""The circuit adapter: a parametrised circuit that turns the outputs of a weight, as a method of peft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hybridqies.adapters.circuit_matrix import CircuitMatrix, block_size
from hybridqies.adapters.registration import TunerType
from hybridqies.adapters.tuner_config import AdapterConfig
from hybridqies.adapters.tuner_layer import AdapterLayer
from hybridqies.adapters.tuner_model import AdapterModel
from hybridqies.circuit import Circuit, list_circuits, load_recipe
from hybridqies.errors import InputError, UnknownNameError


@dataclass
class CircuitConfig(AdapterConfig):
    """What circuit adapters look like and where they go.

    Parameters
    ----------
    target_modules, exclude_modules, layers_to_transform, layers_pattern, modules_to_save:
        As in peft: names of layers, or a regular expression.
    circuit:
        The name of a shipped recipe, or a `Circuit` (kept as `Circuit.to_mapping` gives it).
        Features are 0, and the start and the observables play no part.
    options:
        Those of the recipe.
    qubits:
        By default as many as fit: a real circuit acts on blocks of 2^n outputs, a complex one on blocks
        of 2^(n+1), and the blocks have to fill the width.

    Raises
    ------
    InputError: a circuit, options or qubits that cannot be used.
    """

    tuner_type: ClassVar[TunerType] = TunerType.CIRCUIT

    circuit: Any = "long-range-encoder"
    options: dict[str, Any] = field(default_factory=dict)
    qubits: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.circuit, Circuit):
            self.circuit = self.circuit.to_mapping()
        if isinstance(self.circuit, Mapping):
            Circuit.from_mapping(self.circuit)
            if self.options or self.qubits is not None:
                raise InputError(
                    "a circuit that is laid out was given with options or qubits", expected="it alone"
                )
        elif self.circuit not in list_circuits():
            raise UnknownNameError(
                "circuit",
                str(self.circuit),
                list_circuits(),
                todo="or give what load_circuit makes of a file",
            )

    def lay_out(self, width: int) -> Circuit:
        """The circuit on the outputs of a layer.

        Raises
        ------
        InputError: its blocks don't fill the width, or it has no weights.
        """
        circuit = self._lay_out(width)
        block = block_size(circuit)
        if width % block:
            kind = "real" if circuit.is_real else "complex"
            raise InputError(
                f"a {kind} circuit on {circuit.n_qubits} qubits acts on blocks of {block} outputs of {width}",
                expected="blocks that fill them",
                todo="give fewer qubits",
            )
        if not circuit.n_weights:
            raise InputError(
                f"circuit {circuit.name!r} has no weights", expected="one with something to train"
            )
        return circuit

    def check_widths(self, in_width: int, out_width: int) -> None:
        """Refuses a layer that the circuit cannot act on: see `lay_out`."""
        del in_width
        self.lay_out(out_width)

    def _lay_out(self, width: int) -> Circuit:
        if isinstance(self.circuit, Mapping):
            return Circuit.from_mapping(self.circuit)
        recipe = load_recipe(self.circuit)
        if self.qubits is not None:
            return recipe.build(self.qubits, self.options)
        qubits = (width & -width).bit_length() - 1
        circuit = recipe.build(qubits, self.options)
        return circuit if circuit.is_real else recipe.build(qubits - 1, self.options)


class CircuitLayer(AdapterLayer):
    """A linear layer W0 with V W0, where V is orthogonal and 1 at the start: see `CircuitMatrix`."""

    adapter_layer_names = ("circuit_angles",)
    other_param_names = ("circuit_matrix",)

    def _make_stores(self) -> None:
        self.circuit_angles = nn.ModuleDict()
        self.circuit_matrix: dict[str, CircuitMatrix] = {}

    def _add_adapter(self, adapter_name: str, config: CircuitConfig) -> None:
        circuit = config.lay_out(self.out_features)
        self.circuit_matrix[adapter_name] = CircuitMatrix(circuit)
        angles = nn.Parameter(torch.zeros(circuit.n_weights))
        self.circuit_angles[adapter_name] = nn.ParameterList([angles])

    def circuit(self, adapter_name: str) -> tuple[Circuit, Tensor]:
        """An adapter's circuit and its angles (n_weights,) in radians."""
        return self.circuit_matrix[adapter_name].circuit, self._weights(adapter_name).detach().clone()

    def _adapt(self, adapter_name: str, inputs: Tensor, outputs: Tensor) -> Tensor:
        del inputs
        weights, matrix = self._weights(adapter_name), self.circuit_matrix[adapter_name]
        bias = getattr(self.get_base_layer(), "bias", None)
        outputs = self._cast_input_dtype(outputs, weights.dtype)
        blocks = (outputs if bias is None else outputs - bias.to(outputs.dtype)).reshape(-1, matrix.size)
        # The change alone is added: where V is 1, outputs stay the same bit for bit.
        return outputs + (matrix.apply(blocks, weights) - blocks).reshape(outputs.shape)

    def _merged_weight(self, adapter_name: str, weight: Tensor) -> Tensor:
        return self._turn(weight, self._dense(adapter_name, weight).T)

    def _unmerged_weight(self, adapter_name: str, weight: Tensor) -> Tensor:
        return self._turn(weight, self._dense(adapter_name, weight))

    def _dense(self, adapter_name: str, weight: Tensor) -> Tensor:
        """V transposed, in the type of a weight."""
        return self.circuit_matrix[adapter_name].transposed(self._weights(adapter_name).to(weight.dtype))

    def _turn(self, weight: Tensor, matrix: Tensor) -> Tensor:
        """A weight (out, in) with each block of its rows multiplied by a matrix."""
        return (matrix @ weight.reshape(-1, len(matrix), self.in_features)).reshape(weight.shape)

    def _weights(self, adapter_name: str) -> Tensor:
        return next(self.circuit_angles[adapter_name].parameters())


class CircuitModel(AdapterModel):
    """A model with circuit adapters; `peft.get_peft_model` makes it from a `CircuitConfig`."""

    prefix = "circuit_"
    tuner_layer_cls: ClassVar[type[AdapterLayer]] = CircuitLayer
