"""QuanTA: tensors on pairs of axes beside a weight (Chen et al., arXiv:2406.00132), as a method of peft."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hybridqies.adapters.contraction import Contraction, Place
from hybridqies.adapters.factors import PairGate, check_factorisation, choose_axes, pair_gates
from hybridqies.adapters.registration import TunerType
from hybridqies.adapters.tuner_config import AdapterConfig
from hybridqies.adapters.tuner_layer import AdapterLayer
from hybridqies.adapters.tuner_model import AdapterModel
from hybridqies.errors import InputError
from hybridqies.options import parse


class QuantaStart(enum.Enum):
    """How the change of a weight is 0 at first: a frozen copy is subtracted, or the last gate is 0."""

    FROZEN = "frozen"
    ZERO = "zero"


@dataclass
class QuantaConfig(AdapterConfig):
    """What QuanTA adapters look like and where they go.

    Parameters
    ----------
    target_modules, exclude_modules, layers_to_transform, layers_pattern, modules_to_save:
        As in peft: names of layers, or a regular expression.
    axes:
        A factorisation such as [12, 8, 4], or several; each is for the width that is its product.
        Without them each width is factored into `n_axes` near-square axes.
    n_axes:
        How many axes are proposed.
    start:
        "frozen" subtracts a frozen copy of the start, as in the paper; "zero" starts the last gate at 0,
        which is faster and keeps half as many numbers.
    dropout:
        The share of inputs of the adapter that are dropped in training.

    Raises
    ------
    InputError: axes, a start or a dropout that cannot be used.
    """

    tuner_type: ClassVar[TunerType] = TunerType.QUANTA

    axes: list[list[int]] | list[int] | None = None
    n_axes: int = 3
    start: str = QuantaStart.FROZEN.value
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.start = parse(self.start, QuantaStart, "QuanTA's start").value
        if not 0 <= self.dropout < 1:
            raise InputError(f"QuanTA's dropout was given {self.dropout!r}", expected="0 to less than 1")
        for axes in self.factorisations() or ():
            check_factorisation(axes)

    def factorisations(self) -> list[Sequence[int]] | None:
        """The axes given, one list for each width."""
        if self.axes is None:
            return None
        return [axes for axes in self.axes if not isinstance(axes, int)] or [
            [axis for axis in self.axes if isinstance(axis, int)]
        ]

    def gates(self, in_width: int, out_width: int) -> tuple[tuple[int, ...], tuple[PairGate, ...]]:
        """The axes of the input of such a layer, and the gates on them.

        Raises
        ------
        InputError: a width that doesn't factor, or that no factorisation makes.
        """
        in_axes, out_axes = choose_axes(in_width, out_width, self.factorisations(), self.n_axes)
        return in_axes, pair_gates(in_axes, out_axes)

    def check_widths(self, in_width: int, out_width: int) -> None:
        """Refuses a layer that has no gates: see `gates`."""
        self.gates(in_width, out_width)


class QuantaLayer(AdapterLayer):
    """A linear layer W0 with W0 + T - S, or W0 + T where the last gate of T starts at 0."""

    adapter_layer_names = ("quanta_gates",)
    other_param_names = ("quanta_start", "quanta_dropout", "quanta_plan")

    def _make_stores(self) -> None:
        self.quanta_gates = nn.ModuleDict()
        # A parameter that is not trained, and no buffer: peft casts parameters to float32 beside bfloat16.
        self.quanta_start = nn.ModuleDict()
        self.quanta_dropout = nn.ModuleDict()
        self.quanta_plan: dict[str, Contraction] = {}

    def _add_adapter(self, adapter_name: str, config: QuantaConfig) -> None:
        in_axes, gates = config.gates(self.in_features, self.out_features)
        self.quanta_plan[adapter_name] = Contraction(
            in_axes, [Place((gate.first, gate.second), gate.out_sizes) for gate in gates]
        )
        matrices = [nn.init.orthogonal_(torch.empty(gate.n_out, gate.n_in)) for gate in gates]
        if config.start == QuantaStart.ZERO.value:
            matrices[-1] = torch.zeros_like(matrices[-1])
        else:
            self.quanta_start[adapter_name] = nn.ParameterList(
                nn.Parameter(each.clone(), requires_grad=False) for each in matrices
            )
        self.quanta_gates[adapter_name] = nn.ParameterList(map(nn.Parameter, matrices))
        self.quanta_dropout[adapter_name] = nn.Dropout(config.dropout) if config.dropout else nn.Identity()

    def _adapt(self, adapter_name: str, inputs: Tensor, outputs: Tensor) -> Tensor:
        dtype = _tensors(self.quanta_gates[adapter_name])[0].dtype
        rows = self.quanta_dropout[adapter_name](self._cast_input_dtype(inputs, dtype))
        return outputs + self._change(adapter_name, rows).reshape(outputs.shape)

    def _change(self, adapter_name: str, rows: Tensor) -> Tensor:
        """Rows (…, in) through T - S: (B, out)."""
        plan = self.quanta_plan[adapter_name]
        change = plan.apply(rows, _tensors(self.quanta_gates[adapter_name]))
        if adapter_name in self.quanta_start:
            change = change - plan.apply(rows, _tensors(self.quanta_start[adapter_name]))
        return change

    def _merged_weight(self, adapter_name: str, weight: Tensor) -> Tensor:
        return weight + self._dense(adapter_name)

    def _unmerged_weight(self, adapter_name: str, weight: Tensor) -> Tensor:
        return weight - self._dense(adapter_name)

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """T - S as a matrix in the shape of the base layer's weight."""
        return self._stored(self._dense(adapter_name))

    def _dense(self, adapter_name: str) -> Tensor:
        own = _tensors(self.quanta_gates[adapter_name])[0]
        eye = torch.eye(self.in_features, dtype=own.dtype, device=own.device)
        return self._change(adapter_name, eye).T


class QuantaModel(AdapterModel):
    """A model with QuanTA adapters; `peft.get_peft_model` makes it from a `QuantaConfig`."""

    prefix = "quanta_"
    tuner_layer_cls: ClassVar[type[AdapterLayer]] = QuantaLayer


def _tensors(held: nn.Module) -> list[nn.Parameter]:
    return list(held.parameters())
