"""Decoders under autocast to bf16: no leak, and mixing layers that stay in single precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from lm.decoders import ARMS, CONTEXT, VOCABULARY, draw_ids, make_decoder

from hybridqies.lm import Decoder, Mixing
from hybridqies.lm.decoder import Block
from hybridqies.lm.mixers import GateMixer, Mixer, mean_entropy
from hybridqies.tasks.language_modelling import JointNextToken
from hybridqies.training import Batch, Precision, compiled_loss
from hybridqies.training.compiled_loss import make_loss

WITH_MIXERS = [name for name, arm in ARMS.items() if arm.mixing is not Mixing.NONE]
WITH_GATES = [name for name in WITH_MIXERS if ARMS[name].mixing is not Mixing.TAP]
# Some sums of a few rounded values.
ROUNDING = 8 * torch.finfo(torch.float32).eps


@contextmanager
def half() -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        yield


def mixers_of(model: Decoder) -> list[Mixer]:
    found = [block.mixer for block in model.blocks if isinstance(block, Block)]
    return [mixer for mixer in found if mixer is not None]


@pytest.mark.parametrize("arm", ARMS)
def test_a_changed_token_moves_no_earlier_logit_by_a_bit(arm):
    model, ids = make_decoder(arm).float(), draw_ids()
    with torch.no_grad(), half():
        before = model(ids)
        assert before.dtype == torch.bfloat16
        for place in (1, CONTEXT // 2, CONTEXT - 1):
            changed = ids.clone()
            changed[:, place] = (changed[:, place] + 1) % VOCABULARY
            after = model(changed)
            assert torch.equal(after[:, :place], before[:, :place])
            assert not torch.equal(after[:, place], before[:, place])


@pytest.mark.parametrize("arm", WITH_MIXERS)
def test_registers_have_norm_one_and_are_read_in_single_precision(arm):
    model = make_decoder(arm).float()
    stream = torch.randn(3, CONTEXT, model.config.width, generator=torch.Generator().manual_seed(0))
    for mixer in mixers_of(model):
        with torch.no_grad(), half():
            registers = mixer.registers(stream)
            added, read = mixer(registers)
        assert registers.dtype == read.dtype == torch.float32
        # The linear maps around it are in half precision.
        assert added.dtype == torch.bfloat16
        norms = registers.norm(dim=0)
        assert float((norms - 1).abs().max()) < ROUNDING
        with torch.no_grad():
            assert torch.equal(mixer(registers)[1], read)


@pytest.mark.parametrize("arm", WITH_GATES)
def test_gates_and_reduced_states_are_in_single_precision(arm):
    model, ids = make_decoder(arm).float(), draw_ids()
    with torch.no_grad(), half():
        gates = [mixer.gates() for mixer in mixers_of(model) if isinstance(mixer, GateMixer)]
        states = model.read_pairs(ids)
    for unitary, read in zip(gates, states, strict=True):
        assert unitary.dtype == torch.complex64
        one = torch.eye(unitary.shape[-1], dtype=unitary.dtype)
        assert float((unitary @ unitary.mH - one).abs().max()) < 4 * ROUNDING
        traces = read.diagonal(dim1=-2, dim2=-1).sum(-1)
        assert float((traces - 1).abs().max()) < 2 * ROUNDING
        if ARMS[arm].mixing in (Mixing.PRODUCT, Mixing.SWAP):
            # Nothing is entangled, and ρ is pure.
            assert float((read.square().sum((-2, -1)) - 1).abs().max()) < 4 * ROUNDING


def test_gradients_through_gates_are_those_without_autocast():
    model = make_decoder("entangled").float()
    (mixer, *_) = mixers_of(model)
    registers = torch.nn.functional.normalize(
        torch.randn(2 * mixer.rank, 2, CONTEXT, generator=torch.Generator().manual_seed(1)), dim=0
    )
    found = []
    for autocast in (True, False):
        given = registers.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast, cache_enabled=False):
            level = mean_entropy(mixer(given)[1], mixer.rank)
        values = mixer.get_parameter("gate_values")
        found.append((level.detach(), *torch.autograd.grad(level, [given, values])))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_compiled_gradients_of_gates_are_in_single_precision(monkeypatch):
    """A backward pass that is compiled within autocast would round them to half precision."""
    monkeypatch.setattr(compiled_loss, "BACKEND", "aot_eager")
    model, ids = make_decoder("entangled", n_layers=1).float(), draw_ids()
    objective = JointNextToken(entanglement_weight=1.0)
    found: list[dict[str, Any]] = []
    for make in (make_loss, compiled_loss.compile_loss):
        model.zero_grad()
        make(objective, Precision.BF16, torch.device("cpu"))(model, Batch(ids, ids)).backward()
        found.append({name: value.grad for name, value in model.named_parameters()})
    for name, gradient in found[0].items():
        distance = torch.dist(found[1][name], gradient) / gradient.norm()
        # What is in half precision is rounded in another order.
        assert float(distance) < (1e-5 if name.endswith("gate_values") else 0.02), name
