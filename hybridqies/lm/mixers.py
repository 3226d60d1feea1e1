"""Layers that mix a position with those 1, 2, 4, … before it: entanglement layers and their controls."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridqies.lm.config import DecoderConfig, Mixing
from hybridqies.lm.gates import cayley, outer, real_form, reduce_state, renyi2, swap, tensor_product
from hybridqies.lm.linear import make_linear, normalise

# The spread of gates at the start. Their states are then as entangled as behind Haar-random gates.
GATE_SPREAD = 0.35


class Mixer(nn.Module):
    """Reads pairs of registers and adds a linear map of what it reads to the stream.

    Each position has one register a_t ∈ C^r of unit norm. Head h pairs the one at t with the one at
    t − 2^h, or with |0⟩ where the text begins later. The linear map starts at zero.
    It is causal, since what is added at t depends on positions up to t alone.
    Registers and what is read of them are in single precision or better, also under autocast: in half
    precision registers would not have norm 1, nor reduced states trace 1.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.strides, self.rank = config.strides, config.rank
        self.register = make_linear(config.width, 2 * config.rank, config.parts)
        self.out = nn.Linear(len(self.strides) * config.n_features, config.width, bias=False)

    def registers(self, stream: Tensor) -> Tensor:
        """Unit registers of a stream (B, T, D) as [Re, Im], (2r, B, T)."""
        registers = functional.normalize(_precise(self.register(normalise(stream))), dim=-1)
        return registers.permute(2, 0, 1).contiguous()

    def shift(self, registers: Tensor, earlier: Tensor | None) -> Tensor:
        """The earlier register of each pair, (H, 2r, B, T); `earlier` (2r, B, P) came before, in a cache."""
        size, batch, length = registers.shape
        furthest = self.strides[-1]
        zero = registers.new_zeros(size, 1, 1).index_fill(0, torch.tensor(0, device=registers.device), 1.0)
        known = [zero.expand(size, batch, furthest), *([] if earlier is None else [earlier]), registers]
        whole = torch.cat(known, 2)
        start = whole.shape[2] - length
        return torch.stack([whole[..., start - stride : start - stride + length] for stride in self.strides])

    def read(self, own: Tensor, earlier: Tensor) -> Tensor:
        """What is read of N pairs, (H, N, ...), from registers (2r, N) and (H, 2r, N)."""
        raise NotImplementedError

    def forward(self, registers: Tensor, earlier: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What to add to the stream (B, T, D), and what it was made of, (H, B, T, ...)."""
        with torch.autocast(registers.device.type, enabled=False):
            read = self.read(registers.flatten(1), self.shift(registers, earlier).flatten(2))
        read = read.unflatten(1, registers.shape[1:])
        joined = read.flatten(3).permute(1, 2, 0, 3).flatten(2)
        return self.out(joined.to(self.out.weight.dtype)), read


class Tap(Mixer):
    """The classical control: both registers, side by side."""

    def read(self, own: Tensor, earlier: Tensor) -> Tensor:
        """Both registers, [own, earlier], (H, N, 4r)."""
        return torch.cat([own.expand_as(earlier), earlier], 1).mT


class GateMixer(Mixer):
    """Applies a gate U_h to a_t ⊗ a_{t−s} and reads the reduced state of the register at t.

    M is the vector U_h (a_t ⊗ a_{t−s}) as an r × r matrix, whose rows belong to the register at t.
    The r² real entries of ρ = M M† are read.
    """

    def gates(self) -> Tensor:
        """The unitary matrices (H, r², r²)."""
        raise NotImplementedError

    def read(self, own: Tensor, earlier: Tensor) -> Tensor:
        """Re ρ + Im ρ, (H, N, r, r)."""
        pairs = outer(own, earlier)
        return reduce_state(torch.bmm(real_form(self.gates()).to(pairs.dtype), pairs), self.rank)


class Entangled(GateMixer):
    """Any unitary gate for each stride, by the Cayley map of a real matrix."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        size = self.rank**2
        self.gate_values = nn.Parameter(torch.empty(len(self.strides), size, size))

    def gates(self) -> Tensor:
        """As the values say; always in single precision or better."""
        return cayley(_precise(self.gate_values))


class Product(GateMixer):
    """Gates u ⊗ v, which hand nothing from one register to the other: their states stay pure."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.gate_values = nn.Parameter(torch.empty(2, len(self.strides), self.rank, self.rank))

    def gates(self) -> Tensor:
        """A product u ⊗ v for each stride."""
        first, second = cayley(_precise(self.gate_values))
        return tensor_product(first, second)


class Swap(GateMixer):
    """The swap: the position reads the earlier register, and nothing is entangled."""

    matrix: Tensor

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.register_buffer("matrix", swap(self.rank), persistent=False)

    def gates(self) -> Tensor:
        """The same for each stride."""
        matrix = _precise(self.matrix)
        return torch.complex(matrix, torch.zeros_like(matrix)).expand(len(self.strides), -1, -1)


MIXERS: dict[Mixing, type[Mixer]] = {
    Mixing.TAP: Tap,
    Mixing.PRODUCT: Product,
    Mixing.SWAP: Swap,
    Mixing.ENTANGLED: Entangled,
}


def mean_entropy(read: Tensor, rank: int) -> Tensor:
    """The mean of S₂ / log r over what a `GateMixer` read, a scalar."""
    return renyi2(read).mean() / math.log(rank)


def _precise(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
