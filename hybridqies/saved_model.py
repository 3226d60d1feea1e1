"""A trained model with all it takes to use it, and the folder that it is saved in."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from hybridqies import __version__
from hybridqies.backends import Backend, Rates, RemoteBackend, load_backend, load_recorded
from hybridqies.circuit import Circuit
from hybridqies.errors import DataError, ModelFolderError
from hybridqies.files import sha256_of
from hybridqies.heads import Head
from hybridqies.options import from_mapping, to_mapping
from hybridqies.records import Needed, lacking, read_record, write_record
from hybridqies.tasks.base import OnProgress, TrainedModel
from hybridqies.tasks.building import build_head_of
from hybridqies.tasks.specs import ModelSpec
from hybridqies.tasks.text_classification import TextData, with_encoder
from hybridqies.tasks.text_model import TextModel, head_of
from hybridqies.tensors import check_finite, load_state, load_tensors, save_tensors
from hybridqies.text import EmbeddingCache, Encoder, Entry, embed_entries
from hybridqies.text.entries import are_pairs, check_entries, name_kind
from hybridqies.text.pairs import row_width, tokenise_entries, warn_of_cuts
from hybridqies.training import TrainingConfig, predict_probabilities, prediction_batch

CONFIG, WEIGHTS, TRAINED_ON = "config.json", "model.safetensors", "trained_on.json"
FORMAT = 2
_HASH_DIGITS = 16
_NEEDED: Needed = {"format": int, "model": dict | None, "run": dict | None, "fingerprints": dict | None}
_NEEDED_OF_MODEL: Needed = {"head": str, "circuits": dict, "weights_sha256": str}
_NEEDED_OF_TEXT_MODEL: Needed = {
    "encoder": dict,
    "trainable_layers": int,
    "pairs": bool,
    "given": dict,
    "options": dict,
    "classes": list,
    "backend": str,
    "training": dict,
    "trained_on_sha256": str,
}
# Defaults for what models of earlier versions do not record: all of them read single texts.
_ADDED: Mapping[str, Any] = {"pairs": False, "given": {}}
_NEEDED_OF_ENCODER: Needed = {"name": str, "fingerprint": str}


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
    """A trained model: its encoder, its module, and the labels of its outputs.

    `trained_on` holds short hashes of the training texts, which tell whether a text was among them. A model
    that is `paired` reads pairs of texts, and no others.
    """

    encoder: Encoder
    module: nn.Module
    spec: ModelSpec
    classes: tuple[Any, ...]
    backend: Backend
    training: TrainingConfig
    device: str = "cpu"
    cache: EmbeddingCache | None = None
    trained_on: frozenset[str] = field(default=frozenset(), repr=False)
    paired: bool = False

    @property
    def head(self) -> Head:
        """The head of the module."""
        return head_of(self.module)

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

    def read(self, texts: Sequence[Entry], on_text: OnProgress | None = None) -> Any:
        """What the module reads of B texts or pairs: numbers, or tokens for an encoder that was trained.

        Raises
        ------
        DataError: as `check_reads`.
        """
        self.check_reads(texts)
        if self.spec.trainable_layers:
            warn_of_cuts(self.encoder, texts, paired=self.paired)
            return tokenise_entries(self.encoder, texts, paired=self.paired)
        rows = embed_entries(self.encoder, texts, self.cache, on_text, paired=self.paired)
        return rows.to(self.device)

    def predict(self, inputs: Any) -> np.ndarray:
        """Class probabilities (B, K) for what `read` gave."""
        batch = prediction_batch(self.module, len(inputs), self.training.batch_size)
        return predict_probabilities(self.module, inputs, batch)

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
        weights = _trained_state(self.module)
        check_finite(weights, folder / WEIGHTS)
        save_tensors(folder / WEIGHTS, weights, {"head": self.spec.head})
        write_record(folder / TRAINED_ON, {"texts": sorted(self.trained_on)})
        model = {
            "encoder": self.encoder.describe(),
            "trainable_layers": self.spec.trainable_layers,
            "pairs": self.paired,
            "given": to_mapping(_Given.of(self.spec)),
            "head": self.spec.head,
            "options": to_mapping(head.config),
            "circuits": {role: circuit.to_mapping() for role, circuit in head.circuits().items()},
            "classes": list(self.classes),
            "n_inputs": head.n_inputs,
            "backend": self.backend.spec,
            "training": to_mapping(self.training),
            "weights_sha256": sha256_of(folder / WEIGHTS),
            "trained_on_sha256": sha256_of(folder / TRAINED_ON),
        }
        write_config(folder, model, run, fingerprints)


def save_trained(data: TextData, trained: TrainedModel, folder: Path, run: Mapping[str, Any]) -> None:
    """Saves a text classifier that a run trained, with the configuration of the run."""
    model = SavedModel(
        data.encoder,
        trained.model,
        trained.spec,
        data.classes,
        trained.backend,
        trained.training,
        data.device,
        data.cache,
        frozenset(map(hash_text, trained.drawn.train.texts)),
        data.paired,
    )
    model.save(folder, run, data.fingerprints)


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
    ModelFolderError: the folder is missing, unfinished, damaged or altered, or the encoder is not the one
        that the model was trained with.
    """
    model = {**_ADDED, **read_config(folder)["model"]}
    _refuse_damage(folder, _unfit(model))
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
    module = with_encoder(head, spec, found, paired=paired)
    tensors, _ = load_tensors(folder / WEIGHTS)
    _load_trained_state(module, tensors, folder / WEIGHTS)
    return SavedModel(
        found,
        module.to(device).eval(),
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
        trainable_layers=model["trainable_layers"],
    )


def check_weights(folder: Path, model: Mapping[str, Any]) -> None:
    """Refuses weights other than those that the configuration records.

    Raises
    ------
    ModelFolderError: they are missing, truncated or altered.
    """
    for name, recorded in ((WEIGHTS, model["weights_sha256"]), (TRAINED_ON, model.get("trained_on_sha256"))):
        path = folder / name
        if recorded is None:
            continue
        if not path.is_file():
            raise ModelFolderError(
                f"{str(path)!r} is missing",
                expected=f"the file that {CONFIG} names",
                todo="restore the folder or train again",
            )
        if sha256_of(path) != recorded:
            raise ModelFolderError(
                f"{str(path)!r} is truncated or was altered (its SHA-256 is not the recorded one)",
                todo="restore the folder or train again",
            )


def write_config(
    folder: Path,
    model: Mapping[str, Any] | None,
    run: Mapping[str, Any] | None,
    fingerprints: Mapping[str, str] | None = None,
) -> None:
    """Writes `config.json`; a run without a model yet is one that has not finished."""
    content = {"format": FORMAT, "hybridqies": __version__, "model": model, "run": run}
    write_record(folder / CONFIG, content | {"fingerprints": fingerprints})


def read_config(folder: Path, *, finished: bool = True) -> dict[str, Any]:
    """The checked `config.json` of a saved model; with `finished` False also of a run without a model yet.

    Raises
    ------
    ModelFolderError: missing, damaged, altered, unfinished, or of another format.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ModelFolderError(
            f"{str(folder)!r} holds no {CONFIG}",
            expected="a folder written by save_pretrained or `hybridqies train`",
        )
    content = read_record(path, needed=_NEEDED, what="model configuration")
    if content["format"] != FORMAT:
        raise ModelFolderError(
            f"{str(path)!r} has format {content['format']}", expected=f"format {FORMAT}", todo="train again"
        )
    if finished and content["model"] is None:
        raise ModelFolderError(
            f"the run in {str(folder)!r} has not finished",
            todo=f"continue with: hybridqies train --resume --out {shlex.quote(str(folder))}",
        )
    if content["model"] is not None:
        _refuse_damage(folder, lacking(content["model"], _NEEDED_OF_MODEL))
    return content


def _refuse_damage(folder: Path, problem: str) -> None:
    if problem:
        path = folder / CONFIG
        raise ModelFolderError(
            f"model configuration {str(path)!r} is damaged: {problem}", todo="restore it or train again"
        )


def _unfit(model: Mapping[str, Any]) -> str:
    """What is wrong with the text classifier that a configuration describes; empty where nothing is."""
    problem = lacking(model, _NEEDED_OF_TEXT_MODEL)
    if problem:
        return problem
    kinds = {type(label) for label in model["classes"]}
    if len(model["classes"]) < 2 or not kinds <= {str, int, float, bool}:
        return f"'classes' is {model['classes']!r:.60}"
    return lacking(model["encoder"], _NEEDED_OF_ENCODER)


def hash_text(text: Entry) -> str:
    """A short hash that tells whether two texts, or two pairs, are the same."""
    if isinstance(text, tuple):
        content = b"".join(hashlib.sha256(_encode(each)).digest() for each in text)
    else:
        content = _encode(text)
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _trained_state(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module, but for weights of its encoder that were not trained."""
    frozen = _frozen_in_encoder(module)
    return {name: value for name, value in module.state_dict().items() if name not in frozen}


def _load_trained_state(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    frozen = _frozen_in_encoder(module)
    if module is head_of(module):
        head_of(module).make_room(tensors)
    own = {name: value for name, value in module.state_dict().items() if name in frozen}
    load_state(module, {**own, **tensors}, path)


def _frozen_in_encoder(module: nn.Module) -> set[str]:
    if not isinstance(module, TextModel):
        return set()
    parameters = module.encoder.named_parameters(prefix="encoder")
    return {name for name, each in parameters if not each.requires_grad}


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
