"""What a kind of study is: its plan, the trials of a plan, their summary, its report and its flags."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hybridqies.errors import InputError
from hybridqies.options import MOST_NUMBERS, read_whole
from hybridqies.study.plan import StudyPlan
from hybridqies.study.plan_file import kind_of

if TYPE_CHECKING:
    from hybridqies.study.trials.journal import JournalState

PlanT = TypeVar("PlanT", bound=StudyPlan)


def as_word(value: Any) -> str:
    """A default as one would type it."""
    return str(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of a study's command: `read` makes the plan's `field` of its word, `show` a word of the field.

    `repeated` flags may be given several times, and `read` then takes the list of words.
    """

    name: str
    field: str
    help: str
    read: Callable[[Any], Any] = str
    show: Callable[[Any], str] = as_word
    metavar: str | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class StudyKind(Generic[PlanT]):
    """A kind of study; one row of `hybridqies.study.kinds.STUDIES`.

    `trials` gives the trials of a plan on data, `summarise` the result of their records as JSON values, and
    `names` what each trial is called in trackers.
    `about` and `example` are for the command's help, `settings` tells what its `--set` takes. `check_flags`
    refuses fields of the plan that flags must not set together. `family` says how many comparisons a plan
    makes at 5 % together, 0 where it makes none. `report` is the dotted path of its tables and pictures;
    studies of tested cells can use the default. In a `group` of commands, the study's is called `run`.
    `costs` gives what a plan will cost on data, as JSON values, for `--dry-run`.
    """

    plan: type[PlanT]
    trials: Callable[[PlanT, Any], Sequence[Any]]
    summarise: Callable[[PlanT, Any, JournalState[Any]], dict[str, Any]]
    names: Callable[[PlanT, Sequence[Any]], Sequence[str]]
    about: str
    example: str
    settings: str
    flags: tuple[Flag, ...] = ()
    check_flags: Callable[[Mapping[str, Any]], None] = lambda _: None
    family: Callable[[PlanT], int] = lambda _: 0
    report: str = "hybridqies.report.studies.cells:REPORT"
    group: str | None = None
    costs: Callable[[PlanT, Any], dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """The kind's name."""
        return kind_of(self.plan)

    @property
    def command(self) -> str:
        """What its command is called with."""
        return self.name if self.group is None else f"{self.group} run"


def name_trial(*words: str, seed: int) -> str:
    """A trial's name in trackers, in levels, such as two-module/4-qubits/seed-0.

    Names may be folders: whatever else a word holds is a hyphen.
    """
    plain = (re.sub(r"[^\w+@:=.-]+|^\.+", "-", word) for word in words)
    return "/".join((*plain, f"seed-{seed}"))


def show_whole(numbers: Sequence[int]) -> str:
    """Whole numbers as `read_whole` takes them, in the shortest form."""
    steps = {second - first for first, second in itertools.pairwise(numbers)}
    if len(numbers) > 2 and len(steps) == 1 and (step := steps.pop()) > 0:
        return f"{numbers[0]}:{numbers[-1]}" + (f":{step}" if step > 1 else "")
    return ",".join(map(str, numbers))


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds: a count from 0 (`5` is 0 to 4), or the seeds themselves with commas or as a range.

    Raises
    ------
    InputError: neither, or a count below 1.
    """
    if "," in text or ":" in text:
        return read_whole(text, "--seeds")
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 0 < count <= MOST_NUMBERS:
        raise InputError(
            f"--seeds was given {text!r}",
            expected=f"how many, 1 to {MOST_NUMBERS:,}, or the seeds themselves, such as 3,4,5",
        )
    return tuple(range(count))


def show_seeds(seeds: Sequence[int]) -> str:
    """Seeds as `read_seeds` takes them."""
    return str(len(seeds)) if tuple(seeds) == tuple(range(len(seeds))) else ",".join(map(str, seeds))


def read_names(what: str, known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads names with commas, or `all` for every known one.

    Raises
    ------
    InputError: from the reader, for no name.
    """

    def read(text: str) -> tuple[str, ...]:
        if text.strip() == "all":
            return tuple(known)
        names = tuple(part.strip() for part in text.split(","))
        if not all(names):
            raise InputError(f"{what} was given {text!r}", expected="names with commas, or all")
        return names

    return read


def show_names(known: Iterable[str]) -> Callable[[Sequence[str]], str]:
    """Shows names as `read_names` takes them."""
    return lambda names: "all" if tuple(names) == tuple(known) else ",".join(names)


QUBITS = Flag(
    "qubits",
    "qubits",
    "Numbers of qubits: one (9), a list (2,4,8) or a range (2:14:2).",
    lambda text: read_whole(text, "--qubits"),
    show_whole,
)
BUDGET = Flag(
    "budget",
    "budget",
    "Number of configurations that every arm tries for each seed. 1 searches nothing.",
    int,
)


def group_settings(
    settings: Mapping[str, Any], arms: Sequence[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """`training.KEY` settings for every arm, and `ARM.KEY` settings by arm.

    Raises
    ------
    InputError: a setting that is neither.
    """
    training: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        # The longest first: one arm's name may begin with another's.
        arm = next((name for name in sorted(arms, key=len, reverse=True) if key.startswith(f"{name}.")), None)
        if arm is not None:
            options.setdefault(arm, {})[key.removeprefix(f"{arm}.")] = value
        elif key.startswith("training."):
            training[key.removeprefix("training.")] = value
        else:
            raise InputError(
                f"--set was given {key!r}",
                expected="training.KEY=VALUE for every arm, or ARM.KEY=VALUE for one of " + ", ".join(arms),
            )
    return training, options
