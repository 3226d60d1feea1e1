"""What decoders cost when they run: seconds and memory of training, reading and writing."""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hybridqies.errors import InputError
from hybridqies.lm import Decoder, DecoderConfig, count_flops, count_parameters, generate_ids
from hybridqies.training import TrainingConfig, token_losses
from hybridqies.training.groups import make_optimiser

Work = Callable[[], Any]
_BYTES = 4


def measure_costs(
    configs: Mapping[str, DecoderConfig], *, batch_size: int = 8, rounds: int = 5, device: str = "cpu"
) -> list[dict[str, Any]]:
    """One row for each decoder, as JSON values; times are medians of `rounds`, in which decoders take turns.

    A training step takes `batch_size` windows of the context through AdamW. Reading is a forward pass over
    them without gradients. Writing continues half a context, token by token with a cache, to the end of it.
    Peaks of memory count weights, gradients, moments and whatever else is alive at the same time.

    Raises
    ------
    InputError: no decoders, rounds or windows.
    """
    if not configs or rounds < 1 or batch_size < 1:
        raise InputError(
            f"costs of {len(configs)} decoders were asked for, {rounds} rounds of {batch_size} windows",
            expected="at least one of each",
        )
    works = {name: _works(config, batch_size, device) for name, config in configs.items()}
    for own in works.values():
        # The optimiser's moments are there from the second step on.
        own["train"]()
    peaks = {
        name: {kind: measure_peak(work, device) for kind, work in own.items()} for name, own in works.items()
    }
    seconds: dict[str, dict[str, list[float]]] = {
        name: {kind: [] for kind in own} for name, own in works.items()
    }
    for _ in range(rounds):
        for name, own in works.items():
            for kind, work in own.items():
                seconds[name][kind].append(_time(work, device))
    return [
        _row(
            name, config, batch_size, peaks[name], {k: statistics.median(v) for k, v in seconds[name].items()}
        )
        for name, config in configs.items()
    ]


def _row(
    name: str, config: DecoderConfig, batch_size: int, peaks: Mapping[str, int], seconds: Mapping[str, float]
) -> dict[str, Any]:
    n_tokens = batch_size * config.context
    weights = _BYTES * count_parameters(config)
    return {
        "decoder": name,
        "n_parameters": count_parameters(config),
        "flops_per_token": count_flops(config),
        "training_tokens_per_second": n_tokens / seconds["train"],
        # AdamW keeps two moments of each weight.
        "training_peak_bytes": peaks["train"] + 3 * weights,
        "reading_tokens_per_second": n_tokens / seconds["read"],
        "reading_peak_bytes": peaks["read"] + weights,
        "writing_ms_per_token": 1000 * seconds["write"] / (config.context // 2),
    }


def _works(config: DecoderConfig, batch_size: int, device: str) -> dict[str, Work]:
    """A training step, a forward pass, and writing half a context, each on its own new decoder."""
    trained, still = Decoder(config).to(device), Decoder(config).to(device).eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocabulary, (batch_size, config.context), generator=generator).to(device)
    optimiser = make_optimiser(trained, TrainingConfig())
    half = config.context // 2

    def train() -> None:
        token_losses(trained, ids).mean().backward()
        optimiser.step()
        # Freed at the end: left until the next step, they would count as there before it, and not as its own.
        optimiser.zero_grad()

    def read() -> Tensor:
        with torch.no_grad():
            found: Tensor = still(ids)
        return found

    def write() -> list[int]:
        return generate_ids(still, ids[0, : config.context - half].tolist(), half, temperature=0.0)

    return {"train": train, "read": read, "write": write}


def _time(work: Work, device: str) -> float:
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_peak(work: Work, device: str = "cpu") -> int:
    """The most bytes of tensors that are alive at once among those that `work` makes, what it keeps included.

    On a CUDA device its allocator counts. On a CPU the results of all operations are counted, not what an
    operation needs inside.
    """
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated() - before)
    with _Living() as living:
        work()
    return int(living.peak)


class _Living(TorchDispatchMode):
    """Counts the bytes of storages that operations make, until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = {id(self._storage(each)) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        answer = func(*args, **(kwargs or {}))
        for each in tree_leaves(answer):
            if isinstance(each, Tensor) and id(self._storage(each)) not in given:
                self._add(self._storage(each))
        return answer

    @staticmethod
    def _storage(tensor: Tensor) -> Any:
        return tensor.untyped_storage()

    def _add(self, storage: Any) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, size)

    def _remove(self, size: int) -> None:
        self.now -= size
