"""Noise of the native simulator: what single gates do to expectations is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hybridqies.backends import load_backend
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
    slopes = []
    for rule in ("adjoint", "shift"):
        weights = torch.tensor([0.6, 1.2], dtype=DOUBLE, requires_grad=True)
        backend = load_backend(f"statevector,p1=0.1,p2=0.2,readout=0.05,trajectories=4000,gradient={rule}")
        value = backend.expectations(circuit, NONE, weights)
        slopes.append(torch.autograd.grad(value.sum(), weights)[0])
    exact = torch.tensor([0.6, 1.2], dtype=DOUBLE, requires_grad=True)
    value = load_backend("statevector").expectations(circuit, NONE, exact)
    # IZ behind the last gate loses a factor to p2 and to readout; p1 stands before the control.
    assert float(value.detach()) == pytest.approx(1 - (1 - math.cos(1.2)) * math.sin(0.3) ** 2, abs=1e-12)
    occupied = (1 - 0.9 * math.cos(0.6)) / 2
    slope = (
        0.8 * 0.9 * torch.tensor([-(1 - math.cos(1.2)) * 0.9 * math.sin(0.6) / 2, -math.sin(1.2) * occupied])
    )
    for found in slopes:
        np.testing.assert_allclose(found, slope, rtol=0, atol=0.03)


def test_errors_repeat_under_a_seed():
    circuit = Circuit.of(2, [gate("RY", 0, 0.4), gate("CNOT", (0, 1))])
    first, again, other = (noisy(circuit, f"p2=0.3,trajectories=10,seed={seed}").values for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_sampled_and_noisy_is_what_density_matrices_say():
    circuit = Circuit.of(2, [gate("H", 0), gate("CNOT", (0, 1))], letters("XX", "ZZ", "ZI"))
    found = noisy(circuit, "p1=0.1,p2=0.2,shots=40000,trajectories=4000")
    close(found, [0.8 * 0.9, 0.8, 0.0])
