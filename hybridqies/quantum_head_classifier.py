"""Any head of the table on any matrix of features, with scikit-learn's verbs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from hybridqies import defaults
from hybridqies.backends import Backend, load_backend
from hybridqies.circuit import Circuit
from hybridqies.devices import check_device
from hybridqies.errors import InputError, ModelFolderError
from hybridqies.estimators import warn_of
from hybridqies.heads import Head
from hybridqies.options import from_mapping, to_mapping
from hybridqies.tasks import ModelSpec, build_head_of
from hybridqies.tensors import check_finite, load_state, load_tensors, save_tensors
from hybridqies.training import (
    CrossEntropy,
    Labelled,
    Outcome,
    TrainingConfig,
    fit,
    predict_probabilities,
    prediction_batch,
    watch_kernels,
)
from hybridqies.verbosity import log_progress

WEIGHTS = "quantum_head.safetensors"
FORMAT = 1
_DEFAULTS = TrainingConfig()
# `settings__merge` stands for the setting "merge" in set_params and in the grid of a search.
_MAPPINGS = ("settings", "training")


class QuantumHeadClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A head, quantum or classical, as a scikit-learn classifier of rows of numbers; in float64.

    >>> model = QuantumHeadClassifier("dressed", n_qubits=4, settings={"layers": 3})
    >>> make_pipeline(StandardScaler(), model).fit(X, y).predict(X)

    Options of heads and of training are mappings here, not keywords as in `HybridClassifier`: scikit-learn's
    `check_estimator` allows no attributes after `__init__` but those that its signature names.

    Parameters
    ----------
    head: a name of the table of heads.
    circuit: a recipe's name or path, or a Circuit; None is the head's own.
    n_qubits: None is as many as the head has by default.
    settings: options of the head and its recipes, by the names that `HybridClassifier` has for them, such as
        {"merge": "sum", "encoder__layers": 2}. In `set_params` and in the grid of a search each is a
        parameter of its own: `settings__merge`, `settings__encoder__layers`.
    backend: where the circuit runs, a string as for `load_backend` or a Backend.
    epochs, batch_size, learning_rate: of `TrainingConfig`; None epochs are chosen by the number of rows.
    training: further options of `TrainingConfig`, such as {"patience": 5, "rates__readout": 0.01}; each is
        a parameter of its own, too: `training__patience`.
    validation_fraction: the part of the rows, stratified, on which the best epoch is chosen; with 0 the
        last epoch is kept.
    device: cpu, cuda or cuda:<number>.
    random_state: an integer, a RandomState, or None for another start at every fit.
    verbose: whether a long `fit` writes lines of progress to stderr; if not, they go to the logger
        "hybridqies" at level INFO.

    Attributes
    ----------
    classes_: the labels, sorted.
    n_features_in_, feature_names_in_: what `fit` was given.
    head_: the trained torch module.
    outcome_: what training recorded.
    """

    def __init__(
        self,
        head: str = defaults.HEAD,
        circuit: str | Path | Circuit | None = None,
        n_qubits: int | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        backend: str | Backend = defaults.BACKEND,
        epochs: int | None = _DEFAULTS.epochs,
        batch_size: int = _DEFAULTS.batch_size,
        learning_rate: float = _DEFAULTS.learning_rate,
        training: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.0,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.head = head
        self.circuit = circuit
        self.n_qubits = n_qubits
        self.settings = settings
        self.backend = backend
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.training = training
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the constructor; with `deep` each option of the head and of training as well."""
        params: dict[str, Any] = super().get_params(deep)
        for name in _MAPPINGS if deep else ():
            given = params[name]
            if isinstance(given, Mapping):
                params |= {f"{name}__{_underscored(key)}": value for key, value in given.items()}
        return params

    def set_params(self, **params: Any) -> QuantumHeadClassifier:
        """Sets parameters of the constructor, and single options as `settings__merge="sum"`."""
        single = {key for key in params if key.partition("__")[0] in _MAPPINGS and "__" in key}
        super().set_params(**{key: value for key, value in params.items() if key not in single})
        for name in _MAPPINGS:
            own = {key.partition("__")[2]: params[key] for key in single if key.startswith(f"{name}__")}
            if own:
                before = getattr(self, name)
                _check_mapping(name, before)
                setattr(self, name, {_underscored(key): value for key, value in (before or {}).items()} | own)
        return self

    def fit(self, X: Any, y: Any) -> QuantumHeadClassifier:
        """Trains a new head on X (N, D) and labels y (N,).

        Warns with scikit-learn's ConvergenceWarning when the training has not converged, or when the trained
        head gives all rows one class.

        Raises
        ------
        InputError: one class only, or settings that don't fit together or the data.
        ValueError: X or y that are no finite numbers, of different lengths, sparse, and the like.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"labels of one class were given, {self.classes_.tolist()[0]!r}",
                expected="at least two classes",
            )
        config = self._config(_draw_seed(self.random_state))
        head = self._build(self._spec(), load_backend(self.backend), config.seed)
        training, validation = self._split(X, labels, config.seed)
        objective = CrossEntropy.of(config, training, len(self.classes_))
        self.head_ = head
        with log_progress(self.verbose) as lines, watch_kernels([head], lines.tell_of_compilation):
            lines.begin(f"training {self.head}", 1 if head.is_solved else config.n_epochs(len(training)))
            self.outcome_: Outcome = fit(head, training, validation, objective, config, on_epoch=lines.epoch)
        warn_of(self.outcome_, head, training, self.classes_.tolist(), config, ConvergenceWarning)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (N, K), columns in the order of `classes_`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        batch = prediction_batch(self.head_, len(X))
        return predict_probabilities(self.head_, torch.tensor(X), batch)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row, (N,)."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[best]
        return labels

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes the fitted classifier into one file of a folder: tensors, and everything else as JSON.

        A `random_state` that is no integer is not kept.
        """
        check_is_fitted(self)
        path = Path(folder) / WEIGHTS
        path.parent.mkdir(parents=True, exist_ok=True)
        check_finite(self.head_.state_dict(), path)
        save_tensors(path, self.head_.state_dict(), self._record())
        return path.parent

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, backend: str | Backend | None = None, device: str = "cpu"
    ) -> QuantumHeadClassifier:
        """The classifier that `save_pretrained` wrote; `backend` changes where its circuit runs.

        Raises
        ------
        ModelFolderError: the file is missing, damaged, altered, or of another format.
        """
        path = Path(folder) / WEIGHTS
        tensors, record = load_tensors(path)
        if record.get("format") != FORMAT:
            raise ModelFolderError(
                f"{str(path)!r} has format {record.get('format')!r}", expected=f"format {FORMAT}"
            )
        made = cls(**record["params"], device=device)
        made.backend = made.backend if backend is None else backend
        made.n_features_in_ = record["n_features"]
        made.classes_ = np.array(record["classes"], dtype=record["dtype"])
        if record["feature_names"] is not None:
            made.feature_names_in_ = np.array(record["feature_names"], dtype=object)
        circuits = {part: Circuit.from_mapping(stored) for part, stored in record["circuits"].items()}
        spec = ModelSpec(made.head, options=record["options"], circuits=circuits)
        head = made._build(spec, load_backend(made.backend), 0)
        load_state(head, tensors, path)
        made.head_ = head.eval()
        made.outcome_ = Outcome(record["outcome"]["best_epoch"], tuple(record["outcome"]["history"]), 0.0)
        return made

    def _record(self) -> dict[str, Any]:
        params = self.get_params(deep=False)
        del params["device"]
        # A circuit that was given is among the circuits of the head.
        named = not (self.circuit is None or isinstance(self.circuit, Circuit))
        params["circuit"] = str(self.circuit) if named else None
        params["backend"] = self.backend.spec if isinstance(self.backend, Backend) else self.backend
        if not isinstance(self.random_state, int | np.integer):
            params["random_state"] = None
        names = getattr(self, "feature_names_in_", None)
        return {
            "format": FORMAT,
            "params": _as_json(params),
            "n_features": self.n_features_in_,
            "feature_names": None if names is None else list(names),
            "classes": self.classes_.tolist(),
            "dtype": str(self.classes_.dtype),
            "options": to_mapping(self.head_.config),
            "circuits": {part: each.to_mapping() for part, each in self.head_.circuits().items()},
            "outcome": {"best_epoch": self.outcome_.best_epoch, "history": list(self.outcome_.history)},
        }

    def _config(self, seed: int) -> TrainingConfig:
        _check_mapping("training", self.training)
        own = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        more = {key.replace("__", "."): value for key, value in (self.training or {}).items()}
        for key in (*own, "seed"):
            if key in more:
                raise InputError(
                    f"{key!r} was given among the options in training",
                    todo=f"give it as the parameter {'random_state' if key == 'seed' else key}",
                )
        return from_mapping(TrainingConfig, own | more | {"seed": seed}, what="training option")

    def _spec(self) -> ModelSpec:
        _check_mapping("settings", self.settings)
        circuit = str(self.circuit) if isinstance(self.circuit, Path) else self.circuit
        return ModelSpec(self.head, circuit, self.n_qubits, self.settings or {})

    def _build(self, spec: ModelSpec, backend: Backend, seed: int) -> Head:
        head = build_head_of(spec, self.n_features_in_, len(self.classes_), backend, seed)
        # In float64 a row has the same probabilities alone and in a batch, to scikit-learn's tolerance.
        return head.double().to(check_device(self.device))

    def _split(self, X: np.ndarray, labels: np.ndarray, seed: int) -> tuple[Labelled, Labelled | None]:
        if not 0 <= self.validation_fraction < 1:
            raise InputError(
                f"validation_fraction={self.validation_fraction} was given", expected="at least 0, below 1"
            )
        if self.validation_fraction == 0:
            return _labelled(X, labels, self.device), None
        x, held_out, y, truth = train_test_split(
            X, labels, test_size=self.validation_fraction, stratify=labels, random_state=seed
        )
        return _labelled(x, y, self.device), _labelled(held_out, truth, self.device)


def _labelled(X: np.ndarray, labels: np.ndarray, device: str) -> Labelled:
    # Copies: what scikit-learn hands over can be read-only.
    return Labelled(torch.tensor(X, device=device), torch.tensor(labels, device=device))


def _underscored(key: str) -> str:
    """The name of an option as a keyword: `encoder__layers` for "encoder.layers"."""
    return key.replace(".", "__")


def _check_mapping(name: str, given: Any) -> None:
    if not (given is None or isinstance(given, Mapping)):
        raise InputError(f"{name}={given!r} was given", expected="a mapping of names to values, or None")


def _draw_seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))


def _as_json(value: Any) -> Any:
    """Parameters as JSON values: NumPy's scalars as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
