"""The hybrid classifier: a scikit-learn estimator on texts, saved and loaded as Hugging Face's models are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from hybridqies import defaults
from hybridqies.backends import Backend, RemoteBackend, load_backend
from hybridqies.circuit import Circuit
from hybridqies.errors import DataError, InputError
from hybridqies.estimators import NotFittedError, split_options, warn_of
from hybridqies.heads import Head, head_class
from hybridqies.hub.publication import fetch_model, publish
from hybridqies.options import to_mapping
from hybridqies.saved_model import SavedModel, hash_text, load_model
from hybridqies.tasks import DataOptions, ModelSpec, tuning_of
from hybridqies.tasks.text_classification import TextData
from hybridqies.text import Dataset, EmbeddingCache, Encoder, Examples, split
from hybridqies.text.checks import as_labels
from hybridqies.text.entries import as_entries
from hybridqies.training import Outcome, TrainingConfig, fit, watch_kernels
from hybridqies.tuning import base_of, head_of
from hybridqies.tuning.spec import tuning_settings
from hybridqies.tuning.store import TuningStore
from hybridqies.verbosity import log_progress

OnProgress = Callable[[int, int], None]
OnEpoch = Callable[[dict[str, Any]], None]
Texts = Sequence[str | Sequence[str]] | np.ndarray
Validation = float | tuple[Texts, Sequence[Any]] | None


class HybridClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Texts in, labels out: a sentence encoder, and a head trained on its embeddings.

    >>> model = HybridClassifier(circuit="long-range-reupload", n_qubits=9, epochs=40)
    >>> model.fit(texts, labels, validation=0.15).predict(["a sentence"])

    Texts are strings, or pairs of strings: a sequence of either, a NumPy array (B,) or (B, 2), a pandas
    Series, or for pairs a data frame with the columns `text` and `text_pair` alone. A model that was fitted
    on pairs reads pairs only.

    `circuit` is the name or file of a recipe, or a Circuit. `backend` says where it runs. `tune` changes
    the encoder, too: "full", or an adapter ("lora", "lokr", "quanta", "circuit"); its options begin with
    `tune__`, as `tune__layers`. `cache` keeps embeddings; None is the user's own, False none. With `verbose`
    a long `fit` writes lines of progress to stderr; without, they go to the logger "hybridqies" at level
    INFO. Everything else is an option of training (`epochs`,
    `learning_rate`, `seed`, …) or of the head and its recipes (`encoders=2`, `connectivity=3`,
    `encoder__layers=4`).

    Attributes after fitting: `classes_` (the labels, sorted, as an array (K,)), `head_` (the trained torch
    module), `outcome_` (what training recorded).

    Raises
    ------
    UnknownNameError: no such encoder, circuit, head, backend or option.
    InputError: from `fit`, options that contradict each other or don't fit the encoder.
    """

    def __init__(
        self,
        encoder: str | Path | Encoder = defaults.ENCODER,
        head: str = defaults.HEAD,
        circuit: str | Path | Circuit | None = None,
        n_qubits: int | None = None,
        *,
        backend: str | Backend = defaults.BACKEND,
        tune: str | None = None,
        device: str = "cpu",
        cache: EmbeddingCache | bool | None = None,
        verbose: bool = False,
        **options: Any,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.circuit = circuit
        self.n_qubits = n_qubits
        self.backend = backend
        self.tune = tune
        self.device = device
        self.cache = cache
        self.verbose = verbose
        self.options = options
        self._split()

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Every parameter, those of training and of the head among them."""
        return {name: getattr(self, name) for name in _NAMED} | self.options

    def set_params(self, **params: Any) -> Self:
        """Changes parameters; those of training and of the head are named like the others.

        Raises
        ------
        UnknownNameError: a parameter that does not exist.
        """
        before = self.get_params()
        try:
            self._assign(params)
            self._split()
        except InputError:
            self.options = {}
            self._assign(before)
            raise
        return self

    def fit(
        self,
        texts: Texts,
        labels: Sequence[Any] | np.ndarray,
        validation: Validation = None,
        *,
        folder: str | Path | None = None,
        resume: bool = False,
        on_text: OnProgress | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Embeds the texts (once; they are cached) and trains the head.

        `validation` is a fraction to draw from the texts, stratified, or (texts,
        labels); the best epoch on it is kept. `folder` receives metrics and
        checkpoints, from which `resume` goes on. A training that has not converged, or a model that
        predicts one class only, is warned of (`TrainingWarning`).

        Raises
        ------
        DataError: no texts, one class only, an empty text, or a validation label that training never sees.
        """
        spec, config = self._split()
        backend = load_backend(self.backend)
        dataset = _read(texts, labels, validation, config.seed)
        data = self._load_data(dataset)
        module = data.build(spec, backend, config.seed)
        place = None if folder is None else Path(folder)
        if place is not None and isinstance(backend, RemoteBackend):
            backend.journal_in(place)
        train, held_out = dataset.train, dataset.validation
        with log_progress(self.verbose) as lines, watch_kernels([module], lines.tell_of_compilation):
            report = _both(lines.epoch, on_epoch)
            if tuning_of(spec).is_first:
                lines.begin(f"tuning the encoder by {spec.tuning.method}", spec.tuning.epochs)
            inside = None if place is None else place / "tuning"
            data = data.tune(spec, train, held_out, config, folder=inside, resume=resume, on_epoch=report)
            lines.begin("embedding", len(train))
            rows = data.rows(train, spec, _both(lines.update, on_text))
            lines.begin(
                f"training {spec.head}", 1 if head_class(spec.head).is_solved else config.n_epochs(len(train))
            )
            self.outcome_: Outcome = fit(
                module,
                rows,
                None if held_out is None else data.rows(held_out, spec),
                data.objective(config, rows),
                config,
                folder=place,
                resume=resume,
                on_epoch=report,
            )
        data = data.tuned_by(module)
        self._keep(_trained(data, spec, head_of(module), backend, config))
        judged = data.rows(train if held_out is None else held_out, spec)
        warn_of(self.outcome_, head_of(module), judged, dataset.classes, config)
        return self

    def predict_proba(self, texts: Texts, on_text: OnProgress | None = None) -> np.ndarray:
        """Class probabilities (B, K), columns in the order of `classes_`."""
        return self._fitted().predict_texts(as_entries(texts), on_text)

    def predict(self, texts: Texts, on_text: OnProgress | None = None) -> np.ndarray:
        """The most probable label of each text, (B,)."""
        best = self.predict_proba(texts, on_text).argmax(axis=1)
        labels: np.ndarray = self.classes_[best]
        return labels

    def score(self, texts: Texts, labels: Sequence[Any] | np.ndarray, sample_weight: Any = None) -> float:
        """The fraction of texts whose predicted label is the given one.

        Raises
        ------
        DataError: no texts, or not as many labels.
        """
        given, truth = as_entries(texts), as_labels(labels)
        if len(given) != len(truth) or not len(given):
            raise DataError(
                f"{len(given)} texts and {len(truth)} labels were given", expected="as many, at least one"
            )
        right = np.array([a == b for a, b in zip(self.predict(given).tolist(), truth, strict=True)])
        return float(np.average(right, weights=sample_weight))

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes `config.json`, `model.safetensors` and hashes of the training texts; returns the folder."""
        self._fitted().save(Path(folder))
        return Path(folder)

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | None = None,
        license_name: str | None = None,
        text_hashes: bool = False,
    ) -> str:
        """Uploads the fitted model with a card to `owner/name` on the Hub; returns the commit's address.

        The repository is made if it is missing. The card of a run, with its results and those of its rivals,
        is pushed by `hybridqies hub push`. Without `text_hashes` nobody can test whether a text was among
        the training texts.

        Raises
        ------
        InputError: no token, a token without the right to write, or a hub out of reach.
        """
        with tempfile.TemporaryDirectory() as place:
            self._fitted().save(Path(place))
            return publish(
                Path(place),
                repository,
                license_name=license_name,
                text_hashes=text_hashes,
                private=private,
                revision=revision,
                token=token,
            )

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        encoder: str | Path | Encoder | None = None,
        backend: str | Backend | None = None,
        device: str = "cpu",
        cache: EmbeddingCache | bool | None = None,
        revision: str | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """The classifier that a folder holds, or the repository `owner/name` of the Hub.

        `encoder` is where its encoder is now, if that has moved; `backend` swaps where its circuit runs. Jobs
        at remote services are journalled in the folder, unless the backend has a journal. `revision` is a
        branch, tag or commit of the Hub; with `local_files_only` only its cache is read. Fitted again, the
        model trains as it was trained.

        Raises
        ------
        InputError: no such repository or revision, access refused, or a hub out of reach.
        ModelFolderError: the folder is missing, unfinished, truncated or altered, or the encoder is not the
            one that the model was trained with.
        """
        place = fetch_model(folder, revision=revision, token=token, local_files_only=local_files_only)
        loaded = load_model(place, encoder=encoder, backend=backend, device=device, cache=_cache_of(cache))
        made = cls(
            base_of(loaded.encoder),
            loaded.spec.head,
            backend=loaded.backend,
            tune=loaded.spec.tuning.method if loaded.spec.tuning else None,
            device=device,
            cache=cache,
        )
        # Unchecked: a recipe may have moved since, and the model does without it.
        made._assign(_params_of(loaded))
        made._keep(loaded)
        return made

    @property
    def head_(self) -> Head:
        """The trained head."""
        return self._fitted().head

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array = True, True
        tags.input_tags.two_d_array = False
        return tags

    def _assign(self, params: Mapping[str, Any]) -> None:
        for name, value in params.items():
            if name in _NAMED:
                setattr(self, name, value)
            else:
                self.options = {**self.options, name: value}

    def _split(self) -> tuple[ModelSpec, TrainingConfig]:
        return split_options(self.head, self.circuit, self.n_qubits, self.options, tune=self.tune)

    def _load_encoder(self) -> Encoder:
        return self.encoder if isinstance(self.encoder, Encoder) else Encoder.load(self.encoder, self.device)

    def _load_data(self, dataset: Dataset) -> TextData:
        encoder, cache = self._load_encoder(), _cache_of(self.cache)
        store = None if cache is None else TuningStore(cache.folder)
        return TextData(dataset, DataOptions(), encoder, cache, self.device, store)

    def _keep(self, model: SavedModel) -> None:
        self.model_ = model
        self.classes_ = np.array(model.classes)

    def _fitted(self) -> SavedModel:
        if not hasattr(self, "model_"):
            raise NotFittedError("this classifier has not been fitted", todo="call fit, or load a saved one")
        return self.model_


_NAMED = (
    "encoder",
    "head",
    "circuit",
    "n_qubits",
    "backend",
    "tune",
    "device",
    "cache",
    "verbose",
)
"""The parameters of `HybridClassifier` that are not options."""


def _params_of(model: SavedModel) -> dict[str, Any]:
    """The parameters that a saved model was made with, beside those of `from_pretrained`."""
    plain = to_mapping(TrainingConfig())
    training = {name: each for name, each in to_mapping(model.training).items() if each != plain[name]}
    settings = {name.replace(".", "__"): value for name, value in model.spec.settings.items()}
    tuning = {f"tune__{name}": value for name, value in tuning_settings(model.spec.tuning).items()}
    return {"circuit": model.spec.circuit, "n_qubits": model.spec.n_qubits} | settings | training | tuning


def _both(first: Callable[..., None], second: Callable[..., None] | None) -> Callable[..., None]:
    """Calls the first, and the second where there is one."""

    def call(*given: Any) -> None:
        first(*given)
        if second is not None:
            second(*given)

    return call


def _trained(
    data: TextData, spec: ModelSpec, head: Head, backend: Backend, config: TrainingConfig
) -> SavedModel:
    """The model that was trained on `data`."""
    train = data.dataset.train
    return SavedModel(
        data.encoder,
        head,
        spec,
        data.classes,
        backend,
        config.for_rows(len(train)),
        data.device,
        data.cache,
        frozenset(map(hash_text, train.texts)),
        data.paired,
    )


def _cache_of(cache: EmbeddingCache | bool | None) -> EmbeddingCache | None:
    if isinstance(cache, EmbeddingCache):
        return cache
    return None if cache is False else EmbeddingCache()


def _read(texts: Any, labels: Any, validation: Validation, seed: int) -> Dataset:
    """The training texts, and those of validation, given or drawn."""
    training = Examples.of(as_entries(texts), as_labels(labels))
    if validation is None:
        return Dataset.of("given texts", training, None, None)
    if isinstance(validation, tuple) and len(validation) == 2:
        held_out = Examples.of(as_entries(validation[0]), as_labels(validation[1]))
        return Dataset.of("given texts", training, held_out, None)
    if not isinstance(validation, int | float) or isinstance(validation, bool):
        raise DataError(
            f"validation was given as {type(validation).__name__}",
            expected="a fraction, or a tuple of texts and labels",
        )
    whole = Dataset.of("given texts", training, None, None)
    return split(whole, validation_fraction=validation, test_fraction=0.0, seed=seed)
