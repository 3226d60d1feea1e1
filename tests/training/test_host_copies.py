"""What a training step on a card reads on the host: counted with tensors that have no numbers.

The model lies on torch's device `meta` in place of a card. Whatever would wait for the card, a number of a
tensor or a copy of one, is recorded and answered.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from built_heads import built_head
from engine.cuda.emulation import CountingCard
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hybridqies.engine import simulate
from hybridqies.engine.cuda import CudaKernels
from hybridqies.text import Encoder
from hybridqies.training import CrossEntropy, Labelled, TrainingConfig, fit, numerics
from hybridqies.tuning import TextModel, Tuning
from hybridqies.tuning.tunable import TunableEncoder

CARD = torch.device("meta")
ATEN = torch.ops.aten
BITS, LOSSES = torch.bool, torch.float32
WIDTH, STEPS = 6, 2


class Reads(TorchDispatchMode):
    """The types of numbers that come from the card, and the operations that copy tensors from it."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = Counter[torch.dtype]()
        self.copies: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = _tensors((args, kwargs))
        on_card = any(each.device == CARD for each in given)
        if on_card and func is ATEN._local_scalar_dense.default:
            self.numbers[given[0].dtype] += 1
            return True if given[0].dtype is torch.bool else 1.0
        if on_card and func is ATEN._to_copy.default and kwargs.get("device", CARD) != CARD:
            self.copies.append(str(func))
            return torch.zeros(given[0].shape, dtype=kwargs.get("dtype") or given[0].dtype)
        made = func(*args, **kwargs)
        if on_card and any(each.device != CARD for each in _tensors(made)):
            self.copies.append(str(func))
        return made


def _tensors(tree: Any) -> list[Tensor]:
    return [each for each in tree_leaves(tree) if isinstance(each, Tensor)]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A card that counts launches and runs none."""
    found: Any = CountingCard()
    kernels = CudaKernels(lambda device: found)
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: kernels)
    # Autocast does not know the device.
    monkeypatch.setattr(numerics, "exactly", lambda device: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device_type="": False)
    return found


def reads_of_a_step(model: nn.Module, inputs: Any) -> tuple[Counter[torch.dtype], list[str]]:
    """What each step reads, without what is read once before the first."""
    rows = Labelled(inputs, torch.arange(4) % 2)
    found: list[Reads] = []
    for epochs in (1, 3):
        with Reads() as reads:
            fit(model, rows, None, CrossEntropy(), TrainingConfig(epochs=epochs, batch_size=2))
        found.append(reads)
    more = found[1].numbers - found[0].numbers
    assert all(count % (2 * STEPS) == 0 for count in more.values())
    return Counter({kind: count // (2 * STEPS) for kind, count in more.items()}), found[1].copies


@pytest.mark.parametrize(("head", "bits"), [("mlp", 0), ("dressed", 1), ("two-module", 3)])
def test_a_head_reads_its_loss_and_whether_numbers_are_finite(card: Any, head: str, bits: int) -> None:
    options = {} if head == "mlp" else {"n_qubits": 3}
    model = built_head(head, WIDTH, 2, **options).to(CARD)
    numbers, copies = reads_of_a_step(model, torch.zeros(4, WIDTH, device=CARD))
    assert numbers == Counter({BITS: bits, LOSSES: 1})
    assert copies == []
    # A circuit is a launch forward, one backward and one for the gradients of its inputs.
    launches = {"dressed": 8, "two-module": 16}.get(head, 0)
    assert card.launches == Counter(dict.fromkeys(("forward", "backward", "gather_inputs"), launches))


def test_an_encoder_reads_whether_texts_are_padded(card: Any, tiny_encoder: Path) -> None:
    encoder = Encoder.load(tiny_encoder)
    # As a command has them: tokens on the host, encoder and head on the card.
    tokens = encoder.tokenise(["one two", "three", "four five six", "seven"])
    head = built_head("two-module", encoder.dimension, 2, n_qubits=3)
    model = TextModel(TunableEncoder(encoder, Tuning("full"), 0), head).to(CARD)
    numbers, copies = reads_of_a_step(model, tokens)
    # Transformers reads the mask once.
    assert numbers == Counter({BITS: 3 + 1, LOSSES: 1})
    assert copies == []


def test_no_texts_have_embeddings_on_the_card(tiny_encoder: Path) -> None:
    encoder = Encoder.load(tiny_encoder)
    model = TunableEncoder(encoder, Tuning("full"), 0).to(CARD)
    found = model(encoder.tokenise(["one"])[torch.arange(0)])
    assert (found.shape, found.device) == ((0, encoder.dimension), CARD)
