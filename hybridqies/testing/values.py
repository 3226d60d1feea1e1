"""Values are those of the dense reference, for every gate, start, shape and precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hybridqies.circuit import GATES, Circuit, PauliString, Start, Weight, gate
from hybridqies.testing.cases import (
    DOUBLE,
    Case,
    case_of,
    gate_case,
    product_state,
    random_case,
    twins,
)
from hybridqies.testing.subject import Subject, run_case


class GateContract(Subject):
    """Every gate of the set, its qubit order and angles: what depends on the simulator alone."""

    @pytest.mark.parametrize("name", sorted(GATES))
    def test_gate(self, name: str) -> None:
        """One gate after others, measured in every basis."""
        subject, case = self.truthful(), gate_case(name)
        self.agree(subject, run_case(subject, case), case)


class ValueContract(Subject):
    """Expectations are those of the circuit: within `atol` where exact, within their errors where sampled."""

    @pytest.mark.parametrize("seed", range(4))
    def test_random_circuit(self, seed: int) -> None:
        """Random circuits over the whole gate set, with shared weights and products of features."""
        subject, case = self.truthful(), random_case(seed)
        self.agree(subject, run_case(subject, case), case)

    @pytest.mark.parametrize("seed", range(3))
    def test_amplitudes(self, seed: int) -> None:
        """Circuits that start from amplitudes, of any norm."""
        subject, case = self.amplitudes_taken(), random_case(seed, Start.AMPLITUDES)
        self.agree(subject, run_case(subject, case), case)

    def test_complex_amplitudes(self) -> None:
        """Amplitudes may be complex."""
        subject, case = self.amplitudes_taken(), random_case(7, Start.AMPLITUDES)
        assert case.amplitudes is not None
        case = replace(case, amplitudes=case.amplitudes * torch.exp(1j * case.amplitudes))
        self.agree(subject, run_case(subject, case), case)

    def test_circuit_without_angles(self) -> None:
        """A circuit of constants gives one row per sample, though samples have no features."""
        gates = [gate("H", 0), gate("RX", 0, 0.3), gate("CNOT", (0, 1)), gate("RY", 1, 1.2)]
        subject, case = self.truthful(), case_of(Circuit.of(2, gates))
        self.agree(subject, run_case(subject, case), case)

    def test_circuit_without_gates(self) -> None:
        """In |0...0> the expectations of Z and of the identity are 1."""
        observables = [PauliString.parse(word) for word in ("ZI", "IZ", "ZZ", "II")]
        subject, case = self.truthful(), case_of(Circuit.of(2, [], observables))
        self.close(run_case(subject, case), torch.ones(3, 4, dtype=DOUBLE))

    def test_identity_is_one(self) -> None:
        """The expectation of the identity is 1 in any state."""
        circuit = replace(product_state(), observables=(PauliString(()), PauliString.on("Z", 0)))
        subject, case = self.truthful(), case_of(circuit)
        values = run_case(subject, case)
        self.close(values[:, 0], torch.ones(3, dtype=DOUBLE))
        self.agree(subject, values, case)

    def test_large_angles(self) -> None:
        """Expectations are periodic in the angles."""
        subject, case = self.truthful(), case_of(product_state())
        far = replace(case, features=case.features + 200 * torch.pi)
        self.agree(subject, run_case(subject, far), case)

    def test_rows_of_weights(self) -> None:
        """Weights (B, W) have one row per sample."""
        subject, case = self.truthful(), random_case(1)
        rows = torch.stack([case.weights * (1 + b / 7) for b in range(3)])
        case = replace(case, weights=rows)
        self.agree(subject, run_case(subject, case), case)

    def test_one_row_of_weights_is_many(self) -> None:
        """Weights (W,) mean the same as that row for every sample."""
        subject, case = self.exact(), random_case(2)
        rows = replace(case, weights=case.weights.expand(3, -1))
        self.close(run_case(subject, case), run_case(subject, rows))

    def test_a_batch_is_its_samples(self) -> None:
        """The values of a sample depend neither on the other samples nor on its place in the batch."""
        subject, case = self.exact(), random_case(3)
        together = run_case(subject, case)
        for b in range(3):
            alone = replace(case, features=case.features[b : b + 1])
            self.close(together[b : b + 1], run_case(subject, alone))
        self.close(together.flip(0), run_case(subject, replace(case, features=case.features.flip(0))))

    def test_circuits_do_not_mix(self) -> None:
        """One backend runs many circuits, also after some have been deleted."""
        subject = self.truthful()
        for axis in ("RX", "RY", "RX", "RZ"):
            circuit = Circuit.of(1, [gate("H", 0), gate(axis, 0, Weight(0))])
            case = Case(circuit, torch.zeros(1, 0, dtype=DOUBLE), torch.tensor([0.4], dtype=DOUBLE))
            self.agree(subject, run_case(subject, case), case)
            del circuit, case

    def test_shape(self) -> None:
        """(B, M), and (0, M) for an empty batch, of `expectations` and of `estimate` alike."""
        for batch in (0, 1, 4):
            subject, case = self.backend(), case_of(twins(), batch=batch)
            assert run_case(subject, case).shape == (batch, 4)
            estimate = subject.estimate(case.circuit, *case.inputs)
            assert estimate.values.shape == (batch, 4)
            assert estimate.standard_errors.shape == (batch, 4)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_precision_is_kept(self, dtype: torch.dtype) -> None:
        """Results have the precision of the inputs."""
        subject, case = self.backend(), case_of(twins()).to(dtype)
        assert run_case(subject, case).dtype == dtype
        estimate = subject.estimate(case.circuit, *case.inputs)
        assert estimate.values.dtype == estimate.standard_errors.dtype == dtype

    def test_single_precision_is_close(self) -> None:
        """An exact backend with float32 inputs is as accurate as float32 allows."""
        subject, case = self.exact(), random_case(4)
        single = run_case(subject, case.to(torch.float32)).double()
        np.testing.assert_allclose(single, run_case(subject, case), rtol=0, atol=1e-5)

    def test_expectations_lie_between_minus_one_and_one(self) -> None:
        """Expectations stay in this range, with noise and without."""
        subject, case = self.backend(), random_case(5)
        assert run_case(subject, case).abs().max() <= 1 + self.atol

    def test_inputs_are_left_alone(self) -> None:
        """Inputs may be views, and nothing is written to them."""
        subject, case = self.backend(), case_of(twins(), batch=4)
        wide = torch.stack([case.features, -case.features], dim=2).transpose(0, 1)
        view = wide[..., 0].T
        before = view.clone()
        values = subject.expectations(case.circuit, view, case.weights)
        assert torch.equal(view, before)
        assert torch.equal(values, run_case(subject, case))

    def test_estimate_is_what_expectations_gives(self) -> None:
        """Both give the same values, sample for sample."""
        subject, case = self.backend(), random_case(0)
        estimate = subject.estimate(case.circuit, *case.inputs)
        self.close(estimate.values, run_case(subject, case))
        assert not estimate.values.requires_grad
