"""A trained model with all it takes to use it, and the folder that it is saved in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from hybridqies.backends import Backend, Rates, RemoteBackend, load_backend, load_recorded
from hybridqies.circuit import Circuit
from hybridqies.devices import check_device
from hybridqies.errors import DataError, ModelFolderError
from hybridqies.files import sha256_of
from hybridqies.heads import Head
from hybridqies.options import from_mapping, to_mapping
from hybridqies.records import Needed, lacking, read_record, write_record
from hybridqies.saved_model.files import (
    TRAINED_ON,
    WEIGHTS,
    check_weights,
    read_config,
    refuse_damage,
    refuse_other_task,
    write_config,
)
from hybridqies.saved_model.trained_head import save_weights
from hybridqies.tasks.base import OnProgress, TrainedModel
from hybridqies.tasks.building import build_head_of
from hybridqies.tasks.specs import ModelSpec
from hybridqies.tasks.text_classification import TextData
from hybridqies.tensors import load_state, load_tensors
from hybridqies.text import EmbeddingCache, Encoder, Entry, embed_entries
from hybridqies.text.entries import are_pairs, check_entries, name_kind
from hybridqies.text.pairs import row_width
from hybridqies.training import TrainingConfig, predict_probabilities, prediction_batch
from hybridqies.tuning import FROZEN, TunedEncoder, base_of, change_encoder, head_of
from hybridqies.tuning.files import load_change, save_change, tuning_from

_HASH_DIGITS = 16
_NEEDED_OF_TEXT_MODEL: Needed = {
    "encoder": dict,
    "pairs": bool,
    "given": dict,
    "options": dict,
    "classes": list,
    "backend": str,
    "training": dict,
    "trained_on_sha256": str,
    "tuning": dict | None,
    "tuned_files": dict,
}
# Defaults for what models of earlier versions do not record: all of them read single texts.
_ADDED: Mapping[str, Any] = {"pairs": False, "given": {}}
_NEEDED_OF_ENCODER: Needed = {"name": str, "fingerprint": str}
_NEEDED_OF_TUNING: Needed = {"method": str, "n_parameters": int, "seconds": float, "sha256": str}


@dataclass(frozen=True, slots=True)
class _Given:
    """What the user gave of a specification, as JSON values.

    With `own_circuit` it was a `Circuit`, which stands among the model's circuits.
    """

    circuit: str | None = None
    own_circuit: bool = False
    n_qubits: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: ModelSpec) -> _Given:
        is_own = isinstance(spec.circuit, Circuit)
        name = None if isinstance(spec.circuit, Circuit) else spec.circuit
        return cls(name, is_own, spec.n_qubits, spec.settings)


@dataclass
class SavedModel:
    """A trained model: its encoder, tuned or not, its head, and the labels of its outputs.

    `trained_on` holds short hashes of the training texts, which tell whether a text was among them. A model
    that is `paired` reads pairs of texts, and no others.
    """

    encoder: Encoder
    head: Head
    spec: ModelSpec
    classes: tuple[Any, ...]
    backend: Backend
    training: TrainingConfig
    device: str = "cpu"
    cache: EmbeddingCache | None = None
    trained_on: frozenset[str] = field(default=frozenset(), repr=False)
    paired: bool = False

    def check_reads(self, texts: Sequence[Entry]) -> None:
        """Refuses texts that cannot be embedded, and single ones in the place of pairs or the reverse.

        Raises
        ------
        DataError: the first of them by its number, or the kind that was given.
        """
        check_entries(texts)
        if len(texts) and are_pairs(texts) != self.paired:
            raise DataError(
                f"{name_kind(not self.paired)} were given to a model of {name_kind(self.paired)}",
                expected=name_kind(self.paired),
                todo="give two texts each, or a file with a column of second texts (--pair-column)"
                if self.paired
                else "give one text each, or leave second texts out (--pair-column none)",
            )

    def read(self, texts: Sequence[Entry], on_text: OnProgress | None = None) -> Tensor:
        """What the head reads of B texts or pairs: embeddings (B, D), or (B, 4 D).

        Raises
        ------
        DataError: as `check_reads`.
        """
        self.check_reads(texts)
        rows = embed_entries(self.encoder, texts, self.cache, on_text, paired=self.paired)
        return rows.to(self.device)

    def predict(self, inputs: Tensor) -> np.ndarray:
        """Class probabilities (B, K) for what `read` gave."""
        batch = prediction_batch(self.head, len(inputs), self.training.batch_size)
        return predict_probabilities(self.head, inputs, batch)

    def predict_texts(self, texts: Sequence[Entry], on_text: OnProgress | None = None) -> np.ndarray:
        """Class probabilities (B, K) for B texts or pairs."""
        return self.predict(self.read(texts, on_text))

    def count_trained_on(self, texts: Sequence[Entry]) -> int | None:
        """How many of `texts` the model was trained on; None where that was not recorded."""
        if not self.trained_on:
            return None
        return sum(hash_text(text) in self.trained_on for text in texts)

    def indices_of(self, labels: Sequence[Any]) -> list[int]:
        """Class indices of labels.

        Raises
        ------
        DataError: a label that was not there in training.
        """
        index = {label: at for at, label in enumerate(self.classes)}
        unseen = sorted({str(label) for label in labels if label not in index})
        if unseen:
            raise DataError(
                f"label {unseen[0]!r} was never seen in training", expected=f"one of {list(self.classes)}"
            )
        return [index[label] for label in labels]

    def save(
        self,
        folder: Path,
        run: Mapping[str, Any] | None = None,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        """Writes weights, configuration and the hashes of the training texts.

        `run` and `fingerprints` are those of the run that trained it, recorded as they are.
        """
        head = self.head
        tuned = self.encoder if isinstance(self.encoder, TunedEncoder) else None
        entries = save_weights(
            folder,
            head.state_dict(),
            self.spec.head,
            head,
            self.classes,
            self.backend,
            self.training,
        )
        write_record(folder / TRAINED_ON, {"texts": sorted(self.trained_on)})
        model = {
            "encoder": base_of(self.encoder).describe(),
            "tuning": tuned.change.describe() if tuned else None,
            "tuned_files": save_change(folder, tuned) if tuned else {},
            "pairs": self.paired,
            "given": to_mapping(_Given.of(self.spec)),
            **entries,
            "trained_on_sha256": sha256_of(folder / TRAINED_ON),
        }
        write_config(folder, model, run, fingerprints)


def save_trained(data: TextData, trained: TrainedModel, folder: Path, run: Mapping[str, Any]) -> None:
    """Saves a text classifier that a run trained, with the configuration of the run.

    `data` has the encoder as tuning left it.
    """
    model = SavedModel(
        data.encoder,
        head_of(trained.model),
        trained.spec,
        data.classes,
        trained.backend,
        trained.training,
        data.device,
        data.cache,
        frozenset(map(hash_text, trained.drawn.train.texts)),
        data.paired,
    )
    base = base_of(data.encoder)
    model.save(folder, run, {**data.fingerprints, "encoder": base.fingerprint})


def load_model(
    folder: Path,
    *,
    encoder: str | Path | Encoder | None = None,
    backend: str | Backend | None = None,
    device: str = "cpu",
    cache: EmbeddingCache | None = None,
    rates: Rates | None = None,
) -> SavedModel:
    """The model that `SavedModel.save` wrote; `encoder` is where its encoder is now, `backend` where it runs.

    Jobs at remote services are journalled in the folder, unless the backend has a journal. `rates` let the
    refusal of a backend name its price.

    Raises
    ------
    CapabilityError: the recorded backend may cost money, and no `backend` was given.
    InputError: a device that is not there.
    ModelFolderError: the folder is missing, unfinished, damaged or altered, holds a model that reads no
        texts, or the encoder is not the one that the model was trained with.
    """
    check_device(device)
    model = {**_ADDED, **read_config(folder)["model"]}
    refuse_other_task(folder, model)
    refuse_damage(folder, _unfit(model))
    check_weights(folder, model)
    placed = load_recorded(model["backend"], rates=rates) if backend is None else load_backend(backend)
    if isinstance(placed, RemoteBackend):
        placed.journal_in(folder)
    found = _same_encoder(model["encoder"], encoder, device)
    spec = _spec_of(model)
    training = from_mapping(TrainingConfig, model["training"], what="training option")
    classes = tuple(model["classes"])
    paired = model["pairs"]
    width = row_width(found.dimension, paired=paired)
    head = build_head_of(spec, width, len(classes), placed, training.seed)
    tensors, _ = load_tensors(folder / WEIGHTS)
    load_state(head, tensors, folder / WEIGHTS)
    if model["tuning"] is not None:
        found = change_encoder(found, load_change(folder, model["tuning"]))
    return SavedModel(
        found,
        head.to(device).eval(),
        spec,
        classes,
        placed,
        training,
        device,
        cache,
        frozenset(read_record(folder / TRAINED_ON, needed={"texts": list})["texts"]),
        paired,
    )


def _spec_of(model: Mapping[str, Any]) -> ModelSpec:
    """The specification of a recorded model: what its user gave, and what that came to."""
    given = from_mapping(_Given, model["given"], what="model option")
    circuits = {role: Circuit.from_mapping(stored) for role, stored in model["circuits"].items()}
    return ModelSpec(
        model["head"],
        circuits.get("circuit") if given.own_circuit else given.circuit,
        given.n_qubits,
        given.settings,
        options=model["options"],
        circuits=circuits,
        tuning=FROZEN if model["tuning"] is None else tuning_from(model["tuning"]),
    )


def _unfit(model: Mapping[str, Any]) -> str:
    """What is wrong with the text classifier that a configuration describes; empty where nothing is."""
    problem = lacking(model, _NEEDED_OF_TEXT_MODEL)
    if problem:
        return problem
    kinds = {type(label) for label in model["classes"]}
    if len(model["classes"]) < 2 or not kinds <= {str, int, float, bool}:
        return f"'classes' is {model['classes']!r:.60}"
    return lacking(model["encoder"], _NEEDED_OF_ENCODER) or (
        "" if model["tuning"] is None else lacking(model["tuning"], _NEEDED_OF_TUNING)
    )


def hash_text(text: Entry) -> str:
    """A short hash that tells whether two texts, or two pairs, are the same."""
    if isinstance(text, tuple):
        content = b"".join(hashlib.sha256(_encode(each)).digest() for each in text)
    else:
        content = _encode(text)
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _same_encoder(recorded: Mapping[str, Any], given: str | Path | Encoder | None, device: str) -> Encoder:
    where = recorded["name"] if given is None else given
    encoder = where if isinstance(where, Encoder) else Encoder.load(where, device)
    if encoder.fingerprint != recorded["fingerprint"]:
        raise ModelFolderError(
            f"encoder {encoder.name!r} has another fingerprint than the one this model was trained with",
            expected=f"fingerprint {recorded['fingerprint'][:12]}…",
            todo="install the same encoder or train again",
        )
    return encoder
