"""Decoders of every arm: no leak from later tokens, gradients, a cache, layers that start at zero."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lm.decoders import ARMS, CONTEXT, VOCABULARY, Activation, config_of, draw_ids, make_decoder

from hybridqies.errors import InputError
from hybridqies.lm import Cache, Decoder, DecoderConfig, Mixing, generate_ids
from hybridqies.lm.linear import normalise

WITH_MIXERS = [name for name, arm in ARMS.items() if arm.mixing is not Mixing.NONE]


@pytest.mark.parametrize("arm", ARMS)
def test_a_changed_token_moves_no_earlier_logit_by_a_bit(arm):
    model, ids = make_decoder(arm), draw_ids()
    with torch.no_grad():
        before = model(ids)
        for place in (1, CONTEXT // 2, CONTEXT - 1):
            changed = ids.clone()
            changed[:, place] = (changed[:, place] + 1) % VOCABULARY
            after = model(changed)
            assert torch.equal(after[:, :place], before[:, :place])
            assert not torch.equal(after[:, place], before[:, place])


@pytest.mark.parametrize("arm", ARMS)
def test_logits_of_one_half_read_after_the_other_are_those_of_both(arm):
    model, ids = make_decoder(arm), draw_ids()
    with torch.no_grad():
        whole = model(ids)
        for cuts in ([CONTEXT // 2] * 2, [CONTEXT - 3, 1, 1, 1]):
            cache = Cache()
            parts = [model(part, cache=cache) for part in ids.split(cuts, 1)]
            assert torch.dist(torch.cat(parts, 1), whole) < 1e-11


@pytest.mark.parametrize("arm", ["real", "complex-entangled", "tap"])
def test_generation_takes_the_likeliest_token_of_a_full_pass_each_time(arm):
    model, known = make_decoder(arm), draw_ids(rows=1, length=4)[0].tolist()
    found = generate_ids(model, known, CONTEXT - 4, temperature=0)
    with torch.no_grad():
        for _ in range(CONTEXT - 4):
            known.append(int(model(torch.tensor([known]))[0, -1].argmax()))
    assert known[4:] == found


def test_generation_goes_on_beyond_the_context_and_repeats_by_its_seed():
    model = make_decoder("entangled")
    found = [generate_ids(model, [1, 2], 2 * CONTEXT, seed=seed) for seed in (0, 0, 1)]
    assert len(found[0]) == 2 * CONTEXT
    assert found[0] == found[1] != found[2]
    # Behind the first full context the last half of it was read again.
    greedy = [1, 2, *generate_ids(model, [1, 2], CONTEXT, temperature=0)]
    half = greedy[CONTEXT + 1 - CONTEXT // 2 : CONTEXT + 1]
    with torch.no_grad():
        assert greedy[CONTEXT + 1] == int(model(torch.tensor([half]))[0, -1].argmax())


@pytest.mark.parametrize("arm", WITH_MIXERS)
def test_a_mixing_layer_changes_nothing_at_the_start(arm):
    model, ids = make_decoder(arm, shaken=False), draw_ids()
    plain = Decoder(DecoderConfig(**{**_fields(model.config), "mixing": Mixing.NONE})).double()
    kept = {name: value for name, value in model.state_dict().items() if ".mixer." not in name}
    plain.load_state_dict(kept)
    with torch.no_grad():
        assert torch.equal(model(ids), plain(ids))


@pytest.mark.parametrize("arm", WITH_MIXERS)
def test_local_logits_are_those_without_the_mixing_layers(arm):
    model, ids = make_decoder(arm), draw_ids()
    plain = Decoder(DecoderConfig(**{**_fields(model.config), "mixing": Mixing.NONE})).double()
    plain.load_state_dict({name: v for name, v in model.state_dict().items() if ".mixer." not in name})
    with torch.no_grad():
        answer = model(ids, local=True)
        assert torch.equal(answer.local_logits, plain(ids))
        assert torch.equal(answer.logits, model(ids))
    assert not torch.equal(answer.logits, answer.local_logits)


@pytest.mark.parametrize(
    ("arm", "activation"),
    [*((arm, Activation.SWIGLU) for arm in ARMS), ("complex-entangled", Activation.GELU)],
)
def test_gradients_are_those_of_finite_differences(arm, activation):
    model, ids = make_decoder(arm, n_layers=1, activation=activation), draw_ids(length=9)
    has_gates = model.config.mixing not in (Mixing.NONE, Mixing.TAP)

    def loss() -> torch.Tensor:
        answer = model(ids, local=True, entropy=has_gates)
        value = answer.logits.square().mean() + 0.3 * answer.local_logits.square().mean()
        return value - 0.2 * answer.entropy if has_gates else value

    model.zero_grad()
    loss().backward()
    generator = torch.Generator().manual_seed(1)
    for name, values in model.named_parameters():
        towards = torch.randn(values.shape, dtype=values.dtype, generator=generator)
        expected = float((values.grad * towards).sum())
        ends = []
        with torch.no_grad():
            for step in (1e-5, -2e-5):
                values.add_(step * towards)
                ends.append(float(loss()))
            values.add_(1e-5 * towards)
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(expected, rel=1e-5, abs=1e-7), name


def test_a_stream_turned_by_a_phase_gives_turned_attention():
    # What is complex-linear commutes with a factor e^{iφ}; scores Re(q k†) don't see it at all.
    model = make_decoder("complex")
    block: Any = model.blocks[0]
    half = model.config.width // 2
    stream = torch.randn(
        1, CONTEXT, 2 * half, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    turn = torch.polar(torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64))

    def turned(values: torch.Tensor) -> torch.Tensor:
        product = torch.complex(values[..., :half], values[..., half:]) * turn
        return torch.cat([product.real, product.imag], -1)

    def attend(values: torch.Tensor) -> torch.Tensor:
        return block._attend(normalise(values), model.turns, None)

    with torch.no_grad():
        assert torch.dist(attend(turned(stream)), turned(attend(stream))) < 1e-12


def test_weights_are_drawn_from_the_seed():
    states = [Decoder(config_of("entangled"), seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["embedding.weight"], states[2]["embedding.weight"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"width": 10, "n_heads": 4}, "multiple of 8"),
        ({"hidden": 7, "is_complex": True}, "even number"),
        ({"context": 1}, "'context'"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(given, words):
    with pytest.raises(InputError, match=words):
        DecoderConfig(**{"vocabulary": 5, "width": 8, **given})


def test_more_tokens_than_the_context_and_entropies_without_gates_are_refused():
    model = make_decoder("tap")
    with pytest.raises(InputError, match="context of 16"):
        model(draw_ids(length=CONTEXT + 1))
    with pytest.raises(InputError, match="with gates"):
        model(draw_ids(), entropy=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"ids": []}, "no tokens"), ({"count": -1}, "count of -1"), ({"temperature": -0.5}, "-0.5")],
)
def test_generation_refuses_what_it_cannot_do(given, words):
    with pytest.raises(InputError, match=words):
        generate_ids(make_decoder("real"), **{"ids": [1], "count": 1, **given})


def _fields(config: DecoderConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}
