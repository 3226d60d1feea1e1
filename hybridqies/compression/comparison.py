"""What compression does to any kind of model: plan, arms, healing, and the report of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from hybridqies.compression.arms import Bench, OnStep, describe_arm, measure_arms
from hybridqies.compression.healing import Steps
from hybridqies.compression.methods import METHODS, CircuitOptions, check_share, find_method
from hybridqies.compression.model import Covariances, compress
from hybridqies.compression.perplexity import Interval
from hybridqies.compression.sensitivity import Sensitivity, profile, spare_sensitive
from hybridqies.errors import InputError
from hybridqies.factorised.layer import Forward, check_forward
from hybridqies.factorised.plain_layers import weight_of
from hybridqies.training import Outcome

EXPORTS = ("factorised", "dense")
Heal = Callable[..., Outcome]
"""Called with `folder`, `resume` and `on_step` as `hybridqies.training.fit` takes them."""


@dataclass(frozen=True)
class Options:
    """What is done to a model of any kind.

    `profile` measures every layer and type of layer alone. `spare` is the share of the parameters in layers
    that stay as they are, the most sensitive ones. `circuits` are the options of `disentangled`. `forward`
    is as in `compress`. `export` is "factorised" or "dense".
    """

    model: str
    method: str
    keep: float
    layers: tuple[str, ...]
    _: KW_ONLY
    n_sites: int = 2
    profile: bool = False
    spare: float = 0.0
    export: str = "factorised"
    seed: int = 0
    circuits: CircuitOptions = field(default_factory=CircuitOptions)
    forward: Forward | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and its layers, and what is measured of it as it is at that moment.

    `measure` gives the JSON values of an arm, `untouched` are those of the model as it was. `sense` measures
    a layer alone, and `cost` is the harm in that. `heal` trains the factors; `lesson` says on what.
    """

    model: Any
    originals: Mapping[str, nn.Module]
    activations: Covariances
    untouched: Mapping[str, Any]
    measure: Callable[[], Mapping[str, Any]]
    sense: Callable[[], Interval]
    cost: Callable[[Interval], float]
    heal: Heal | None = None
    lesson: str = ""


def check_options(options: Options, healing: Steps | None) -> None:
    """Refuses options that do not go together, before anything is loaded, with an InputError."""
    find_method(options.method)
    if options.export not in EXPORTS:
        raise InputError(f"export was given as {options.export!r}", expected="factorised or dense")
    check_share(options.keep)
    if options.forward is not None:
        check_forward(options.forward)
    if healing and not METHODS[options.method].trains:
        raise InputError(
            f"method {options.method!r} leaves nothing to train", expected="another method, or no healing"
        )
    if not 0 <= options.spare < options.keep:
        raise InputError(
            f"spare was given as {options.spare}", expected=f"at least 0 and less than keep, {options.keep}"
        )


def compare(
    options: Options, subject: Subject, folder: Path, tell: OnStep, *, resume: bool = False
) -> dict[str, Any]:
    """Profiles, compresses by the method and every control, and heals; leaves the model to be saved.

    `folder` is where the model will be. Checkpoints of healing lie beside it, see `healing_folder`.
    """
    profiles = _profile(options, subject, tell)
    sizes = {name: weight_of(layer).numel() for name, layer in subject.originals.items()}
    shares = dict.fromkeys(sizes, options.keep)
    if options.spare:
        costs = {each.name: subject.cost(each.measured) for each in profiles[0]}
        shares = spare_sensitive(costs, sizes, options.keep, options.spare)
    bench = Bench(
        subject.model,
        subject.originals,
        lambda method: _compress(options, subject, method, shares),
        subject.measure,
        options.circuits.price,
    )
    arms = measure_arms(bench, options.method, subject.untouched, tell)
    healed = _heal(options, subject, bench, healing_folder(folder), tell, resume=resume)
    return {
        "spared": [name for name in sizes if name not in shares],
        "arms": [*arms[:2], *healed, *arms[2:]],
        "profile": [asdict(each) for each in profiles[0]],
        "profile_by_type": [asdict(each) for each in profiles[1]],
    }


def healing_folder(folder: Path) -> Path:
    """Where checkpoints of healing are until the model is in `folder`."""
    return folder.with_name(f".{folder.name}-healing")


def _profile(options: Options, subject: Subject, tell: OnStep) -> tuple[list[Sensitivity], list[Sensitivity]]:
    if not options.profile and not options.spare:
        return [], []
    return profile(
        subject.model,
        options.method,
        options.keep,
        options.layers,
        subject.sense,
        subject.activations,
        n_sites=options.n_sites,
        circuits=options.circuits,
        on_layer=lambda done, total: tell("profiling", done, total),
    )


def _compress(options: Options, subject: Subject, method: str, shares: Mapping[str, float]) -> None:
    compress(
        subject.model,
        method,
        shares,
        options.layers,
        subject.activations,
        n_sites=options.n_sites,
        forward=options.forward,
        seed=options.seed,
        circuits=options.circuits,
    )


def _heal(
    options: Options, subject: Subject, bench: Bench, place: Path, tell: OnStep, *, resume: bool
) -> list[dict[str, Any]]:
    """Trains the factors, if that was asked for, and measures the model again."""
    if subject.heal is None:
        return []
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    outcome = subject.heal(folder=place, resume=resume, on_step=lambda *steps: tell("healing", *steps))
    meaning = f"the same, trained on {subject.lesson}"
    arm = describe_arm(bench, f"{options.method} healed", meaning, bench.measure())
    return [{**arm, "training": list(outcome.history)}]
