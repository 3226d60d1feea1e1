"""Closed formulas against what is counted, sizes, and arms that are matched."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from lm.decoders import ARMS, CONTEXT, Activation, config_of, draw_ids
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hybridqies.errors import InputError, UnknownNameError
from hybridqies.lm import Decoder, config_of_arm, config_of_size, count_flops, count_parameters, read_size


@pytest.mark.parametrize(("rank", "activation"), [(2, Activation.SWIGLU), (4, Activation.GELU)])
@pytest.mark.parametrize("arm", ARMS)
def test_formulas_are_what_is_counted(arm, rank, activation):
    model = Decoder(config_of(arm, rank=rank, activation=activation))
    assert sum(values.numel() for values in model.parameters()) == count_parameters(model.config)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(draw_ids(rows=3))
    assert counter.get_total_flops() == 3 * CONTEXT * count_flops(model.config)


@pytest.mark.parametrize(("name", "like"), [(n, a.like) for n, a in ARMS.items() if a.measure])
def test_matched_arms_have_the_measure_of_the_other(name, like):
    arm = ARMS[name]
    own, other = (config_of_arm(each, 65_000, 65, 128) for each in (name, like))
    step = arm.measure(own) - arm.measure(replace(own, hidden=own.hidden - 2))
    assert abs(arm.measure(own) - arm.measure(other)) <= step / 2


@pytest.mark.parametrize("size", ["65k", "246k", "812k", "2.25M", "4.77M", "50M"])
def test_a_size_is_met(size):
    count = read_size(size)
    assert count_parameters(config_of_size(count, 65, 128)) == pytest.approx(count, rel=0.02)


@pytest.mark.parametrize(("text", "size"), [("65k", 65_000), ("2.25M", 2_250_000), (" 900 ", 900)])
def test_sizes_are_read_as_people_write_them(text, size):
    assert read_size(text) == size


HUGE = "9" * 400


@pytest.mark.parametrize("text", ["", "k", "-5", "1e5", "65 kilo", "0", pytest.param(HUGE, id="huge")])
def test_other_words_are_no_size(text):
    with pytest.raises(InputError, match="such as 65k"):
        read_size(text)


def test_arms_and_options_that_do_not_exist_are_refused():
    with pytest.raises(UnknownNameError, match="'entangled'"):
        config_of_arm("entangle", 1000, 11, 16)
    with pytest.raises(UnknownNameError, match="n_layers"):
        config_of_arm("real", 1000, 11, 16, {"layers": 2})
    with pytest.raises(InputError, match="an arm"):
        config_of_arm("real", 1000, 11, 16, {"mixing": "tap"})
    with pytest.raises(InputError, match="larger size"):
        config_of_size(65_000, 50_000, 128)
    # Among the settings they would be overwritten without a word.
    for key in ("vocabulary", "context"):
        with pytest.raises(InputError, match=f"'{key}' was given among the settings"):
            config_of_size(65_000, 65, 128, {key: 64})
