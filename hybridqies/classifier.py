"""The hybrid classifier: a frozen encoder and a trained head, with scikit-learn's verbs."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridqies import __version__
from hybridqies.backends import DEFAULT_BACKEND, Backend, RemoteBackend, load_backend
from hybridqies.backends.jobs import Limits
from hybridqies.circuit import Circuit
from hybridqies.errors import DataError, InputError, ModelFolderError
from hybridqies.files import sha256_of, write_json
from hybridqies.heads import DEFAULT_HEAD, build_head, head_class, head_options, quantum_heads
from hybridqies.heads.base import Head, HeadContext
from hybridqies.options import from_mapping, to_mapping
from hybridqies.tensors import load_tensors, save_tensors
from hybridqies.text import Dataset, EmbeddingCache, Encoder, Examples, embed, split
from hybridqies.training import (
    CrossEntropy,
    Labelled,
    Outcome,
    TrainingConfig,
    fit,
    predict_probabilities,
    prediction_batch,
)

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = 1

Label = str | int
OnProgress = Callable[[int, int], None]
OnEpoch = Callable[[dict[str, Any]], None]


class HybridClassifier:
    """Texts in, labels out: a frozen sentence encoder and a head trained on its embeddings.

    >>> model = HybridClassifier.from_pretrained(circuit="long-range-reupload", n_qubits=9)
    >>> model.fit(texts, labels, validation=0.15).predict(["a sentence"])

    Attributes after fitting: `classes_` (the labels, sorted), `head_` (the trained
    torch module), `outcome_` (what training recorded).
    """

    def __init__(
        self,
        encoder: Encoder,
        head: str = DEFAULT_HEAD,
        options: Mapping[str, Any] | None = None,
        *,
        circuit: Circuit | None = None,
        backend: str | Backend = DEFAULT_BACKEND,
        training: TrainingConfig | None = None,
        device: str = "cpu",
        cache: EmbeddingCache | None = None,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.options = dict(options or {})
        self.circuit = circuit
        self.backend = load_backend(backend) if isinstance(backend, str) else backend
        self.training = training or TrainingConfig()
        self.device = device
        self.cache = cache if cache is not None else EmbeddingCache()
        self.classes_: tuple[Label, ...] = ()
        self.head_: Head | None = None
        self.outcome_: Outcome | None = None

    @classmethod
    def from_pretrained(
        cls,
        encoder: str | Path | Encoder = "all-MiniLM-L6-v2",
        circuit: str | Path | Circuit | None = None,
        n_qubits: int | None = None,
        *,
        head: str = DEFAULT_HEAD,
        backend: str | Backend = DEFAULT_BACKEND,
        training: TrainingConfig | Mapping[str, Any] | None = None,
        device: str = "cpu",
        cache: EmbeddingCache | None = None,
        **settings: Any,
    ) -> HybridClassifier:
        """A classifier to be fitted, on the encoder of that name or folder.

        `circuit` is a recipe's name or path, or a Circuit; `settings` are the head's
        options and its recipe's, as `--set` takes them (`encoders=2`, `connectivity=3`;
        write the encoder's as `**{"encoder.layers": 4}`).

        Raises
        ------
        UnknownNameError: no such encoder, circuit, head, backend or setting.
        InputError: settings that contradict each other or do not fit the encoder.
        """
        own = circuit if isinstance(circuit, Circuit) else None
        if own is not None and n_qubits not in (None, own.n_qubits):
            raise InputError(f"n_qubits={n_qubits} was given with a circuit of {own.n_qubits} qubits")
        qubits = own.n_qubits if own is not None else n_qubits
        named = str(circuit) if isinstance(circuit, Path) else circuit
        options = head_options(head, settings, named, qubits)
        config = (
            training
            if isinstance(training, TrainingConfig)
            else from_mapping(TrainingConfig, training or {}, what="training option")
        )
        model = cls(
            encoder if isinstance(encoder, Encoder) else Encoder.load(encoder, device),
            head,
            options,
            circuit=own,
            backend=backend,
            training=config,
            device=device,
            cache=cache,
        )
        model.check()
        return model

    def cap(
        self,
        limits: Limits | None = None,
        *,
        journal: Path | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Bounds what its backend may pay for, and says where its jobs are kept and who is told of them.

        What is left out stays as it is.

        Raises
        ------
        InputError: there is a cap or a journal and nothing is paid: no circuit runs, or it runs here.
        """
        named = {**asdict(limits or Limits()), "journal": journal}
        given = next((name for name, value in named.items() if value is not None), None)
        if given is not None:
            check_runs_circuit((self.head,), f"{given} was given")
            if not (isinstance(self.backend, RemoteBackend) and self.backend.has_jobs):
                raise InputError(
                    f"{given} was given with backend {self.backend.label!r}, which costs nothing",
                    expected="a backend at a remote service (see: hybridqies backends)",
                )
        if isinstance(self.backend, RemoteBackend):
            settings: dict[str, Any] = {"limits": limits, "journal": journal, "on_progress": on_progress}
            changed = {name: value for name, value in settings.items() if value is not None}
            self.backend.jobs = replace(self.backend.jobs, **changed)

    def check(self) -> None:
        """Refuses options that cannot be built, before anything is embedded.

        Raises
        ------
        InputError: the first thing that is wrong with them.
        """
        self.untrained(2)

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Label],
        validation: float | tuple[Sequence[str], Sequence[Label]] | None = None,
        *,
        folder: str | Path | None = None,
        resume: bool = False,
        on_text: OnProgress | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> HybridClassifier:
        """Embeds the texts (once; they are cached) and trains the head.

        `validation` is a fraction to draw from the texts, stratified, or (texts,
        labels); the best epoch on it is kept. `folder` receives metrics and
        checkpoints, from which `resume` goes on.

        Raises
        ------
        DataError: no texts, one class only, an empty text, or a validation label that training never sees.
        """
        data = _dataset(texts, labels, validation, self.training.seed)
        parts = {name: self.embed(part.texts, on_text) for name, part in data.splits().items()}
        held_out = None
        if data.validation is not None:
            held_out = self.labelled(parts["validation"], data.validation.labels, data.classes)
        self.fit_embedded(
            self.labelled(parts["train"], data.train.labels, data.classes),
            held_out,
            data.classes,
            folder=None if folder is None else Path(folder),
            resume=resume,
            on_epoch=on_epoch,
        )
        return self

    def fit_embedded(
        self,
        training: Labelled,
        validation: Labelled | None,
        classes: tuple[Label, ...],
        *,
        folder: Path | None = None,
        resume: bool = False,
        on_epoch: OnEpoch | None = None,
    ) -> Outcome:
        """`fit` for texts that are embedded already; labels are indices into `classes`."""
        self.classes_ = classes
        if folder is not None:
            journal_in(self.backend, folder)
        self.head_ = self.untrained(len(classes)).to(self.device)
        self.outcome_ = fit(
            self.head_,
            training,
            validation,
            CrossEntropy.of(self.training, training, len(classes)),
            self.training,
            folder=folder,
            resume=resume,
            on_epoch=on_epoch,
        )
        return self.outcome_

    def predict_proba(self, texts: Sequence[str], on_text: OnProgress | None = None) -> np.ndarray:
        """Class probabilities (B, K), columns in the order of `classes_`."""
        head = self._fitted()
        batch = prediction_batch(head, len(texts), self.training.batch_size)
        return predict_probabilities(head, self.embed(texts, on_text), batch)

    def predict(self, texts: Sequence[str], on_text: OnProgress | None = None) -> np.ndarray:
        """The most probable label of each text, (B,)."""
        best = self.predict_proba(texts, on_text).argmax(axis=1)
        labels: np.ndarray = np.array(self.classes_)[best]
        return labels

    def score(self, texts: Sequence[str], labels: Sequence[Label]) -> float:
        """The fraction of texts whose predicted label is the given one."""
        if len(texts) != len(labels) or not len(texts):
            raise DataError(
                f"{len(texts)} texts and {len(labels)} labels were given", expected="as many, at least one"
            )
        self._fitted()
        truth = self.labelled(torch.empty(0), labels, self.classes_).labels.cpu().numpy()
        return float((self.predict_proba(texts).argmax(axis=1) == truth).mean())

    def embed(self, texts: Sequence[str], on_text: OnProgress | None = None) -> Tensor:
        """Embeddings (B, D) on the classifier's device, from the cache where it has them."""
        return embed(self.encoder, texts, self.cache, on_text).to(self.device)

    def labelled(self, embeddings: Tensor, labels: Sequence[Label], classes: tuple[Label, ...]) -> Labelled:
        """Embeddings with their labels as indices into `classes`."""
        index = {label: at for at, label in enumerate(classes)}
        unseen = sorted({str(label) for label in labels if label not in index})
        if unseen:
            raise DataError(
                f"label {unseen[0]!r} was never seen in training", expected=f"one of {list(classes)}"
            )
        return Labelled(
            embeddings, torch.tensor([index[label] for label in labels], device=embeddings.device)
        )

    def save_pretrained(self, folder: str | Path, run: Mapping[str, Any] | None = None) -> Path:
        """Writes `model.safetensors` and `config.json`; `run` is recorded beside the model's own settings."""
        head, target = self._fitted(), Path(folder)
        save_tensors(target / WEIGHTS, head.state_dict(), {"head": self.head})
        model = {
            "encoder": self.encoder.describe(),
            "head": self.head,
            "options": to_mapping(head.config),
            "circuits": {role: circuit.to_mapping() for role, circuit in head.circuits().items()},
            "classes": list(self.classes_),
            "n_inputs": head.n_inputs,
            "backend": self.backend.spec,
            "training": to_mapping(self.training),
            "weights_sha256": sha256_of(target / WEIGHTS),
        }
        write_config(target, model, run)
        return target

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        backend: str | Backend | None = None,
        device: str = "cpu",
        cache: EmbeddingCache | None = None,
    ) -> HybridClassifier:
        """The classifier that `save_pretrained` wrote; `backend` swaps where its circuit runs.

        Jobs at remote services are journalled in the folder, unless the backend has a journal.

        Raises
        ------
        ModelFolderError: the folder is missing, unfinished, truncated or altered, or the
            encoder found under the recorded name is not the one the head was trained on.
        """
        model = read_config(folder)["model"]
        path = Path(folder) / WEIGHTS
        if not path.is_file():
            raise ModelFolderError(f"{str(path)!r} is missing", expected="the weights that config.json names")
        if sha256_of(path) != model["weights_sha256"]:
            raise ModelFolderError(
                f"{str(path)!r} is truncated or was altered (its SHA-256 is not the recorded one)",
                todo="restore the folder or train anew",
            )
        encoder = _same_encoder(model["encoder"], device)
        given = model["backend"] if backend is None else backend
        placed = load_backend(given) if isinstance(given, str) else given
        journal_in(placed, Path(folder))
        made = cls(
            encoder,
            model["head"],
            model["options"],
            backend=placed,
            training=from_mapping(TrainingConfig, model["training"], what="training option"),
            device=device,
            cache=cache,
        )
        circuits = {role: Circuit.from_mapping(stored) for role, stored in model["circuits"].items()}
        made.classes_ = tuple(model["classes"])
        head = made.untrained(len(made.classes_), circuits)
        tensors, _ = load_tensors(path)
        head.load_state_dict(tensors)
        made.head_ = head.to(device).eval()
        return made

    def untrained(self, n_classes: int, circuits: Mapping[str, Circuit] | None = None) -> Head:
        """A head as training starts with; `circuits` stand in for those of its recipes."""
        own = {"circuit": self.circuit} if self.circuit is not None else None
        generator = torch.Generator().manual_seed(self.training.seed)
        context = HeadContext(self.encoder.dimension, n_classes, self.backend, generator, circuits or own)
        return build_head(self.head, self.options, context)

    def _fitted(self) -> Head:
        if self.head_ is None:
            raise InputError("this classifier has not been fitted", todo="call fit, or load a saved one")
        return self.head_


def journal_in(backend: Backend, folder: Path) -> None:
    """Keeps a backend's jobs in `folder`, if it has jobs and was told of no other place."""
    if isinstance(backend, RemoteBackend):
        backend.journal_in(folder)


def is_quantum(head: str) -> bool:
    """Whether the head of that name runs a circuit."""
    return head_class(head).runs_circuit


def check_runs_circuit(heads: Sequence[str], given: str) -> None:
    """Refuses what means nothing where none of the heads has a circuit; `given` tells what it was.

    Raises
    ------
    InputError: naming the first head.
    """
    if not any(map(is_quantum, heads)):
        raise InputError(
            f"{given}, and head {heads[0]!r} runs no circuit",
            expected=f"a head with a circuit: {', '.join(quantum_heads())}",
        )


def write_config(folder: Path, model: Mapping[str, Any] | None, run: Mapping[str, Any] | None) -> None:
    """Writes `config.json`; a run without a model yet is one that has not finished."""
    content = {"format": FORMAT, "hybridqies": __version__, "model": model, "run": run}
    write_json(folder / CONFIG, content | {"digest": _digest(content)})


def read_config(folder: str | Path, *, finished: bool = True) -> dict[str, Any]:
    """The checked `config.json` of a saved model.

    With `finished` False also of a run that has no model yet.

    Raises
    ------
    ModelFolderError: missing, damaged, altered, unfinished, or of another format.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise ModelFolderError(
            f"{str(folder)!r} holds no {CONFIG}",
            expected="a folder written by save_pretrained or `hybridqies train`",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        recorded = content.pop("digest")
        version = content["format"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFolderError(
            f"{str(path)!r} is truncated or damaged ({error!r})", todo="restore it or train anew"
        ) from None
    if version != FORMAT:
        raise ModelFolderError(f"{str(path)!r} has format {version}", expected=f"format {FORMAT}")
    if recorded != _digest(content):
        raise ModelFolderError(
            f"{str(path)!r} was altered after it was written", todo="restore it or train anew"
        )
    if finished and content["model"] is None:
        raise ModelFolderError(
            f"the run in {str(folder)!r} has not finished",
            todo=f"go on with: hybridqies train --resume --out {shlex.quote(str(folder))}",
        )
    result: dict[str, Any] = content
    return result


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _same_encoder(recorded: Mapping[str, Any], device: str) -> Encoder:
    encoder = Encoder.load(recorded["name"], device)
    if encoder.fingerprint != recorded["fingerprint"]:
        raise ModelFolderError(
            f"encoder {recorded['name']!r} has another fingerprint than the one this model was trained on",
            expected=f"fingerprint {recorded['fingerprint'][:12]}…",
            todo="install the same encoder or train anew",
        )
    return encoder


def _dataset(
    texts: Sequence[str],
    labels: Sequence[Label],
    validation: float | tuple[Sequence[str], Sequence[Label]] | None,
    seed: int,
) -> Dataset:
    training = Examples.of(texts, labels)
    if isinstance(validation, tuple):
        return Dataset.of("given texts", training, Examples.of(*validation), None)
    whole = Dataset.of("given texts", training, None, None)
    if validation is None:
        return whole
    return split(whole, validation_fraction=validation, test_fraction=0.0, seed=seed)
