from __future__ import annotations

import pytest
from torch import nn

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.layer_names import choose_layers, refuse_shared

LAYERS = [
    "embed",
    "layers.0.attention.query",
    "layers.0.value",
    "layers.1.attention.query",
    "layers.1.value",
    "0",
]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("query", ["layers.0.attention.query", "layers.1.attention.query"]),
        ("attention.query", ["layers.0.attention.query", "layers.1.attention.query"]),
        ("layers.1.value", ["layers.1.value"]),
        ("*.1.*", ["layers.1.attention.query", "layers.1.value"]),
        ("layers.[0-9].value", ["layers.0.value", "layers.1.value"]),
        ("val*", ["layers.0.value", "layers.1.value"]),
        (["value", "embed", "embed"], ["embed", "layers.0.value", "layers.1.value"]),
        ("*", LAYERS),
        ("0", ["0"]),
    ],
)
def test_patterns(patterns, expected) -> None:
    assert choose_layers(patterns, LAYERS) == expected


def test_a_whole_name_is_no_end_of_others() -> None:
    assert choose_layers("0", ["0", "2.0"]) == ["0"]
    assert choose_layers("0", ["1.0", "2.0"]) == ["1.0", "2.0"]


def test_other_modules_are_chosen_by_name_alone() -> None:
    assert choose_layers(["act", "value"], ["a.value"], ["a.act", "a", "a.value"]) == ["a.value", "a.act"]
    assert choose_layers("*", ["a.value"], ["a.act"]) == ["a.value"]


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("qury", "query"),
        ("alue", "value"),
        ("Query", "query"),
        ("layers.1.valu", "layers.1.value"),
        ("zzz", None),
        ("que?", "query"),
    ],
)
def test_what_fits_nothing_is_refused_with_the_nearest(pattern, nearest) -> None:
    with pytest.raises(UnknownNameError, match="unknown layer") as caught:
        choose_layers(["value", pattern], LAYERS, ["norm"])
    assert caught.value.nearest == nearest
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("patterns", ["", [], ["query", ""]])
def test_no_pattern_is_refused(patterns) -> None:
    with pytest.raises(
        InputError, match=r"layers were given as \[.*\]; expected names of layers, or patterns"
    ):
        choose_layers(patterns, LAYERS)


def test_layers_that_share_a_weight_are_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    refuse_shared(model, ["0", "1", "2"])
    model[2].weight = model[0].weight
    refuse_shared(model, ["1"])
    for chosen, other in (("2", "0.weight"), ("0", "2.weight")):
        with pytest.raises(InputError, match=f"layer '{chosen}' shares its weight with '{other}'"):
            refuse_shared(model, [chosen])
    twice = nn.Sequential(model[1], nn.ReLU(), model[1])
    with pytest.raises(InputError, match=r"layer '0' shares its weight with '2.weight'"):
        refuse_shared(twice, ["0"])
