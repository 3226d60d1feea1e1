"""The table of arms: what is compared, what each may search, and which is whose control."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hybridqies.circuit import load_recipe
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.heads import head_class
from hybridqies.study.search import Choices, Interval, Space
from hybridqies.tuning.methods import method_of
from hybridqies.tuning.spec import TUNE, TuneBy

_RATE = {"training.learning_rate": Interval(0.0005, 0.05, log=True)}
_TWO_MODULE: Space = {
    **_RATE,
    "training.rates.encoding": Interval(0.001, 0.1, log=True),
    "encoders": Choices((4, 8, 16)),
    "encoder.layers": Choices((2, 4, 6)),
    "constant": Choices((1.0, 2.0, 3.0)),
    "feature_scale": Choices((3.0, 5.0, 8.0, 12.0)),
}
_DRESSED: Space = {
    **_RATE,
    "training.weight_decay": Interval(1e-4, 1.0, log=True),
    "layers": Choices((1, 2, 3)),
    "training.epochs": Choices((20, 40)),
}
_REUPLOAD: Space = {
    **_RATE,
    "layers": Choices((1, 2, 4)),
    "training.epochs": Choices((20, 40)),
}
_MLP: Space = {
    **_RATE,
    "training.weight_decay": Interval(1e-4, 1.0, log=True),
    "dropout": Choices((0.0, 0.2, 0.5)),
    "training.epochs": Choices((20, 40)),
}
_NO_HIDDEN: Space = {name: each for name, each in _MLP.items() if name != "dropout"}
_PAPER_WIDTHS = (48, 96, 144, 192)


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a study.

    `options` are fixed settings of its head, as `--set` takes them; `space` is what a search may change.
    `twin_of` names the arm that it is the control of.
    """

    name: str
    head: str
    what: str
    options: Mapping[str, Any] = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    twin_of: str | None = None

    @property
    def quantum(self) -> bool:
        """Whether its head runs a circuit."""
        return head_class(self.head).runs_circuit

    @property
    def matched(self) -> bool:
        """Whether its head takes the parameter count of another."""
        return bool(head_class(self.head).matches)

    @property
    def is_matchable(self) -> bool:
        """Whether it has a circuit, and a size that is known before it is trained."""
        return self.quantum and not head_class(self.head).grows

    @property
    def per_qubits(self) -> bool:
        """Whether it is another arm at another number of qubits."""
        return self.quantum or self.matched


_TABLE = (
    Arm("two-module", "two-module", "the paper's head", space=_TWO_MODULE),
    Arm(
        "two-module-product",
        "two-module",
        "the same without entanglement: as many angles and uploads, read on every qubit",
        # Near 0 the angles between uploads would leave expectations even in what is uploaded.
        {"circuit": "product-reupload", "encoder_circuit": "product-encoder", "encoder_spread": math.pi},
        {name: each for name, each in _TWO_MODULE.items() if name != "constant"},
        twin_of="two-module",
    ),
    Arm("dressed", "dressed", "linear, circuit, linear", space=_DRESSED),
    Arm(
        "reupload",
        "reupload",
        "columns, or as many principal components as fit, as angles that are uploaded several times",
        {"reduce": "pca"},
        _REUPLOAD,
    ),
    Arm(
        "reupload-product",
        "reupload",
        "the same without entanglement",
        {"reduce": "pca", "entangled": False},
        _REUPLOAD,
        twin_of="reupload",
    ),
    Arm("matched-mlp", "matched-mlp", "a perceptron of as many parameters", space=_MLP),
    Arm("logistic", "logistic", "logistic regression", space={"C": Interval(1e-3, 1e3, log=True)}),
    Arm(
        "svc",
        "svc",
        "support-vector machine",
        space={"C": Interval(1e-2, 1e3, log=True), "kernel": Choices(("rbf", "linear"))},
    ),
    Arm(
        "quantum-kernel",
        "quantum-kernel",
        "support-vector machine on the fidelity of circuit states",
        space={"C": Interval(1e-2, 1e3, log=True), "bandwidth": Interval(0.01, 1.0, log=True)},
    ),
    Arm("mlp-0", "mlp", "a linear layer trained by gradients", {"widths": "none"}, _NO_HIDDEN),
    *(Arm(f"mlp-{w}", "mlp", f"one hidden layer of {w}", {"widths": w}, _MLP) for w in _PAPER_WIDTHS),
)

ARMS: dict[str, Arm] = {arm.name: arm for arm in _TABLE}


def arm_of(name: str) -> Arm:
    """The arm of that name.

    `two-module:RECIPE` and `dressed:RECIPE` are the head with another circuit. `ARM+METHOD` has its encoder
    tuned by that method, `ARM+METHOD/BY` by that and nothing else (`hybridqies.tuning.TuneBy`).

    Raises
    ------
    UnknownNameError: no arm, recipe or way of tuning has that name.
    InputError: a recipe for an arm that has no circuit of its own choice.
    """
    whole, plus, tuning = name.partition("+")
    arm = _arm_of(whole)
    if not plus:
        return arm
    method, slash, by = tuning.partition("/")
    what = method_of(method).what
    options = {TUNE: method, **({f"{TUNE}.by": by} if slash else {})}
    if slash and by not in (known := [each.value for each in TuneBy]):
        raise UnknownNameError("what an encoder is tuned by:", by, known)
    return replace(
        arm,
        name=name,
        what=f"{arm.what}; encoder tuned: {what}" + (f", by {by}" if slash else ""),
        options={**arm.options, **options},
        twin_of=None,
    )


def _arm_of(name: str) -> Arm:
    plain, colon, recipe = name.partition(":")
    if plain not in ARMS:
        raise UnknownNameError("arm", plain, ARMS)
    arm = ARMS[plain]
    if not colon:
        return arm
    if not arm.quantum or "circuit" in arm.options:
        raise InputError(f"arm {plain!r} was given the recipe {recipe!r}", expected="two-module or dressed")
    known = {option.name for option in load_recipe(recipe).options}
    space = {
        key: each
        for key, each in arm.space.items()
        if key != "layers" or arm.head != "dressed" or key in known
    }
    return replace(
        arm,
        name=name,
        what=f"{arm.what}, circuit {recipe}",
        options={**arm.options, "circuit": recipe},
        space=space,
    )
