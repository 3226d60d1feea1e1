"""Tasks whose data is made from options instead of read: how data names them, and what does not fit them."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from torch import Tensor

from hybridqies import defaults
from hybridqies.errors import InputError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.tasks.base import Task
from hybridqies.tasks.feature_classification import FeatureData
from hybridqies.tasks.metric import ACCURACY, MACRO_F1, Metric
from hybridqies.tasks.specs import DataOptions

ProblemT = TypeVar("ProblemT")

_OF_TEXTS = ("text_column", "label_column", "pair_column", "drop_empty")
MOST_NUMBERS = 2**28
"""Numbers in all rows of a problem; as many take a gigabyte."""


class MadeData(FeatureData):
    """Rows of numbers (N, D) that were made as `problem` says; no two `entries` are the same."""

    def __init__(
        self,
        problem: Any,
        features: Tensor,
        labels: Sequence[str],
        entries: Sequence[str],
        options: DataOptions,
        device: str,
    ) -> None:
        super().__init__(options.source, features, labels, options, entries=entries, device=device)
        self.problem = problem

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of the rows, the labels and their order."""
        digest = hashlib.sha256(self.features.contiguous().numpy().tobytes())
        digest.update(json.dumps(self.dataset.fingerprint).encode())
        return {"data": digest.hexdigest()}

    @property
    def facts(self) -> dict[str, Any]:
        """What the rows were made from."""
        return {"problem": to_mapping(self.problem)}


class MadeTask(Task):
    """A task that makes its data; `Problem` is the dataclass of its options.

    Its data is called by the name of the task, or `NAME:KEY=VALUE,KEY=VALUE`.
    """

    Problem: ClassVar[type]
    is_made: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, MACRO_F1)
    saver: ClassVar[str] = "hybridqies.saved_model.made:save_made"

    @abstractmethod
    def make(self, problem: Any, options: DataOptions, device: str) -> MadeData:
        """The rows of a problem."""

    def load(self, options: DataOptions, encoder: str, device: str, *, cached: bool = True) -> MadeData:  # noqa: ARG002
        """The rows, made now.

        Raises
        ------
        UnknownNameError: an option that the problem does not have.
        InputError: data of another name, an option out of bounds, or what only texts have.
        """
        usual = DataOptions()
        given = {name: getattr(options, name) for name in _OF_TEXTS} | {"encoder": encoder}
        default = {name: getattr(usual, name) for name in _OF_TEXTS} | {"encoder": defaults.ENCODER}
        for name, value in given.items():
            if value != default[name]:
                raise InputError(
                    f"{name} {value!r} was given for task {self.name!r}",
                    expected="nothing about files, texts and their encoders: its rows are made from options",
                )
        return self.make(read_problem(self.name, self.Problem, options.source), options, device)


def read_problem(task: str, kind: type[ProblemT], source: str) -> ProblemT:
    """The options that `task` or `task:key=value,key=value` stands for.

    Raises
    ------
    UnknownNameError: an option that `kind` does not have; the nearest is offered.
    InputError: another name, a pair without "=", an option given twice, or a value that is refused.
    """
    name, colon, rest = source.partition(":")
    if name.strip() != task:
        raise InputError(
            f"data {source!r} was given for task {task!r}", expected=f"{task} or {task}:KEY=VALUE,KEY=VALUE"
        )
    options: dict[str, str] = {}
    for pair in rest.split(",") if colon else ():
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise InputError(f"data {source!r} has the option {pair!r}", expected="KEY=VALUE")
        if key in options:
            raise InputError(f"data {source!r} gives {key!r} twice", expected="each option once")
        options[key] = value
    return from_mapping(kind, options, what=f"option of {task}:")


def check_size(n_rows: int, n_numbers: int) -> None:
    """Refuses a problem whose rows would not fit into memory.

    Raises
    ------
    InputError: naming rows and numbers.
    """
    if n_rows * n_numbers > MOST_NUMBERS:
        raise InputError(
            f"{n_rows:,} rows of {n_numbers:,} numbers were to be made",
            expected=f"at most {MOST_NUMBERS:,} numbers in all",
            todo="give fewer rows",
        )
