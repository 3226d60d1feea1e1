"""What is to be tuned, and by what, before anything is loaded. Light, because commands read it."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import from_mapping, to_mapping, within
from hybridqies.tuning.methods import Options, method_of

TUNE = "tune"
"""What a setting of tuning begins with: `tune.rank=16`."""


class TuneBy(enum.Enum):
    """What the encoder is tuned by.

    HEAD trains it together with the head. The others train it first: LINEAR with a linear layer and
    cross-entropy, SUPCON and PAIRS by distances between embeddings (`hybridqies.training.contrastive`). The
    head is then trained on the embeddings of the tuned encoder.
    """

    HEAD = "head"
    LINEAR = "linear"
    SUPCON = "supcon"
    PAIRS = "pairs"

    @property
    def is_contrastive(self) -> bool:
        """Whether only distances between embeddings count."""
        return self in (TuneBy.SUPCON, TuneBy.PAIRS)


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the encoder is changed.

    `method` is a row of `hybridqies.tuning.METHODS`. `layers` are names of linear layers, by default query
    and value of attention for adapters and everything for `full`; `last` takes those of the last transformer
    layers alone. `by` of None is HEAD, or LINEAR for a head that is solved. `epochs` are those of training
    the encoder first; with HEAD it is trained as long as the head. `temperature` is that of SUPCON.

    Raises
    ------
    UnknownNameError: a method or an option that does not exist.
    InputError: a value out of bounds, or options of tuning for an encoder that stays as it is.
    """

    method: str = "none"
    layers: tuple[str, ...] = ()
    last: int | None = None
    by: TuneBy | None = None
    epochs: int = 6
    temperature: float = 0.07
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        within(self, "tuning option", last=(1, 10_000), epochs=(1, 1e9), temperature=(1e-6, 1e6))
        kind = method_of(self.method).options
        # As they were meant, with all defaults: what is recorded does not depend on what was written out.
        made = from_mapping(kind, self.options, what=f"option of tuning by {self.method!r}:")
        object.__setattr__(self, "options", to_mapping(made))
        if self.method == "none":
            self._refuse_options()

    def _refuse_options(self) -> None:
        for each in dataclasses.fields(self):
            if each.default is not dataclasses.MISSING and getattr(self, each.name) != each.default:
                raise InputError(
                    f"tuning option {each.name!r} was given, and the encoder is not tuned",
                    expected="a way of tuning with it",
                    todo="give --tune, or tune= in Python",
                )

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return self.method != "none"

    @property
    def parsed(self) -> Options:
        """The method's own options."""
        return from_mapping(method_of(self.method).options, self.options, what="tuning option")

    @property
    def key(self) -> str:
        """Equal for equal tunings."""
        return json.dumps(to_mapping(self), sort_keys=True)

    def for_head(self, *, is_solved: bool) -> Tuning:
        """The same with `by` decided, for a head that is solved or is trained by gradients.

        Raises
        ------
        InputError: the encoder was to be trained through a head that is solved.
        """
        if not self:
            return self
        if is_solved and self.by is TuneBy.HEAD:
            raise InputError(
                "an encoder was to be tuned by a head that is solved",
                expected="a head that is trained by gradients",
                todo="tune it by linear, supcon or pairs, and the head is solved after it",
            )
        return replace(self, by=self.by or (TuneBy.LINEAR if is_solved else TuneBy.HEAD))

    @property
    def is_first(self) -> bool:
        """Whether the encoder is tuned before the head is trained; `by` has to be decided."""
        return bool(self) and self.by is not TuneBy.HEAD


FROZEN = Tuning()
"""The encoder stays as it is."""


def read_tuning(method: str | None, settings: Mapping[str, Any]) -> Tuning:
    """The tuning that a method and flat settings mean; `settings` go without the `tune.` before them.

    A setting is a field of `Tuning`, or an option of the method; `recipe.layers` is one of the adapter's
    recipe.

    Raises
    ------
    UnknownNameError: a method or a setting that does not exist.
    InputError: settings that do not fit.
    """
    row = method_of(method or "none")
    shared = {each.name for each in dataclasses.fields(Tuning)} - {"method", "options"}
    own = {each.name for each in dataclasses.fields(row.options)}
    fields: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for given, value in settings.items():
        name, _, inner = given.replace("__", ".").partition(".")
        if inner and name in own:
            options.setdefault(name, {})[inner] = value
        elif name in own and not inner:
            options[name] = value
        elif name in shared and not inner:
            fields[name] = value
        else:
            raise UnknownNameError(f"setting of tuning by {row.name!r}:", given, shared | own)
    return from_mapping(Tuning, {**fields, "method": row.name, "options": options}, what="tuning option")


def tuning_settings(tuning: Tuning) -> dict[str, Any]:
    """The settings that `read_tuning` makes a tuning of, beside its method; none for defaults."""
    plain, given = to_mapping(Tuning(method=tuning.method)), to_mapping(tuning)
    options, usual = given.pop("options"), plain["options"]
    changed = {name: value for name, value in given.items() if value != plain[name]}
    return changed | {name: value for name, value in options.items() if value != usual[name]}


def split_settings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of tuning, without the `tune.` (or `tune__`) before them, and all others."""
    tuning: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in settings.items():
        inner = next((name[len(TUNE + dot) :] for dot in (".", "__") if name.startswith(TUNE + dot)), None)
        if inner is None:
            others[name] = value
        else:
            tuning[inner] = value
    return tuning, others
