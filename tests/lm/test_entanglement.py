"""Gates and entropies: unitary to rounding, values by hand, and the level of Haar-random gates."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from lm.decoders import CONTEXT, draw_ids, make_decoder

from hybridqies.errors import InputError
from hybridqies.lm import gates, measure_entanglement
from hybridqies.lm.entanglement import haar_purity
from hybridqies.lm.mixers import GATE_SPREAD

SEED = 4


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(SEED))


def draw_registers(count: int, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    own, earlier = torch.nn.functional.normalize(draw(2, count, 2 * rank), dim=-1)
    return own, earlier


def as_complex(values: torch.Tensor) -> torch.Tensor:
    return torch.complex(*values.chunk(2, -1))


def summed_states(own: torch.Tensor, earlier: torch.Tensor, unitary: torch.Tensor) -> torch.Tensor:
    """Re ρ + Im ρ of each pair behind its own gate."""
    amplitudes = gates.real_form(unitary) @ gates.outer(own[..., None], earlier[..., None])
    return gates.reduce_state(amplitudes, own.shape[-1] // 2)[:, 0]


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_states_are_those_of_complex_matrices(rank):
    own, earlier = draw_registers(5, rank)
    unitary = gates.cayley(draw(5, rank**2, rank**2))
    found = gates.density(summed_states(own, earlier, unitary))
    for at in range(5):
        vector = unitary[at] @ torch.kron(as_complex(own[at]), as_complex(earlier[at]))
        matrix = vector.reshape(rank, rank)
        assert torch.dist(found[at], matrix @ matrix.mH) < 1e-13


@pytest.mark.parametrize("model", ["entangled", "product", "swap"])
def test_gates_are_unitary(model):
    block: Any
    for block in make_decoder(model, rank=4).blocks:
        unitary = block.mixer.gates().detach()
        one = torch.eye(16, dtype=torch.complex128)
        assert float((unitary @ unitary.mH - one).abs().max()) < 1e-12


def test_every_skew_hermitian_part_is_reached():
    skew = torch.complex(draw(6, 6) - draw(6, 6).mT, torch.zeros(6, 6, dtype=torch.float64))
    values = skew.real + skew.imag
    one = torch.eye(6, dtype=torch.complex128)
    assert torch.dist(gates.cayley(values), torch.linalg.inv(one + skew) @ (one - skew)) < 1e-12


def test_a_product_of_gates_is_a_kronecker_product():
    first, second = gates.cayley(draw(2, 3, 3))
    found = gates.tensor_product(first[None], second[None])[0]
    assert torch.dist(found, torch.kron(first, second)) < 1e-13


@pytest.mark.parametrize(("arm", "operator"), [("product", 0.0), ("swap", 1 - 1 / 16)])
def test_products_and_swaps_entangle_nothing(arm, operator):
    model = make_decoder(arm, rank=4)
    rows = measure_entanglement(model, draw_ids())
    assert [(row.block, row.stride) for row in rows] == [(b, s) for b in (0, 1) for s in (1, 2, 4, 8)]
    for row in rows:
        assert abs(row.renyi2) < 1e-12
        assert abs(row.purity - 1) < 1e-12
        assert row.operator == pytest.approx(operator, abs=1e-12)


def test_products_hand_nothing_on_and_swaps_hand_on_everything():
    own, earlier = draw_registers(6, 4)
    swapped = summed_states(own, earlier, gates.swap(4).double().to(torch.complex128).expand(6, -1, -1))
    state = as_complex(earlier)
    assert torch.dist(gates.density(swapped), state[:, :, None] * state[:, None, :].conj()) < 1e-13
    product = gates.tensor_product(*gates.cayley(draw(2, 6, 4, 4)))
    others = summed_states(own, earlier.flip(0), product)
    assert torch.dist(summed_states(own, earlier, product), others) < 1e-12


def test_haar_random_gates_have_the_known_level_and_new_layers_the_same():
    own, earlier = draw_registers(2000, 4)
    haar = gates.draw_haar(2000, 16, torch.Generator().manual_seed(SEED))
    states = summed_states(own, earlier, haar)
    assert float(states.square().sum((-2, -1)).mean()) == pytest.approx(haar_purity(4), abs=0.004)
    assert haar_purity(4) == pytest.approx(8 / 17)
    assert float(gates.renyi2(states).mean()) / math.log(4) == pytest.approx(0.549, abs=0.01)
    new = summed_states(own, earlier, gates.cayley(GATE_SPREAD * draw(2000, 16, 16)))
    assert float(gates.renyi2(new).mean()) / math.log(4) == pytest.approx(0.549, abs=0.01)


def test_a_bell_pair_is_as_entangled_as_can_be():
    bell = torch.tensor([1.0, 0.0, 0.0, 1.0]) / math.sqrt(2)
    # The gate's first column is the Bell state, and both registers are |0⟩.
    unitary, upper = torch.linalg.qr(torch.cat([bell[:, None], torch.eye(4)[:, 1:]], 1).to(torch.complex128))
    unitary = unitary * torch.sign(upper[0, 0].real)
    zero = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    assert float(gates.renyi2(summed_states(zero, zero, unitary[None]))) == pytest.approx(
        math.log(2), rel=1e-6
    )


def test_measures_agree_with_each_other():
    for row in measure_entanglement(make_decoder("entangled", rank=4), draw_ids()):
        assert sum(row.spectrum) == pytest.approx(1)
        assert list(row.spectrum) == sorted(row.spectrum, reverse=True)
        assert 0 < row.renyi2 <= row.von_neumann < 1
        assert 0 < row.operator < 1 - 1 / 16


def test_the_mean_entropy_is_that_of_all_gates():
    model, ids = make_decoder("entangled"), draw_ids()
    with torch.no_grad():
        levels = [gates.renyi2(read).mean() / math.log(2) for read in model.read_pairs(ids)]
        assert float(model(ids, entropy=True).entropy) == pytest.approx(float(sum(levels)) / 2)


def test_strides_beyond_the_text_are_left_out_and_arms_without_gates_refused():
    rows = measure_entanglement(make_decoder("entangled"), draw_ids(length=CONTEXT // 4))
    assert {row.stride for row in rows} == {1, 2}
    with pytest.raises(InputError, match="with gates"):
        measure_entanglement(make_decoder("tap"), draw_ids())
