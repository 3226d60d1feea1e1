"""Entanglement of every token against qiskit's partial traces, and the levels of Haar-random gates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from lm.decoders import CONTEXT, draw_ids, make_decoder
from qiskit.quantum_info import DensityMatrix, Operator, Statevector, entropy, partial_trace, purity
from scipy import integrate

from hybridqies.analysis import map_sentence, map_windows, window_losses
from hybridqies.errors import InputError
from hybridqies.lm import gates, measure_entanglement
from hybridqies.lm.decoder import Decoder
from hybridqies.lm.entanglement import haar_operator, haar_purity, haar_renyi2, haar_von_neumann

RANK = 4


def reduce_with_qiskit(model: Decoder, ids: torch.Tensor, block: int) -> dict[tuple[int, int], DensityMatrix]:
    """The reduced state at each position of the first row, for each stride that reaches it."""
    mixer: Any = model.blocks[block].mixer
    seen = []
    hook = mixer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(ids)
    hook.remove()
    real, imaginary = seen[0][:, 0].chunk(2)
    registers = (real + 1j * imaginary).numpy().T
    found = {}
    for stride, gate in zip(mixer.strides, mixer.gates().detach().numpy(), strict=True):
        for at in range(stride, ids.shape[1]):
            # Qiskit counts subsystems from the right: the register at t is number 1.
            state = Statevector(np.kron(registers[at], registers[at - stride]), dims=(RANK, RANK))
            found[stride, at] = partial_trace(state.evolve(Operator(gate, (RANK,) * 2, (RANK,) * 2)), [0])
    return found


def test_maps_and_means_are_those_of_partial_traces():
    model, ids = make_decoder("entangled", rank=RANK), draw_ids(rows=1)
    levels = map_windows(model, ids)
    assert levels.shape == (2, 4, 1, CONTEXT)
    means = {(row.block, row.stride): row for row in measure_entanglement(model, ids)}
    for block in range(2):
        states = reduce_with_qiskit(model, ids, block)
        for head, stride in enumerate(model.config.strides):
            assert levels[block, head, 0, :stride].isnan().all()
            own = [states[stride, at] for at in range(stride, CONTEXT)]
            expected = [-math.log(purity(state).real) / math.log(RANK) for state in own]
            assert levels[block, head, 0, stride:].tolist() == pytest.approx(expected, abs=1e-9)
            row = means[block, stride]
            assert row.renyi2 == pytest.approx(np.mean(expected), abs=1e-9)
            neumann = [entropy(state, base=RANK) for state in own]
            assert row.von_neumann == pytest.approx(np.mean(neumann), abs=1e-9)
            weights = np.mean([np.linalg.eigvalsh(state.data)[::-1] for state in own], 0)
            assert row.spectrum == pytest.approx(weights, abs=1e-9)


def test_operator_entanglement_is_that_of_the_gate_on_two_maximally_entangled_pairs():
    gate = gates.draw_haar(1, 4, torch.Generator().manual_seed(2))
    pair = np.eye(2).reshape(-1) / math.sqrt(2)
    # Registers: a, its partner, b, its partner; the gate acts on a and b, numbers 3 and 1 from the right.
    state = Statevector(np.kron(pair, pair)).evolve(Operator(gate[0].numpy()), [1, 3])
    expected = 1 - purity(partial_trace(state, [0, 1])).real
    assert float(gates.operator_entanglement(gate)) == pytest.approx(expected, abs=1e-12)


def test_levels_of_haar_random_states_and_gates():
    # The weights p and 1 − p of two qubits have the density 3 (2p − 1)².
    exact = integrate.quad(lambda p: -3 * (2 * p - 1) ** 2 * math.log(p**2 + (1 - p) ** 2), 0, 1)[0]
    assert haar_renyi2(2) == pytest.approx(exact / math.log(2), abs=0.004)
    assert haar_renyi2(4) == pytest.approx(0.551, abs=0.002)
    neumann = integrate.quad(
        lambda p: -3 * (2 * p - 1) ** 2 * (p * math.log(p) + (1 - p) * math.log(1 - p)), 0, 1
    )[0]
    assert haar_von_neumann(2) == pytest.approx(neumann / math.log(2), abs=1e-9)
    assert haar_purity(2) == pytest.approx(4 / 5)
    drawn = gates.operator_entanglement(gates.draw_haar(2000, 4, torch.Generator().manual_seed(1)))
    assert haar_operator(2) == pytest.approx(float(drawn.mean()), abs=0.01)


def test_a_sentence_has_a_loss_and_levels_for_each_token():
    model, ids = make_decoder("entangled"), draw_ids(rows=1, length=6)
    found = map_sentence(model, ids[0].tolist(), "abcdef")
    assert found.tokens == tuple("abcdef")
    assert found.losses[0] is None
    log_probabilities = model(ids).log_softmax(-1)[0].detach()
    for at in range(1, 6):
        assert found.losses[at] == pytest.approx(-float(log_probabilities[at - 1, ids[0, at]]), abs=1e-12)
    levels = map_windows(model, ids)[:, :, 0]
    for block, head, at in np.ndindex(2, 4, 6):
        value = found.levels[block][head][at]
        assert (value is None) == (at < 2**head)
        assert value is None or value == float(levels[block, head, at])
    with pytest.raises(InputError, match="at least 2 tokens"):
        map_sentence(model, [1], "a")


def test_windows_are_read_in_parts_with_the_same_values():
    model, ids = make_decoder("entangled"), draw_ids(rows=20)
    assert torch.equal(window_losses(model, ids)[17], window_losses(model, ids[17:18])[0])
    assert torch.equal(map_windows(model, ids)[:, -1, 19, 8:], map_windows(model, ids[19:])[:, -1, 0, 8:])
