"""What a decoder is made of. Light: commands read it without torch."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hybridqies.errors import InputError
from hybridqies.options import within


class Activation(enum.Enum):
    """The nonlinearity of a block: gated (SwiGLU) or plain (GELU)."""

    SWIGLU = "swiglu"
    GELU = "gelu"


class Mixing(enum.Enum):
    """How each block mixes a position with those 1, 2, 4, … before it, beside attention.

    ENTANGLED, PRODUCT and SWAP apply a gate to two registers: any unitary, a product u ⊗ v, or the swap.
    TAP concatenates the two registers.
    """

    NONE = "none"
    TAP = "tap"
    PRODUCT = "product"
    SWAP = "swap"
    ENTANGLED = "entangled"


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A decoder with rotary positions, RMS norms without a scale before each part, and tied embeddings.

    `width` is the number of real values in the stream; with `is_complex` they are width / 2 complex
    numbers. `hidden` counts the real values between the two layers of a block's network, `rank` the levels
    of a register.

    Raises
    ------
    InputError: a number that is out of its range, or does not divide another.
    """

    vocabulary: int
    context: int = 128
    width: int = 64
    n_layers: int = 2
    n_heads: int = 2
    hidden: int = 170
    activation: Activation = Activation.SWIGLU
    mixing: Mixing = Mixing.NONE
    rank: int = 4
    is_complex: bool = False
    rotary_base: float = 10_000.0

    def __post_init__(self) -> None:
        within(self, "decoder option", vocabulary=(1, 1e7), context=(2, 1e6), width=(2, 1e6))
        within(self, "decoder option", n_layers=(1, 1000), n_heads=(1, 1e4), hidden=(2, 1e7), rank=(2, 16))
        within(self, "decoder option", rotary_base=(1.0, 1e9))
        if self.width % (2 * self.n_heads):
            raise InputError(
                f"decoder option 'width' was given {self.width} with n_heads={self.n_heads}",
                expected=f"a multiple of {2 * self.n_heads}: rotary positions turn pairs of values",
            )
        if self.is_complex and self.hidden % 2:
            raise InputError(
                f"decoder option 'hidden' was given {self.hidden} with is_complex",
                expected="an even number: a complex value has two parts",
            )

    @property
    def parts(self) -> int:
        """Real numbers in a value of the stream."""
        return 2 if self.is_complex else 1

    @property
    def strides(self) -> tuple[int, ...]:
        """How far back each head of a mixing layer looks: 2^h for h = 0 … log₂ context − 1."""
        return tuple(2**head for head in range(self.context.bit_length() - 1))

    @property
    def n_features(self) -> int:
        """Real numbers that a mixing layer reads from each pair of registers."""
        return 4 * self.rank if self.mixing is Mixing.TAP else self.rank**2
