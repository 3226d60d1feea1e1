"""Declared capabilities are true; everything else is refused in one line before anything runs."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch

from hybridqies.backends import Backend, Capabilities, backend_names, load_backend
from hybridqies.backends.spec import BackendSpec
from hybridqies.circuit import Circuit, Weight, feature, gate
from hybridqies.errors import CapabilityError, InputError, UnknownNameError
from hybridqies.testing.cases import case_of, from_amplitudes, product_parity
from hybridqies.testing.subject import Subject

_DOUBLE = torch.float64
# What is wrong with features, weights and amplitudes of a circuit that takes one feature and one weight.
BAD_TENSORS = {
    r"features were given with shape \(2, 3\)": (torch.zeros(2, 3), torch.zeros(1), None),
    r"features were given with shape \(1,\)": (torch.zeros(1), torch.zeros(1), None),
    "weights were given with shape": (torch.zeros(2, 1), torch.zeros(2), None),
    "weights were given for 3 samples and features for 2": (torch.zeros(2, 1), torch.zeros(3, 1), None),
    "weights are float64 and features are float32": (torch.zeros(2, 1), torch.zeros(1, dtype=_DOUBLE), None),
    "features are int32": (torch.zeros(2, 1, dtype=torch.int32), torch.zeros(1), None),
    "weights are complex64": (torch.zeros(2, 1), torch.zeros(1, dtype=torch.complex64), None),
    "features hold NaN": (torch.full((2, 1), torch.nan), torch.zeros(1), None),
    "weights hold NaN or infinity": (torch.zeros(2, 1), torch.full((1,), torch.inf), None),
    "weights are on meta": (torch.zeros(2, 1), torch.zeros(1, device="meta"), None),
    "starts from zero, and amplitudes were given": (torch.zeros(2, 1), torch.zeros(1), torch.ones(2, 4)),
}
BAD_AMPLITUDES = {
    "starts from amplitudes, and amplitudes were not given": None,
    r"amplitudes were given with shape \(2, 3\)": torch.ones(2, 3),
    r"amplitudes were given with shape \(1, 4\)": torch.ones(1, 4),
    "amplitudes are float64 and features are float32": torch.ones(2, 4, dtype=_DOUBLE),
    "amplitudes are complex128 and features are float32": torch.ones(2, 4, dtype=torch.complex128),
    "amplitudes hold NaN": torch.full((2, 4), torch.inf),
    "amplitude vector of sample 0 is zero": torch.zeros(2, 4),
}


class RefusalContract(Subject):
    """Capabilities, names and refusals: what depends on the family and not on the options."""

    def idle(self, monkeypatch: pytest.MonkeyPatch) -> Backend:
        """The backend under test, which fails the test if it runs anything."""
        subject = self.backend()
        for method in ("_run", "_estimate"):
            monkeypatch.setattr(subject, method, lambda *_: pytest.fail("it ran"))
        return subject

    def refused(self, kind: type[InputError], **options: Any) -> str:
        """The line in which these options are refused; it names the backend."""
        subject = self.backend()
        with pytest.raises(kind) as caught:
            self.having(**options)
        message = str(caught.value)
        assert "\n" not in message
        assert subject.name in message
        return message

    def test_it_tells_what_it_is(self) -> None:
        """A name, rows of a table, and capabilities of the declared types."""
        subject = self.backend()
        assert isinstance(subject, Backend)
        assert set(subject.name).isdisjoint(":, ")
        targets = [variant.target for variant in subject.variants]
        assert len(set(targets)) == len(targets) > 0
        assert all(variant.summary for variant in subject.variants)
        able = subject.capabilities
        assert isinstance(able, Capabilities)
        assert able.max_qubits >= 1
        flags = [field.name for field in fields(able) if field.name != "max_qubits"]
        assert all(type(getattr(able, name)) is bool for name in flags)

    def test_every_call_of_the_hook_makes_a_new_one(self) -> None:
        """The tests change their backends, so none may be shared."""
        assert self.backend() is not self.backend()

    def test_shots_where_there_are_none_are_refused(self) -> None:
        """The refusal names the option; it is not ignored."""
        if self.backend().capabilities.shots:
            pytest.skip(f"{self.backend().spec} has shots")
        assert "shots" in self.refused(InputError, shots=100)

    def test_adjoint_gradients_where_there_are_none_are_refused(self) -> None:
        """The refusal names the option; no other rule is used instead."""
        if self.backend().capabilities.native_gradients:
            pytest.skip(f"{self.backend().spec} has gradients of its own")
        assert "gradient" in self.refused(InputError, gradient="adjoint")

    @pytest.mark.parametrize(("option", "value"), [("shots", 0), ("shots", 2.5), ("seed", -1)])
    def test_impossible_numbers_are_refused(self, option: str, value: float) -> None:
        """One line names the option."""
        if not hasattr(self.backend().options, option):
            pytest.skip(f"{self.backend().spec} has no option {option}")
        with pytest.raises(InputError, match=option) as caught:
            self.having(**{option: value})
        assert "\n" not in str(caught.value)

    def test_unknown_options_are_refused(self) -> None:
        """A misspelt option is refused by its name."""
        assert "shotz" in self.refused(UnknownNameError, shotz=100)

    def test_too_many_qubits_are_refused_before_it_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The declared number of qubits is accepted; one more is refused if an observable needs them all."""
        subject = self.idle(monkeypatch)
        most = subject.capabilities.max_qubits
        large = product_parity(most + 1)
        for ask in (subject.expectations, subject.estimate):
            with pytest.raises(CapabilityError, match=f"{most + 1} qubits.*{subject.label}") as caught:
                ask(large, torch.zeros(1, 0), torch.zeros(1))
            assert "\n" not in str(caught.value)
        subject.check(Circuit.of(most, [gate("RX", 0, Weight(0))]))

    def test_amplitudes_not_taken_are_refused_before_it_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where amplitude input is not declared, the refusal names the backend."""
        subject, case = self.idle(monkeypatch), case_of(from_amplitudes())
        if subject.capabilities.amplitude_input:
            subject.check(case.circuit)
            return
        message = f"starts from amplitudes, which backend '{subject.label}'"
        with pytest.raises(CapabilityError, match=message) as caught:
            subject.expectations(case.circuit, *case.inputs)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("message", BAD_TENSORS)
    def test_bad_tensors_are_refused_before_it_runs(
        self, message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Wrong shapes, precisions and devices, NaN and infinity."""
        subject = self.idle(monkeypatch)
        circuit = Circuit.of(2, [gate("RY", 0, feature(0)), gate("CRX", (0, 1), Weight(0))])
        for ask in (subject.expectations, subject.estimate):
            with pytest.raises(InputError, match=message) as caught:
                ask(circuit, *BAD_TENSORS[message])
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("message", BAD_AMPLITUDES)
    def test_bad_amplitudes_are_refused_before_it_runs(
        self, message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same for amplitudes, where the backend takes them."""
        subject = self.idle(monkeypatch)
        if not subject.capabilities.amplitude_input:
            pytest.skip(f"{subject.spec} takes no amplitudes")
        with pytest.raises(InputError, match=message) as caught:
            subject.expectations(
                from_amplitudes(), torch.zeros(2, 1), torch.zeros(1), BAD_AMPLITUDES[message]
            )
        assert "\n" not in str(caught.value)

    def test_a_layer_is_refused_when_it_is_made(self) -> None:
        """A circuit that the backend cannot run is refused before the first batch."""
        from hybridqies.backends import QuantumLayer

        subject = self.backend()
        with pytest.raises(CapabilityError, match=subject.label):
            QuantumLayer(product_parity(subject.capabilities.max_qubits + 1), subject)


class HonestyContract(Subject):
    """What a backend with these options says of itself."""

    def test_exactness_is_not_claimed_for_samples_or_hardware(self) -> None:
        """A backend with shots or on hardware does not call itself exact."""
        subject = self.backend()
        if subject.is_exact:
            assert self.shots() is None
            assert not subject.capabilities.hardware
        assert subject.capabilities.shots or self.shots() is None

    def test_spec_gives_an_equal_backend(self) -> None:
        """A saved model makes its backend from this string."""
        subject = self.backend()
        spec = BackendSpec.parse(subject.spec)
        registered = subject.name in backend_names()
        again = load_backend(subject.spec) if registered else type(subject)(spec.target, **spec.options)
        assert type(again) is type(subject)
        assert (again.spec, again.target) == (subject.spec, subject.target)
        assert again.options == subject.options
        assert subject.spec in repr(subject)
