"""A study as one frozen plan: from a TOML file or flags, printed as TOML, and the trials it comes to."""

from __future__ import annotations

import enum
import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from hybridqies.backends import RemoteBackend, load_backend
from hybridqies.errors import CapabilityError, InputError, UnknownNameError
from hybridqies.options import from_mapping, parse, to_mapping
from hybridqies.runs.config import DataOptions
from hybridqies.study.arms import ARMS, Arm, arm_of
from hybridqies.study.context import Scaling, TrialContext
from hybridqies.study.protocol import TRAINING, circuits_digest, training_of, untrained
from hybridqies.study.search import Space, check_searchable, parse_space, plain_space
from hybridqies.study.trials.trial import Trial

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MANY_QUBITS = 64


class Kind(enum.Enum):
    """What a study asks."""

    SWEEP = "sweep"
    SCREEN = "screen"
    ABLATE = "ablate"


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Everything that decides a study.

    `budget` is how many configurations each arm tries for each seed, 1 being its defaults. `options` are
    settings by arm, `training` those of every arm's training, `space` replaces what an arm searches.
    `reference` is the arm that the others are tested against.

    Raises
    ------
    UnknownNameError: an arm, or an arm among options and spaces, that is not there.
    InputError: what cannot be compared, or an arm that would be left unsearched among searched ones.
    CapabilityError: a backend at a remote service.
    """

    kind: Kind = Kind.SWEEP
    arms: tuple[str, ...] = tuple(ARMS)
    qubits: tuple[int, ...] = (2, 4, 6, 8, 10, 12)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    budget: int = 1
    reference: str = "logistic"
    encoder: str = "all-MiniLM-L6-v2"
    backend: str = "statevector"
    scaling: Scaling = Scaling.NONE
    data: DataOptions = field(default_factory=DataOptions)
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_searchable(self.budget)
        for what, given in (("arms", self.arms), ("seeds", self.seeds), ("qubits", self.qubits)):
            if not given or len(set(given)) < len(given):
                raise InputError(f"{what} were given as {list(given)}", expected="at least one, each once")
        if not all(1 <= count <= _MANY_QUBITS for count in self.qubits):
            raise InputError(f"qubits were given as {list(self.qubits)}", expected=f"1 to {_MANY_QUBITS}")
        for name in (self.reference, *self.options, *self.space):
            if name not in self.arms:
                raise UnknownNameError("arm of this study", name, self.arms, todo="See --arms, --reference.")
        backend = load_backend(self.backend)
        if isinstance(backend, RemoteBackend) or backend.capabilities.costs_money:
            raise CapabilityError(
                f"backend {self.backend!r} is a remote service, and a study trains many heads",
                expected="a simulator in this process",
                todo="measure a trained model there by: hybridqies evaluate --backend",
            )
        for name in self.arms:
            self.space_of(arm_of(name))

    def settings_of(self, arm: Arm) -> dict[str, Any]:
        """The fixed settings of an arm: its own, those of every training, and those of this study."""
        shared = {TRAINING + key: each for key, each in self.training.items()}
        return {**arm.options, **shared, **self.options.get(arm.name, {})}

    def space_of(self, arm: Arm) -> Space:
        """What an arm searches: nothing that is fixed, and nothing at all with a budget of 1.

        Raises
        ------
        InputError: the budget is above 1 and nothing is left to search.
        """
        if self.budget == 1:
            return {}
        space, fixed = arm.space, set(self.settings_of(arm))
        if arm.name in self.space:
            space = parse_space(self.space[arm.name], f"search space of {arm.name!r}:")
            # What the table fixes is then where the search begins.
            fixed -= set(arm.options) - set(self.options.get(arm.name, ()))
        left = {name: each for name, each in space.items() if name not in fixed}
        if not left:
            raise InputError(
                f"arm {arm.name!r} has nothing to search while others try {self.budget} configurations",
                expected="at least one option that is not fixed, for every arm",
                todo="set --budget 1, or leave an option open",
            )
        return left

    def to_toml(self) -> str:
        """The plan as a TOML file; `parse` reads it back."""
        return to_toml(to_mapping(self))

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Reads the TOML `text` of the study called `name`.

        Raises
        ------
        InputError: it is no TOML, or has what plans don't have; or it is of a kind with a command of its own.
        """
        try:
            content = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"study {name!r} is no valid TOML: {error}") from None
        own = next(each.default for each in fields(cls) if each.name == "kind")
        kind = parse(content.get("kind", own), Kind, "study option 'kind'")
        if kind is not own:
            raise InputError(
                f"a study of kind {kind.value!r} was given as a {own.value}",
                todo=f"use: hybridqies {kind.value}",
            )
        return from_mapping(cls, content, what="study option")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads the study file at `path`.

        Raises
        ------
        InputError: it cannot be read, or is no plan.
        """
        try:
            return cls.parse(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"study file {str(path)!r} cannot be read: {error}") from None


def on_every_seed(plan: StudyPlan, designs: Sequence[Trial]) -> tuple[Trial, ...]:
    """`designs` with the first seed, in their order, then with the second, and so on."""
    return tuple(replace(design, seed=seed) for seed, design in itertools.product(plan.seeds, designs))


def planned_trial(plan: StudyPlan, arm: Arm, n_qubits: int | None, context: TrialContext) -> Trial:
    """A trial of `arm` as the plan has it; its seed and its circuits are still open."""
    return Trial(
        arm=arm.name,
        head=arm.head,
        seed=0,
        data=plan.data,
        data_fingerprint=context.data_fingerprint,
        encoder=plan.encoder,
        encoder_fingerprint=context.encoder_fingerprint,
        n_qubits=n_qubits,
        settings=plan.settings_of(arm)
        | ({"target": _target(plan, n_qubits, context)} if arm.matched else {}),
        space=plain_space(plan.space_of(arm)),
        budget=plan.budget,
        scaling=plan.scaling.value,
        backend=plan.backend,
    )


def laid_out(trial: Trial, context: TrialContext) -> Trial:
    """The trial with the digest of its circuits; its head is built once to see that it can be.

    Raises
    ------
    InputError: an option that does not exist or does not fit.
    """
    training_of(trial, {})
    head = untrained(trial, context.n_inputs, context.n_classes, {})
    return replace(trial, circuits=circuits_digest(head))


def _target(plan: StudyPlan, count: int | None, context: TrialContext) -> int:
    """The parameters of the first quantum arm with its defaults, which a matched arm comes closest to."""
    quantum = next((arm for arm in map(arm_of, plan.arms) if arm.quantum), None)
    if quantum is None:
        raise InputError("an arm matched in parameters was given alone", expected="a quantum arm to match")
    bare = Trial(
        arm=quantum.name,
        head=quantum.head,
        seed=0,
        data=plan.data,
        data_fingerprint="",
        encoder="",
        encoder_fingerprint="",
        n_qubits=count,
        settings=plan.settings_of(quantum),
        backend=plan.backend,
    )
    return untrained(bare, context.n_inputs, context.n_classes, {}).n_trained()


def to_toml(content: Mapping[str, Any]) -> str:
    """JSON values as TOML, tables last; None is left out, because TOML has none."""
    return "\n".join(_lines(content, ())) + "\n"


def _lines(content: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    if path and (plain or not content):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        if value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _lines(value, (*path, key))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
