"""Circuits of one's own in a classifier: objects and recipes, saved with the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridqies import HybridClassifier, load_circuit
from hybridqies.circuit import Circuit, Weight, feature, gate
from hybridqies.errors import InputError
from hybridqies.text import Encoder

QUICK: dict[str, Any] = {"epochs": 3, "learning_rate": 0.05}
Sentences = Callable[[int], tuple[list[str], list[str]]]

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    # Three epochs are few, and say so.
    pytest.mark.filterwarnings("ignore::hybridqies.training.TrainingWarning"),
]


class TestOwnCircuit:
    def circuit(self) -> Circuit:
        gates = [gate("RY", q, feature(q)) for q in range(3)]
        gates += [gate("CRX", (0, 2), Weight(0)), gate("RZZ", (1, 2), Weight(1)), gate("RX", 2, Weight(0))]
        return Circuit.of(3, gates, name="mine")

    @pytest.mark.parametrize("head", ["dressed", "two-module"])
    def test_it_goes_through_a_folder(
        self, head: str, encoder: Encoder, sentences: Sentences, tmp_path: Path
    ) -> None:
        model = HybridClassifier(encoder, head, self.circuit(), **QUICK)
        model.fit(*sentences(40), validation=0.2)
        assert model.head_.circuits()["circuit"] == self.circuit()
        assert "circuit: weights of the circuit = 2" in model.head_.describe().formula
        again = HybridClassifier.from_pretrained(model.save_pretrained(tmp_path / "m"))
        assert again.head_.circuits() == model.head_.circuits()
        texts = sentences(40)[0]
        assert (again.predict_proba(texts) == model.predict_proba(texts)).all()

    def test_a_model_keeps_the_circuit_it_was_trained_with(
        self, encoder: Encoder, sentences: Sentences, tmp_path: Path
    ) -> None:
        recipe = tmp_path / "mine.toml"
        recipe.write_text(
            'title = "t"\nreference = "r"\nweights = "n"\nmeasure = [{ pauli = "Z" }]\n'
            'layers = [{ encode = "RY" }, { rotate = "RY" }]\n'
        )
        model = HybridClassifier(encoder, "dressed", recipe, 3, **QUICK)
        model.fit(*sentences(40)).save_pretrained(tmp_path / "m")
        recipe.unlink()
        texts = sentences(40)[0]
        assert (
            HybridClassifier.from_pretrained(tmp_path / "m").predict_proba(texts)
            == model.predict_proba(texts)
        ).all()

    def test_contradictions(self, encoder: Encoder) -> None:
        with pytest.raises(InputError, match="n_qubits=4 was given with a circuit of 3 qubits"):
            HybridClassifier(encoder, "dressed", self.circuit(), 4).fit(["a", "b"], [0, 1])
        with pytest.raises(
            InputError, match="head 'logistic' was given circuit and n_qubits, and has no circuit"
        ):
            HybridClassifier(encoder, "logistic", self.circuit(), 3)
        with pytest.raises(InputError, match="'long-range-encoder' was given as the second module"):
            HybridClassifier(encoder, circuit=load_circuit("long-range-encoder", 4), merge="learnt").fit(
                ["a", "b"], [0, 1]
            )
