"""The plan of a study of heads on embeddings, and the trials that one arm of it comes to."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hybridqies import defaults
from hybridqies.circuit.recipe import MAX_QUBITS
from hybridqies.errors import CapabilityError, InputError, UnknownNameError
from hybridqies.study.arms import Arm, arm_of
from hybridqies.study.plan import StudyPlan, as_plain, check_listed
from hybridqies.study.search import Space, check_searchable, parse_space, plain_space
from hybridqies.study.trials.trial import TRAINING, Trial
from hybridqies.tasks import DEFAULT_TASK, DataOptions

if TYPE_CHECKING:
    from hybridqies.study.context import Source, TrialContext


class Scaling(enum.Enum):
    """What is done to embeddings before any arm sees them, fitted on the training part alone.

    NONE leaves them as the encoder gives them; STANDARD gives every column mean 0 and deviation 1.
    """

    NONE = "none"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class HeadPlan(StudyPlan):
    """Everything that decides a study of heads; each kind of such a study has a subclass with its defaults.

    `budget` is how many configurations each arm tries for each seed, 1 being its defaults. `options` are
    settings by arm, `training` those of every arm's training, `space` replaces what an arm searches.
    `reference` is the arm that the others are tested against: `logistic` if it is among the arms, and else
    the first of them.

    Raises
    ------
    UnknownNameError: an arm that does not exist, or options of an arm that is not in the study.
    InputError: what cannot be compared, or an arm that would be left unsearched among searched ones.
    CapabilityError: a backend at a remote service.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    qubits: tuple[int, ...] = ()
    budget: int = 1
    task: str = DEFAULT_TASK
    encoder: str = defaults.ENCODER
    backend: str = defaults.BACKEND
    scaling: Scaling = Scaling.NONE
    data: DataOptions = field(default_factory=DataOptions)
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        StudyPlan.__post_init__(self)
        object.__setattr__(self, "budget", as_plain(self.budget, "the search budget"))
        check_searchable(self.budget)
        check_listed("qubits", self.qubits, 1, MAX_QUBITS)
        if self.reference is None:
            object.__setattr__(self, "reference", "logistic" if "logistic" in self.arms else self.arms[0])
        for name in (self.reference, *self.options, *self.space):
            if name not in self.arms:
                raise UnknownNameError(
                    "arm of this study", str(name), self.arms, todo="see --arms and --reference"
                )
        check_local(self.backend)
        arms = [arm_of(name) for name in self.arms]
        if any(arm.matched for arm in arms) and not any(arm.is_matchable for arm in arms):
            raise InputError(
                "an arm that matches the parameters of a quantum arm was given without one",
                expected="a quantum arm among the arms, such as two-module",
            )
        for arm in arms:
            self.space_of(arm)

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
        given = {
            name: parse_space(space, f"search space of {name!r}:")
            for name, space in self.space.items()
            if name == arm.name
        }
        if self.budget == 1:
            return {}
        space, fixed = given.get(arm.name, arm.space), set(self.settings_of(arm))
        if arm.name in given:
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

    @property
    def source(self) -> Source:
        """What every trial reads."""
        from hybridqies.study.context import Source

        return Source(self.data, self.encoder, self.task)


def check_local(backend: str) -> None:
    """Refuses a backend at a remote service.

    Raises
    ------
    CapabilityError: it is one.
    UnknownNameError: there is no such backend.
    """
    from hybridqies.backends import RemoteBackend, load_backend

    made = load_backend(backend)
    if isinstance(made, RemoteBackend) or made.capabilities.costs_money:
        raise CapabilityError(
            f"backend {backend!r} is a remote service, and a study trains many heads",
            expected="a simulator in this process",
            todo="measure a trained model there by: hybridqies evaluate --backend",
        )


def repeat_on_seeds(plan: HeadPlan, designs: Sequence[Trial]) -> tuple[Trial, ...]:
    """`designs` with the first seed, in their order, then with the second, and so on."""
    return tuple(replace(design, seed=seed) for seed, design in itertools.product(plan.seeds, designs))


def plan_trial(plan: HeadPlan, arm: Arm, n_qubits: int | None, context: TrialContext) -> Trial:
    """A trial of `arm` as the plan has it; its seed and its circuits are still open."""
    fingerprints = context.fingerprints
    return Trial(
        arm=arm.name,
        head=arm.head,
        seed=0,
        data=plan.data,
        data_fingerprint=fingerprints["data"],
        encoder=plan.encoder,
        encoder_fingerprint=fingerprints["encoder"],
        scaling=plan.scaling.value,
        backend=plan.backend,
        task=plan.task,
        n_qubits=n_qubits,
        settings=plan.settings_of(arm) | _match(plan, arm, n_qubits, context),
        space=plain_space(plan.space_of(arm)),
        budget=plan.budget,
    )


def _match(plan: HeadPlan, arm: Arm, n_qubits: int | None, context: TrialContext) -> dict[str, int]:
    """The setting that gives an arm about as many parameters as the first quantum arm has by default."""
    from hybridqies.heads import matching
    from hybridqies.study.layout import lay_out

    if not arm.matched:
        return {}
    quantum = next(each for each in map(arm_of, plan.arms) if each.is_matchable)
    target = lay_out(plan_trial(plan, quantum, n_qubits, context), context).n_parameters
    return matching(arm.head, target)


def add_circuits(trial: Trial, context: TrialContext) -> Trial:
    """The trial with the digest of its circuits; its model is built once to see that it can be.

    Raises
    ------
    InputError: an option that does not exist or does not fit.
    """
    from hybridqies.study.layout import lay_out

    return replace(trial, circuits=lay_out(trial, context).circuits)
