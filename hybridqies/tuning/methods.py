"""The table of tuning methods: what of the encoder is trained. Light, because commands read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from hybridqies.errors import UnknownNameError
from hybridqies.options import within

ADAPTER = "adapter/adapter_model.safetensors"
ADAPTER_CONFIG = "adapter/adapter_config.json"
WEIGHTS = "encoder.safetensors"
FILES = (WEIGHTS, ADAPTER, ADAPTER_CONFIG)
"""What a tuned encoder is saved in: trained weights, or an adapter as peft saves it."""

_ROWS = "tuning option"


class Options(Protocol):
    """The options of a method, a frozen dataclass; one of an adapter can say what peft is to do."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def peft_config(self, layers: Sequence[str]) -> Any:
        """The configuration of peft that puts an adapter beside the linear layers of these names."""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """A method without options."""

    def peft_config(self, layers: Sequence[str]) -> Any:
        """None: no adapter is added."""
        del layers


@dataclass(frozen=True, slots=True)
class _RankOptions:
    """What methods of low rank have in common."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        within(self, _ROWS, rank=(1, 65536), alpha=(1e-6, 1e6), dropout=(0, 0.999))


@dataclass(frozen=True, slots=True)
class LoraOptions(_RankOptions):
    """LoRA (Hu et al., arXiv:2106.09685): `alpha` / `rank` scales the change of a weight."""

    def peft_config(self, layers: Sequence[str]) -> Any:
        """As `peft.LoraConfig`."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=list(layers)
        )


@dataclass(frozen=True, slots=True)
class LokrOptions(_RankOptions):
    """LoKr (Yeh et al., arXiv:2309.14859): a Kronecker product, its larger factor of rank `rank`."""

    def peft_config(self, layers: Sequence[str]) -> Any:
        """As `peft.LoKrConfig`."""
        from peft import LoKrConfig

        return LoKrConfig(
            r=self.rank, alpha=self.alpha, module_dropout=self.dropout, target_modules=list(layers)
        )


@dataclass(frozen=True, slots=True)
class QuantaOptions:
    """QuanTA, as `hybridqies.adapters.QuantaConfig`; `axes` is one factorisation of the width."""

    axes: tuple[int, ...] = ()
    n_axes: int = 3
    start: str = "frozen"
    dropout: float = 0.0

    def peft_config(self, layers: Sequence[str]) -> Any:
        """As `hybridqies.adapters.QuantaConfig`."""
        from hybridqies.adapters import QuantaConfig

        return QuantaConfig(
            target_modules=list(layers),
            axes=list(self.axes) or None,
            n_axes=self.n_axes,
            start=self.start,
            dropout=self.dropout,
        )


@dataclass(frozen=True, slots=True)
class CircuitOptions:
    """The circuit adapter, as `hybridqies.adapters.CircuitConfig`; `recipe` are options of the recipe."""

    circuit: str = "long-range-encoder"
    qubits: int | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def peft_config(self, layers: Sequence[str]) -> Any:
        """As `hybridqies.adapters.CircuitConfig`."""
        from hybridqies.adapters import CircuitConfig

        return CircuitConfig(
            target_modules=list(layers), circuit=self.circuit, qubits=self.qubits, options=dict(self.recipe)
        )


@dataclass(frozen=True, slots=True)
class Method:
    """A way of changing an encoder; `is_adapter` says that its weights stay and something is put beside."""

    name: str
    what: str
    options: type[Options] = NoOptions

    @property
    def is_adapter(self) -> bool:
        """Whether weights stay as they are, and something beside them is trained."""
        return self.options is not NoOptions


_TABLE = (
    Method("none", "nothing: the encoder stays as it is"),
    Method("full", "all weights of the encoder"),
    Method("lora", "LoRA: a matrix of low rank beside each weight", LoraOptions),
    Method("lokr", "LoKr: a Kronecker product beside each weight", LokrOptions),
    Method("quanta", "QuanTA: tensors on pairs of axes beside each weight", QuantaOptions),
    Method("circuit", "the circuit adapter: a circuit that turns the outputs of each weight", CircuitOptions),
)

METHODS: dict[str, Method] = {method.name: method for method in _TABLE}


def method_of(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    UnknownNameError: there is none; the nearest is offered.
    """
    if name not in METHODS:
        raise UnknownNameError("way of tuning", name, METHODS)
    return METHODS[name]
