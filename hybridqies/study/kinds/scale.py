"""Scale: the loss of language models over sizes, arms, tokens, seeds and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from hybridqies import __version__
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.lm.arms import ARMS
from hybridqies.lm.sizes import rate_of, read_size
from hybridqies.options import from_mapping, to_mapping
from hybridqies.study.decoders.split import TextSplit
from hybridqies.study.kinds.kind import Flag, StudyKind, name_trial, read_names, show_names
from hybridqies.study.plan import StudyPlan, check_listed

if TYPE_CHECKING:
    from hybridqies.language_model import LanguageModelConfig
    from hybridqies.study.decoders.texts import DecoderContext, DecoderSource
    from hybridqies.study.decoders.trial import DecoderRecord, DecoderTrial
    from hybridqies.study.trials.journal import JournalState

SIZES = ("65k", "246k", "812k", "2.25M")
EPOCHS = 5
"""Parts of a training in a study that says nothing else; each ends with a validation."""
_OBJECTIVE = ("local_weight", "entanglement_weight")
_BY_SIZE = "by-size"


@dataclass(frozen=True, slots=True)
class ScalePlan(StudyPlan):
    """Everything that decides a scaling study.

    An arm is one of `hybridqies.lm.ARMS`; `ARM@SIZE` is trained at one of the sizes alone. `texts` have
    `train` and, where another text is measured on, `test`, by name. Every model is trained on each of
    `n_tokens`, at the rate of its size (`rate_of`), or at the best of `rates`, each of which every model
    first tries for `search_tokens` tokens. `training`
    are settings of every training, `options` settings by arm: of the decoder, or `local_weight` and
    `entanglement_weight`. `reference` is the arm that the others are compared with: tap if it is among them,
    else the first.

    Raises
    ------
    UnknownNameError: an arm that does not exist, or options of an arm that is not in the study.
    InputError: something out of range, given twice, or given where it is searched.
    """

    kind: str = "scale"
    arms: tuple[str, ...] = ("real", "tap", "entangled")
    seeds: tuple[int, ...] = (0, 1, 2)
    sizes: tuple[str, ...] = SIZES
    texts: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"tiny_shakespeare": {"train": "tiny_shakespeare"}}
    )
    n_tokens: tuple[int, ...] = (1_000_000,)
    rates: tuple[float, ...] = ()
    search_tokens: int = 100_000
    context: int = 128
    tokens: str = "characters"
    vocabulary: int = 512
    split: TextSplit = field(default_factory=TextSplit)

    def __post_init__(self) -> None:
        StudyPlan.__post_init__(self)
        check_listed("sizes", [read_size(size) for size in self.sizes])
        check_listed("texts", list(self.texts))
        check_listed("numbers of tokens", self.n_tokens, 1, 10**13)
        if self.rates:
            check_listed("learning rates", self.rates, 1e-12, 100)
        check_listed("tokens of the search", (self.search_tokens,), 1, 10**13)
        for name in self.arms:
            arm, at, size = name.partition("@")
            if arm not in ARMS:
                raise UnknownNameError("arm", arm, ARMS)
            if at and size not in self.sizes:
                raise UnknownNameError("size of this study", size, self.sizes, todo="see --sizes")
        if self.reference is None:
            object.__setattr__(self, "reference", "tap" if "tap" in self.arms else self.arms[0])
        for each in (self.reference, *self.options):
            if each not in self.arms:
                raise UnknownNameError(
                    "arm of this study", str(each), self.arms, todo="see --arms and --reference"
                )
        for name, what in (("seed", "--seeds"), ("learning_rate", "--rates")):
            if name in self.training:
                raise InputError(f"training.{name} was set in a scaling study", expected=what)

    @property
    def source(self) -> DecoderSource:
        """What every trial reads."""
        from hybridqies.study.decoders.texts import DecoderSource

        return DecoderSource(self.texts, self.split)

    def model_of(self, arm: str, size: str, n_tokens: int, seed: int) -> LanguageModelConfig:
        """The model of one trial; its learning rate is still open."""
        from hybridqies.language_model import TRAINING, LanguageModelConfig
        from hybridqies.training import TrainingConfig

        own = dict(self.options.get(arm, {}))
        objective = {name: own.pop(name) for name in _OBJECTIVE if name in own}
        given = {**to_mapping(TRAINING), "epochs": EPOCHS, **self.training, "seed": seed}
        training = from_mapping(TrainingConfig, given, what="training option")
        options = {
            "arm": arm.partition("@")[0],
            "size": size,
            "context": self.context,
            "tokens": self.tokens,
            "vocabulary": self.vocabulary,
            "settings": own,
            "n_tokens": n_tokens,
            **objective,
        }
        model = from_mapping(LanguageModelConfig, options, what="language model option")
        return replace(model, training=training)


def scale_trials(plan: ScalePlan, context: DecoderContext) -> tuple[DecoderTrial, ...]:
    """The trials of the first seed, text by text, then those of the second, and so on.

    Every decoder is laid out once, so that what cannot be built is refused before anything is trained.

    Raises
    ------
    InputError: an option that does not exist or does not fit, or two sizes that are one decoder.
    DataError: a text that is too short.
    """
    from hybridqies.lm.tokens import BytePairs
    from hybridqies.study.decoders.trial import PROTOCOL, PROTOCOL_OF_BYTE_PAIRS, DecoderTrial

    protocol = PROTOCOL_OF_BYTE_PAIRS if plan.tokens == BytePairs.kind else PROTOCOL
    cells = [
        (text, size, arm, n_tokens)
        for text, n_tokens, size, arm in product(plan.texts, plan.n_tokens, plan.sizes, plan.arms)
        if arm.partition("@")[2] in ("", size)
    ]
    trials = [
        DecoderTrial(
            arm,
            text,
            context.parts[text].fingerprint,
            plan.model_of(arm, size, n_tokens, seed),
            plan.rates or (rate_of(size),),
            plan.search_tokens,
            protocol,
        )
        for seed, (text, size, arm, n_tokens) in product(plan.seeds, cells)
    ]
    _check_shapes(trials[: len(cells)], context)
    return tuple(trials)


def _check_shapes(trials: Sequence[DecoderTrial], context: DecoderContext) -> None:
    """Lays out the decoder of each trial of one seed; two sizes of an arm must not be one and the same."""
    from hybridqies.lm.costs import count_parameters

    sizes: dict[tuple[str, str, int, int], str] = {}
    for trial in trials:
        count = count_parameters(context.shape(trial.text, trial.model))
        size = sizes.setdefault((trial.text, trial.arm, trial.model.n_tokens, count), trial.model.size)
        if size != trial.model.size:
            raise InputError(
                f"sizes {size} and {trial.model.size} give arm {trial.arm!r} {count:,} parameters both",
                expected="sizes that are further apart",
            )


def summarise(
    plan: ScalePlan, planned: Sequence[DecoderTrial], state: JournalState[DecoderRecord]
) -> dict[str, Any]:
    """The result of a scaling study from its records alone: cells, laws, and differences between arms."""
    from hybridqies.study.decoders.summary import compare_arms, fit_laws, summarise_cells

    about = state.about or {}
    cells = summarise_cells(planned, state)
    assert plan.reference is not None
    return {
        "kind": plan.kind,
        "plan": plan.to_mapping(),
        "texts": about["texts"],
        "trials": len(planned),
        "done": sum(trial.key in state.records for trial in planned),
        "failed": sum(trial.key in state.failures for trial in planned),
        "cells": cells,
        "differences": compare_arms(cells, plan.reference),
        "laws": fit_laws(cells, plan.reference),
        "hybridqies": __version__,
    }


def name_trials(plan: ScalePlan, planned: Sequence[DecoderTrial]) -> list[str]:
    """Names such as book/tap/65k/seed-0, with the tokens trained on where their number differs."""
    return [
        name_trial(
            trial.text,
            trial.arm,
            trial.model.size,
            *([f"{trial.model.n_tokens}-tokens"] if len(plan.n_tokens) > 1 else []),
            seed=trial.seed,
        )
        for trial in planned
    ]


def _costs(plan: ScalePlan, context: DecoderContext) -> dict[str, Any]:
    from hybridqies.study.decoders.costs import estimate_costs

    return estimate_costs(scale_trials(plan, context), context)


def _read_texts(words: Sequence[str]) -> dict[str, dict[str, str]]:
    """Texts from words such as `book.txt`, `train.txt,test.txt` or `NAME=train.txt`.

    Raises
    ------
    InputError: a word that is none of these, or two texts of one name.
    """
    from pathlib import Path

    texts: dict[str, dict[str, str]] = {}
    for word in words:
        name, equals, paths = word.partition("=")
        train, *test = (paths if equals else word).split(",")
        name = name if equals else Path(train).stem
        if not (name and train and all(test)) or len(test) > 1:
            raise InputError(
                f"--data was given {word!r}", expected="TEXT, TRAIN,TEST or either behind a NAME="
            )
        if name in texts:
            raise InputError(f"two texts are called {name!r}", expected="another NAME= for one of them")
        texts[name] = {"train": train, **({"test": test[0]} if test else {})}
    return texts


def _read_counts(text: str) -> tuple[int, ...]:
    return tuple(read_size(word, "--n-tokens", "tokens") for word in read_names("--n-tokens", ())(text))


def _read_search(text: str) -> int:
    return read_size(text, "--search-tokens", "tokens")


def _read_rates(text: str) -> tuple[float, ...]:
    try:
        return () if text == _BY_SIZE else tuple(float(word) for word in text.split(","))
    except ValueError:
        raise InputError(
            f"--rates was given {text!r}", expected=f"numbers with commas, or {_BY_SIZE}"
        ) from None


def _show_rates(rates: Sequence[float]) -> str:
    return _show_all(rates) or _BY_SIZE


def _show_all(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))


SCALE = StudyKind(
    ScalePlan,
    scale_trials,
    summarise,
    name_trials,
    about="Train language models of several sizes and kinds on texts, and compare their laws of scaling.",
    example="hybridqies scale run --sizes 65k,246k,812k --arms real,tap,entangled --seeds 3 --workers 2",
    settings="An option of every training (training.batch_size=16) or of one arm (entangled.rank=2).",
    flags=(
        Flag(
            "data",
            "texts",
            "A text to train on: a UTF-8 file, tiny_shakespeare, or TRAIN,TEST to measure on another one; "
            "NAME= in front names it. May be repeated.",
            _read_texts,
            ",".join,
            repeated=True,
        ),
        Flag(
            "sizes",
            "sizes",
            "Parameters of a plain decoder of the same shape, separated by commas.",
            read_names("--sizes", SIZES),
            _show_all,
        ),
        Flag(
            "arms",
            "arms",
            f"Arms, separated by commas, or all: {', '.join(ARMS)}. ARM@SIZE is trained at that size alone.",
            read_names("--arms", ARMS),
            show_names(ARMS),
        ),
        Flag(
            "n_tokens",
            "n_tokens",
            "How many tokens each model is trained on, such as 1M, or several numbers of them.",
            _read_counts,
            _show_all,
        ),
        Flag(
            "rates",
            "rates",
            "Learning rates that every model tries first, separated by commas. One is taken as it is; "
            "by-size is 0.005 up to 65k parameters, and less for more.",
            _read_rates,
            _show_rates,
        ),
        Flag("search_tokens", "search_tokens", "Tokens that a rate is tried for.", _read_search),
        Flag(
            "reference",
            "reference",
            "The arm that the others are compared with.",
            show=lambda _: "tap if it is among the arms, else the first",
        ),
    ),
    report="hybridqies.report.studies.scale:REPORT",
    group="scale",
    costs=_costs,
)
