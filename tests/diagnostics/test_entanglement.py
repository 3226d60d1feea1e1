"""Measures of states against values known by hand and against random states."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybridqies.diagnostics import (
    meyer_wallach,
    random_entropy,
    random_meyer_wallach,
    renyi_entropy,
    schmidt_spectrum,
    von_neumann_entropy,
)
from hybridqies.errors import InputError


def ghz(n_qubits: int) -> torch.Tensor:
    state = torch.zeros(1, 2**n_qubits, dtype=torch.float64)
    state[0, 0] = state[0, -1] = math.sqrt(0.5)
    return state


def w_state(n_qubits: int) -> torch.Tensor:
    state = torch.zeros(1, 2**n_qubits, dtype=torch.float64)
    state[0, [2**qubit for qubit in range(n_qubits)]] = 1 / math.sqrt(n_qubits)
    return state


def random_states(count: int, n_qubits: int, seed: int) -> torch.Tensor:
    random = np.random.default_rng(seed)
    parts = random.normal(size=(2, count, 2**n_qubits))
    states = torch.from_numpy(parts[0] + 1j * parts[1])
    return states / states.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("state", "value"), [(ghz(2), 1.0), (ghz(5), 1.0), (w_state(3), 8 / 9), (w_state(4), 3 / 4)]
)
def test_meyer_wallach_of_known_states(state: torch.Tensor, value: float) -> None:
    assert meyer_wallach(state).item() == pytest.approx(value, abs=1e-15)


@given(n_qubits=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_product_states_have_no_entanglement(n_qubits: int, seed: int) -> None:
    state = torch.ones(1, 1, dtype=torch.complex128)
    for qubit in range(n_qubits):
        state = torch.kron(state, random_states(1, 1, seed + qubit))
    assert meyer_wallach(state).item() == pytest.approx(0, abs=1e-14)
    for cut in range(1, n_qubits):
        spectrum = schmidt_spectrum(state, cut)
        assert von_neumann_entropy(spectrum).item() == pytest.approx(0, abs=1e-12)
        assert renyi_entropy(spectrum).item() == pytest.approx(0, abs=1e-12)


@given(n_qubits=st.integers(2, 6), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_measures_equal_those_of_density_matrices(n_qubits: int, seed: int, data: st.DataObject) -> None:
    state = random_states(1, n_qubits, seed)
    cut = data.draw(st.integers(1, n_qubits - 1))
    matrix = state.reshape(2**cut, -1)
    values = torch.linalg.eigvalsh(matrix @ matrix.mH).clamp(min=1e-300)
    spectrum = schmidt_spectrum(state, cut)
    assert spectrum.sum().item() == pytest.approx(1, abs=1e-13)
    assert von_neumann_entropy(spectrum).item() == pytest.approx(
        -(values * values.log2()).sum().item(), abs=1e-10
    )
    purity = (matrix @ matrix.mH).abs().square().sum().item()
    assert renyi_entropy(spectrum).item() == pytest.approx(-math.log2(purity), abs=1e-12)
    purities = []
    for qubit in range(n_qubits):
        moved = state.reshape(2**qubit, 2, -1).movedim(1, 0).reshape(2, -1)
        purities.append((moved @ moved.mH).abs().square().sum().item())
    assert meyer_wallach(state).item() == pytest.approx(2 - 2 * np.mean(purities), abs=1e-13)


def test_bell_states_hold_one_bit() -> None:
    spectrum = schmidt_spectrum(ghz(2), 1)
    assert spectrum[0].tolist() == pytest.approx([0.5, 0.5])
    assert von_neumann_entropy(spectrum).item() == pytest.approx(1)
    assert renyi_entropy(spectrum).item() == pytest.approx(1)


def test_means_of_random_states() -> None:
    # Page's sum by hand: for one qubit against two it is 1/5 + ... + 1/8 - 1/8 nats.
    by_hand = sum(1 / k for k in range(5, 9)) - 1 / 8
    assert random_entropy(1, 3) == pytest.approx(by_hand / math.log(2), abs=1e-12)
    assert random_entropy(2, 3) == pytest.approx(random_entropy(1, 3), abs=1e-12)
    assert random_meyer_wallach(3) == pytest.approx(6 / 9)
    states = random_states(4000, 4, 7)
    entropies, measured = von_neumann_entropy(schmidt_spectrum(states, 2)), meyer_wallach(states)
    for values, mean in ((entropies, random_entropy(2, 4)), (measured, random_meyer_wallach(4))):
        assert abs(values.mean().item() - mean) < 4 * values.std().item() / math.sqrt(len(values))


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 1), (0, 0)])
def test_refuses_what_is_no_state(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(batch, 2\*\*n\)"):
        meyer_wallach(torch.zeros(shape))


@pytest.mark.parametrize(("n_qubits", "cut"), [(3, 0), (3, 3), (1, 1), (3, -1)])
def test_refuses_a_cut_without_sides(n_qubits: int, cut: int) -> None:
    with pytest.raises(InputError, match=f"a cut after {cut} of {n_qubits} qubits"):
        schmidt_spectrum(ghz(n_qubits), cut)
