"""Noise of the native simulator: what single gates do to expectations is known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import pytest
import torch

from hybridqies.backends import load_backend
from hybridqies.backends.aer import Aer, AerOptions
from hybridqies.backends.noise import GateChannel, NoiseOptions, strength
from hybridqies.backends.statevector import StateVector, StateVectorOptions
from hybridqies.circuit import Circuit, PauliString, Weight, gate

DOUBLE = torch.float64
NONE = torch.zeros(1, 0, dtype=DOUBLE)


def noisy(circuit: Circuit, options: str, weights: torch.Tensor | None = None):
    return load_backend(f"statevector,{options}").estimate(
        circuit, NONE, torch.zeros(0, dtype=DOUBLE) if weights is None else weights
    )


def close(found, wanted) -> None:
    values, errors = found.values[0], found.standard_errors[0]
    assert (errors < 0.02).all()
    assert ((values - torch.tensor(wanted, dtype=DOUBLE)).abs() <= 4 * errors + 1e-12).all()


def letters(*given: str) -> list[PauliString]:
    return [PauliString.parse(each) for each in given]


@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ("p1=0.2", (0.8, 0.8, 0.8)),
        ("px=0.1", (1.0, 0.8, 0.8)),
        ("py=0.1", (0.8, 1.0, 0.8)),
        ("pz=0.1", (0.8, 0.8, 1.0)),
        ("px=0.1,py=0.2,pz=0.05", (0.5, 0.7, 0.4)),
    ],
)
def test_one_gate(options, factors):
    circuit = Circuit.of(1, [gate("U", 0, 0.9, 0.7, 0.3)], letters("X", "Y", "Z"))
    exact = load_backend("statevector").expectations(circuit, NONE, NONE[0])[0]
    close(noisy(circuit, f"{options},trajectories=20000"), (exact * torch.tensor(factors)).tolist())


def test_two_qubit_depolarising():
    circuit = Circuit.of(2, [gate("RXX", (0, 1), 0.9)], letters("ZI", "IZ", "ZZ", "YX"))
    exact = load_backend("statevector").expectations(circuit, NONE, NONE[0])[0]
    close(noisy(circuit, "p2=0.3,trajectories=20000"), (0.7 * exact).tolist())


def test_readout_flips_bits():
    circuit = Circuit.of(2, [gate("RY", 0, 0.4), gate("CNOT", (0, 1))], letters("ZI", "ZZ", "II"))
    wanted = [0.8 * math.cos(0.4), 0.64, 1.0]
    found = noisy(circuit, "readout=0.1")
    np.testing.assert_allclose(found.values[0], wanted, rtol=0, atol=1e-12)
    close(noisy(circuit, "readout=0.1,shots=100000"), wanted)


def test_the_gradient_is_that_of_the_noisy_expectation():
    circuit = Circuit.of(2, [gate("RY", 0, Weight(0)), gate("CRX", (0, 1), Weight(1))], letters("IZ"))
    gradients = []
    for rule in ("adjoint", "shift"):
        weights = torch.tensor([0.6, 1.2], dtype=DOUBLE, requires_grad=True)
        backend = load_backend(f"statevector,p1=0.1,p2=0.2,readout=0.05,trajectories=4000,gradient={rule}")
        value = backend.expectations(circuit, NONE, weights)
        gradients.append(torch.autograd.grad(value.sum(), weights)[0])
    exact = torch.tensor([0.6, 1.2], dtype=DOUBLE, requires_grad=True)
    value = load_backend("statevector").expectations(circuit, NONE, exact)
    # IZ behind the last gate loses a factor to p2 and to readout; p1 stands before the control.
    assert float(value.detach()) == pytest.approx(1 - (1 - math.cos(1.2)) * math.sin(0.3) ** 2, abs=1e-12)
    occupied = (1 - 0.9 * math.cos(0.6)) / 2
    gradient = (
        0.8 * 0.9 * torch.tensor([-(1 - math.cos(1.2)) * 0.9 * math.sin(0.6) / 2, -math.sin(1.2) * occupied])
    )
    for found in gradients:
        np.testing.assert_allclose(found, gradient, rtol=0, atol=0.03)


def test_errors_repeat_under_a_seed():
    circuit = Circuit.of(2, [gate("RY", 0, 0.4), gate("CNOT", (0, 1))])
    first, again, other = (noisy(circuit, f"p2=0.3,trajectories=10,seed={seed}").values for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_sampled_and_noisy_is_what_density_matrices_say():
    circuit = Circuit.of(2, [gate("H", 0), gate("CNOT", (0, 1))], letters("XX", "ZZ", "ZI"))
    found = noisy(circuit, "p1=0.1,p2=0.2,shots=40000,trajectories=4000")
    close(found, [0.8 * 0.9, 0.8, 0.0])


CHANNELS = [each.name for each in fields(NoiseOptions) if "channel" in each.metadata]


def mixed_circuit() -> Circuit:
    gates = [gate("U", 0, 0.9, 0.7, 0.3), gate("CRX", (0, 1), 1.1), gate("RY", 1, 0.4), gate("CZ", (1, 0))]
    return Circuit.of(2, gates, letters("XI", "IY", "ZI", "ZZ", "YX"))


@pytest.mark.parametrize("name", CHANNELS)
def test_both_forms_of_a_channel_agree(name):
    found = noisy(mixed_circuit(), f"{name}=0.1,trajectories=20000" if name != "readout" else f"{name}=0.1")
    exact = load_backend(f"aer:density_matrix,{name}=0.1").expectations(mixed_circuit(), NONE, NONE[0])[0]
    noiseless = load_backend("statevector").expectations(mixed_circuit(), NONE, NONE[0])[0]
    assert float((exact - noiseless).abs().max()) > 0.05
    close(found, exact.tolist())


def test_channels_behind_each_other_agree_in_both_forms():
    options = "p1=0.05,p2=0.1,px=0.02,py=0.01,pz=0.03,readout=0.02"
    exact = load_backend(f"aer:density_matrix,{options}").expectations(mixed_circuit(), NONE, NONE[0])[0]
    close(noisy(mixed_circuit(), f"{options},trajectories=20000"), exact.tolist())


def draw_correlated_z(chances, size, rows, random):
    return (random.random((rows, 1)) < chances[0]) & np.array([[False, True, False, True]])


def correlated_z_in_aer(chances, size):
    from qiskit_aer.noise import pauli_error

    return pauli_error([("ZZ", chances[0]), ("II", 1 - chances[0])])


# The row of a new channel: both qubits of a gate on two get a Z.
CORRELATED_Z = strength(GateChannel(draw_correlated_z, correlated_z_in_aer, sizes=(2,)))


@dataclass(frozen=True, slots=True)
class MoreNative(StateVectorOptions):
    pzz: float = CORRELATED_Z


@dataclass(frozen=True, slots=True)
class MoreAer(AerOptions):
    pzz: float = CORRELATED_Z


def test_a_new_row_is_a_new_channel_in_both_simulators(monkeypatch):
    monkeypatch.setattr(StateVector, "Options", MoreNative)
    monkeypatch.setattr(Aer, "Options", MoreAer)
    circuit = Circuit.of(2, [gate("H", 0), gate("RY", 1, 0.7), gate("CZ", (0, 1))], letters("XZ", "IX", "XX"))
    exact = load_backend("aer:density_matrix,pzz=0.2").expectations(circuit, NONE, NONE[0])[0]
    # H and CZ make XZ of X on the first qubit; Z on both qubits flips it, and X on either.
    np.testing.assert_allclose(exact[:2], [0.6, 0.0], atol=1e-9)
    close(noisy(circuit, "pzz=0.2,trajectories=20000"), exact.tolist())
    assert load_backend("statevector,pzz=0.2").spec == "statevector,pzz=0.2"
    with pytest.raises(ValueError, match="pzz"):
        load_backend("aer,pzz=1.5,shots=10")


def test_a_channel_that_is_off_leaves_recorded_draws_alone(monkeypatch):
    before = noisy(mixed_circuit(), "p2=0.3,trajectories=10").values
    monkeypatch.setattr(StateVector, "Options", MoreNative)
    assert torch.equal(noisy(mixed_circuit(), "p2=0.3,trajectories=10").values, before)


def test_errors_that_exclude_each_other_add_up_to_one_at_most():
    with pytest.raises(
        ValueError, match=r"px, py and pz were given 0.5, 0.5 and 0.1; expected a sum up to 1"
    ):
        load_backend("statevector,px=0.5,py=0.5,pz=0.1")
