"""Ablations against the same decoder with weights set to zero, and against means by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from lm.decoders import draw_ids, make_decoder
from scipy import stats

from hybridqies.analysis import Replacement, ablate_mixers, window_losses
from hybridqies.errors import InputError
from hybridqies.lm.decoder import Decoder

IDS = draw_ids(rows=5)


def without(model: Decoder, block: int | None, stride: int | None) -> Decoder:
    """A copy whose mixing layers add nothing of a stride: its columns of the linear map are zero."""
    changed = copy.deepcopy(model)
    each: Any
    for at, each in enumerate(changed.blocks):
        weight, strides = each.mixer.out.weight, each.mixer.strides
        size = weight.shape[1] // len(strides)
        for head, own in enumerate(strides):
            if block in (None, at) and stride in (None, own):
                with torch.no_grad():
                    weight[:, head * size : (head + 1) * size] = 0
    return changed


@pytest.mark.parametrize("arm", ["tap", "entangled", "complex-entangled"])
def test_zeros_are_those_of_weights_without_the_stride(arm):
    model = make_decoder(arm)
    whole = window_losses(model, IDS)
    rows = ablate_mixers(model, IDS, Replacement.ZERO)
    places = [(block, stride) for block in (None, 0, 1) for stride in (None, 1, 2, 4, 8)]
    assert [(row.block, row.stride) for row in rows] == places
    for row in rows:
        changes = (window_losses(without(model, row.block, row.stride), IDS) - whole).mean(1).numpy()
        assert row.change == pytest.approx(changes.mean(), abs=1e-12)
        low, high = stats.t.interval(0.95, 4, changes.mean(), stats.sem(changes))
        assert (row.low, row.high) == pytest.approx((low, high), abs=1e-12)


def test_means_are_those_of_what_the_layer_reads():
    model: Any = make_decoder("entangled")
    seen = []
    hook = model.blocks[0].mixer.out.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    whole = window_losses(model, IDS)
    hook.remove()
    changed: Any = without(model, 0, 2)
    mixer = model.blocks[0].mixer
    mean = seen[0].mean((0, 1))[4:8]
    added = mean @ mixer.out.weight[:, 4:8].T
    hook = changed.blocks[0].mixer.out.register_forward_hook(lambda _, inputs, answer: answer + added)
    expected = float((window_losses(changed, IDS) - whole).mean())
    row = next(row for row in ablate_mixers(model, IDS) if (row.block, row.stride) == (0, 2))
    assert row.change == pytest.approx(expected, abs=1e-12)


def test_a_product_gate_is_worth_something_by_zero_and_the_model_is_left_as_it_was():
    model = make_decoder("product")
    before = window_losses(model, IDS)
    assert any(abs(row.change) > 1e-6 for row in ablate_mixers(model, IDS))
    assert torch.equal(window_losses(model, IDS), before)
    assert not any(each.mixer.out._forward_pre_hooks for each in model.blocks)


def test_strides_beyond_the_windows_are_left_out_and_impossible_requests_refused():
    rows = ablate_mixers(make_decoder("tap"), IDS[:, :4])
    assert {row.stride for row in rows} == {None, 1, 2}
    assert np.isfinite([row.change for row in rows]).all()
    with pytest.raises(InputError, match="without mixing layers"):
        ablate_mixers(make_decoder("real"), IDS)
    with pytest.raises(InputError, match="at least 2 windows"):
        ablate_mixers(make_decoder("tap"), IDS[:1])
