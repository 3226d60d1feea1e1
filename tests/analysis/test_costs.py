"""What a measured step leaves behind."""

from __future__ import annotations

from hybridqies.analysis.costs import _Living, _works
from hybridqies.lm import DecoderConfig


def test_a_step_of_training_leaves_no_gradients():
    """On a card they would be there before the next step, and not be counted as its own."""
    train = _works(DecoderConfig(5, context=4, width=8, n_layers=1, n_heads=1, hidden=4), 2, "cpu")["train"]
    # The moments are made in the first step, and stay.
    train()
    with _Living() as living:
        train()
    assert living.peak > 0
    assert living.now == 0
