"""What adapters are tested on: small models of the kinds that users adapt, and the methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from hybridqies.adapters import CircuitConfig, QuantaConfig

SIZES = {
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
}


class Perceptron(nn.Module):
    """Two layers, the second without a bias, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.lin0 = nn.Linear(10, 24)
        self.lin1 = nn.Linear(24, 12, bias=False)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.lin1(torch.tanh(self.lin0(x)))))


class Words(nn.Module):
    """Embeddings and a layer that is stored as GPT-2 stores its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 12)
        self.mixed = Conv1D(8, 12)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.mixed(self.embedding(x))))


@dataclass(frozen=True)
class Row:
    """A model, with the layers that get an adapter and one that is trained as a whole."""

    make: Callable[[], nn.Module]
    targets: tuple[str, ...]
    saved: str
    words: bool = True

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The model, with the same weights every time."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.make().to(dtype).eval()

    def inputs(self, dtype: torch.dtype = torch.float64) -> Tensor:
        """Ids of words (3, 7), or numbers (5, 10)."""
        generator = torch.Generator().manual_seed(1)
        if self.words:
            return torch.randint(30, (3, 7), generator=generator)
        return torch.randn(5, 10, generator=generator, dtype=torch.float64).to(dtype)

    def run(self, model: Any) -> Tensor:
        """The model's output on the inputs, with gradients."""
        found = model(self.inputs(next(each for each in model.parameters()).dtype))
        return found if isinstance(found, Tensor) else found[0]


ROWS = {
    "perceptron": Row(Perceptron, ("lin0", "lin1"), "head", words=False),
    "words": Row(Words, ("mixed",), "head"),
    "bert": Row(lambda: BertModel(BertConfig(**SIZES)), ("query", "value"), "pooler.dense"),
    "llama": Row(
        lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False)),
        ("q_proj", "down_proj"),
        "lm_head",
    ),
    "gpt2": Row(
        lambda: GPT2LMHeadModel(
            GPT2Config(vocab_size=30, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1)
        ),
        ("c_attn",),
        "ln_f",
    ),
}

METHODS: dict[str, Callable[..., Any]] = {
    "quanta-frozen": lambda **options: QuantaConfig(n_axes=2, **options),
    "quanta-zero": lambda **options: QuantaConfig(n_axes=2, start="zero", **options),
    "circuit": lambda **options: CircuitConfig(**options),
}


@dataclass(frozen=True)
class Case:
    """A method on a model."""

    method: str
    row: Row

    def config(self, **options: Any) -> Any:
        """The method's configuration for the model's layers."""
        return METHODS[self.method](**{"target_modules": list(self.row.targets), **options})

    def adapted(
        self,
        dtype: torch.dtype = torch.float64,
        shaken: bool = True,
        base: nn.Module | None = None,
        **rest: Any,
    ) -> PeftModel:
        """The model with an adapter called default, other than at its start."""
        options = {
            name: rest.pop(name) for name in ("adapter_name", "autocast_adapter_dtype") if name in rest
        }
        model = get_peft_model(base or self.row.build(dtype), self.config(**rest), **options)
        return shake(model, 2) if shaken else model

    def with_two(self) -> PeftModel:
        """The model with adapters called default and other; the first is active."""
        model = self.adapted()
        model.add_adapter("other", self.config())
        model.set_adapter("other")
        shake(model, 3)
        model.set_adapter("default")
        return model

    def run(self, model: Any) -> Tensor:
        """The model's output, without gradients."""
        with torch.no_grad():
            return self.row.run(model)


def shake(model: Any, seed: int) -> Any:
    """Gives every trained number another value, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in model.parameters():
            if each.requires_grad:
                each += 0.2 * torch.randn(each.shape, generator=generator, dtype=torch.float64).to(each)
    return model
