"""Training speed of the decoder beside plain ones like nanoGPT and GPT-2 of transformers, in one run.

All have the same width, depth, heads, hidden width, vocabulary and context, take the same batches, and train
by the same step of AdamW. "nanoGPT" has layer norms, biases and learned positions; "nanoGPT, same parts" has
what the decoder has, RMS norms and rotary positions, as torch offers them. Models take turns, and the median
of all rounds counts, in tokens for each second of processor time of one thread. `--compiled` trains some of
them by a step that `torch.compile` has compiled as well; the compilation is not counted.

    python benchmarks/language_model_speed.py --width 128 --layers 4 --heads 4 --compiled nanoGPT,real
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hybridqies.lm import ARMS, Activation, Decoder, DecoderConfig
from hybridqies.training import Batch, NextToken, token_losses
from hybridqies.training.compiled_loss import compile_loss, make_loss
from hybridqies.training.config import Precision


class PlainBlock(nn.Module):
    """As in nanoGPT: layer norms with biases, one matrix for query, key and value, GELU."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.whole, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def place(self, values: Tensor) -> Tensor:
        """Queries or keys with their positions; here positions are in the embeddings."""
        return values

    def forward(self, stream: Tensor) -> Tensor:
        batch, length, width = stream.shape
        parts = self.whole(self.first(stream)).split(width, 2)
        query, key, value = (each.view(batch, length, self.heads, -1).transpose(1, 2) for each in parts)
        query, key = self.place(query), self.place(key)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        stream = stream + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return stream + self.down(functional.gelu(self.up(self.second(stream))))


class RotaryBlock(PlainBlock):
    """The same with RMS norms, rotary positions by halves of a head, and no biases."""

    def __init__(self, width: int, heads: int, hidden: int, context: int) -> None:
        super().__init__(width, heads, hidden)
        self.first, self.second = nn.RMSNorm(width), nn.RMSNorm(width)  # type: ignore[assignment]
        for each in (self.whole, self.out, self.up, self.down):
            each.bias = None
        half = width // heads // 2
        angles = torch.arange(context)[:, None] * 10_000 ** (-torch.arange(half) / half)
        self.register_buffer("cosine", torch.cat([angles, angles], -1).cos())
        self.register_buffer("sine", torch.cat([angles, angles], -1).sin())

    def place(self, values: Tensor) -> Tensor:
        first, second = values.chunk(2, -1)
        return values * self.cosine + torch.cat([-second, first], -1) * self.sine


class Plain(nn.Module):
    """A decoder with tied embeddings, and learned positions unless it `is_rotary`."""

    def __init__(self, config: DecoderConfig, *, is_rotary: bool = False) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        sizes = config.width, config.n_heads, config.hidden
        self.places = None if is_rotary else nn.Embedding(config.context, config.width)
        blocks = [
            RotaryBlock(*sizes, config.context) if is_rotary else PlainBlock(*sizes)
            for _ in range(config.n_layers)
        ]
        self.blocks, self.norm = (
            nn.Sequential(*blocks),
            (nn.RMSNorm if is_rotary else nn.LayerNorm)(config.width),
        )

    def forward(self, ids: Tensor) -> Tensor:
        stream = self.tokens(ids)
        if self.places is not None:
            stream = stream + self.places(torch.arange(ids.shape[1], device=ids.device))
        return functional.linear(self.norm(self.blocks(stream)), self.tokens.weight)


def gpt2(config: DecoderConfig) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocabulary,
            n_positions=config.context,
            n_embd=config.width,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            n_inner=config.hidden,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
            use_cache=False,
        )
    )


def models(given: argparse.Namespace) -> dict[str, nn.Module]:
    config = DecoderConfig(
        given.vocabulary,
        given.context,
        given.width,
        given.layers,
        given.heads,
        4 * given.width,
        Activation.GELU,
    )
    made: dict[str, nn.Module] = {
        "nanoGPT": Plain(config),
        "nanoGPT, same parts": Plain(config, is_rotary=True),
        "transformers GPT-2": gpt2(config),
    }
    for name in given.arms.split(","):
        fields = {each: getattr(config, each) for each in config.__dataclass_fields__}
        arm = {"mixing": ARMS[name].mixing, "is_complex": ARMS[name].is_complex}
        made[f"hybridqies {name}"] = Decoder(DecoderConfig(**{**fields, **arm}))
    return made


class MeanLoss(NextToken):
    """The same loss for any model, also one that answers as transformers do."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return token_losses(model, batch.inputs).mean()


def step_of(model: nn.Module, *, is_compiled: bool = False) -> Any:
    optimiser = torch.optim.AdamW(model.parameters())
    make = compile_loss if is_compiled else make_loss
    loss = make(MeanLoss(), Precision.FLOAT32, torch.device("cpu"))

    def step(ids: Tensor) -> None:
        optimiser.zero_grad()
        loss(model, Batch(ids, ids)).backward()
        optimiser.step()

    return step


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    numbers = {
        "width": 128,
        "layers": 4,
        "heads": 4,
        "context": 128,
        "vocabulary": 65,
        "batch": 16,
        "rounds": 9,
    }
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--arms", default="real,tap,entangled,complex")
    parser.add_argument("--compiled", default="", help="some of the models, such as nanoGPT,real")
    given = parser.parse_args(words)
    torch.manual_seed(0)
    made = models(given)
    steps = {name: step_of(model) for name, model in made.items()}
    for word in filter(None, given.compiled.split(",")):
        name = word if word in made else f"hybridqies {word}"
        compiled = f"{name}, compiled"
        made[compiled] = copy.deepcopy(made[name])
        steps[compiled] = step_of(made[compiled], is_compiled=True)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(given.rounds + 1):
        for name, step in steps.items():
            ids = torch.randint(given.vocabulary, (given.batch, given.context))
            start = time.process_time()
            step(ids)
            # The first turn warms up.
            seconds[name] += [time.process_time() - start] if turn else []
    for name, each in seconds.items():
        speed = given.batch * given.context / statistics.median(each)
        count = sum(value.numel() for value in made[name].parameters())
        print(f"{name:30} {count:>10,} parameters {speed:>9,.0f} tokens/s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
