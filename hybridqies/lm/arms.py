"""The arms that a comparison of language models has, as rows of one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.lm.config import DecoderConfig, Mixing
from hybridqies.lm.costs import count_flops, count_parameters
from hybridqies.lm.sizes import config_of_size, match


@dataclass(frozen=True, slots=True)
class Arm:
    """A kind of decoder. Its `measure` is brought to that of the arm `like`, by the width of its networks."""

    meaning: str
    mixing: Mixing = Mixing.NONE
    is_complex: bool = False
    measure: Callable[[DecoderConfig], int] | None = None
    like: str = ""


ARMS: dict[str, Arm] = {
    "real": Arm("a plain decoder"),
    "real-parameters": Arm(
        "a plain decoder with the parameters of entangled", measure=count_parameters, like="entangled"
    ),
    "real-flops": Arm(
        "a plain decoder with the operations of entangled", measure=count_flops, like="entangled"
    ),
    "tap": Arm("the earlier registers, concatenated: no quantum part", Mixing.TAP),
    "product": Arm("gates u ⊗ v, which hand nothing on", Mixing.PRODUCT),
    "swap": Arm("swaps, which hand everything on and entangle nothing", Mixing.SWAP),
    "entangled": Arm("entanglement layers", Mixing.ENTANGLED),
    "complex": Arm("a complex stream: the operations of real with fewer parameters", is_complex=True),
    "complex-parameters": Arm(
        "a complex stream with the parameters of real", is_complex=True, measure=count_parameters, like="real"
    ),
    "complex-entangled": Arm("a complex stream with entanglement layers", Mixing.ENTANGLED, is_complex=True),
}


def config_of_arm(
    name: str, size: int, vocabulary: int, context: int, settings: Mapping[str, Any] | None = None
) -> DecoderConfig:
    """The decoder of an arm beside a real one of `size` parameters; `settings` are options of all arms.

    Raises
    ------
    UnknownNameError: no arm has that name.
    InputError: settings that do not exist or fit, or that the arm decides.
    """
    if name not in ARMS:
        raise UnknownNameError("arm", name, ARMS)
    for key in ("mixing", "is_complex"):
        if key in (settings or {}):
            raise InputError(f"decoder option {key!r} was given", expected="an arm: it decides that")
    arm = ARMS[name]
    base = config_of_size(size, vocabulary, context, settings)
    config = replace(base, mixing=arm.mixing, is_complex=arm.is_complex)
    if arm.measure is None:
        return config
    return match(
        config, arm.measure, arm.measure(config_of_arm(arm.like, size, vocabulary, context, settings))
    )
