"""Memory and launches of deep circuits on large states, counted by a card that runs nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest
import torch
from engine.cuda.emulation import CountingCard
from torch.utils._python_dispatch import TorchDispatchMode

from hybridqies.circuit import Circuit, Weight, feature, gate
from hybridqies.engine import compile_plan
from hybridqies.engine.cuda import CudaKernels
from hybridqies.engine.cuda import kernels as module


class Allocations(TorchDispatchMode):
    """The bytes of each tensor that is made for a call."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.new_empty.default:
            self.sizes.append(made.nbytes)
        return made


class Counts(NamedTuple):
    forward: Counter[str]
    backward: Counter[str]
    sizes: list[int]
    blocks: int
    product_blocks: int
    turns: int


def layers(n_qubits: int, depth: int) -> Circuit:
    """A feature on each qubit, then general rotations and a ring of CNOTs in each layer."""
    gates = [gate("RY", qubit, feature(qubit)) for qubit in range(n_qubits)]
    for first in range(0, 3 * n_qubits * depth, 3 * n_qubits):
        for qubit in range(n_qubits):
            gates += [gate("ROT", qubit, *(Weight(first + 3 * qubit + i) for i in range(3)))]
        gates += [gate("CNOT", (qubit, (qubit + 1) % n_qubits)) for qubit in range(n_qubits)]
    return Circuit.of(n_qubits, gates)


def count(circuit: Circuit, batch: int) -> Counts:
    card: Any = CountingCard()
    kernels, plan = CudaKernels(lambda device: card), compile_plan(circuit)
    features, weights = torch.zeros(batch, circuit.n_features), torch.zeros(circuit.n_weights)
    with Allocations() as made:
        values, kept = kernels.forward(plan, features, weights, None, keep=True)
        forward = card.launches.copy()
        assert kept is not None
        kernels.backward(kept, torch.ones_like(values), wants_amplitudes=False)
    part = kept[0].on_card.part
    backward = card.launches - forward
    return Counts(forward, backward, made.sizes, len(part.row_first) - 1, part.n_product, part.n_turns)


def assert_bounded(found: Counts, n_qubits: int, batch: int, windows: int) -> None:
    """One launch a block each way, and a fixed number beside them for each window."""
    assert found.forward == {
        "forward": found.blocks - found.product_blocks,
        "fill_matrices": windows,
        "measure_pieces": 1,
    }
    assert found.backward == {
        "start_bras": 1,
        "backward": found.blocks,
        "fill_matrices": windows,
        "chain_slopes": windows,
        "gather_inputs": 1,
    }
    state = batch * 2**n_qubits * 8
    assert found.sizes.count(state) == 2
    others = sorted(size for size in found.sizes if size != state)
    turns = found.turns * batch * 8
    others.remove(turns)
    # Matrices of the way forward are freed before those of the way back are made.
    matrices_and_slopes = others[-1] + others[-2]
    assert matrices_and_slopes <= module._MOST_BYTES


@pytest.mark.parametrize("depth", [4, 12])
def test_memory_is_bounded_and_launches_follow_the_blocks(
    depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A row of a batch of 3 in 4 pieces takes 3 * (8 + 3 * 4) * 4 = 240 bytes: 83 rows at a time.
    monkeypatch.setattr(module, "_MOST_BYTES", 20_000)
    found = count(layers(14, depth), 3)
    assert_bounded(found, 14, 3, windows=found.forward["fill_matrices"])
    assert (found.forward["fill_matrices"] > 1) == (depth == 12)


@pytest.mark.slow
def test_a_thousand_layers_of_twenty_qubits() -> None:
    circuit = layers(20, 1000)
    assert circuit.n_weights == 60_000
    found = count(circuit, 10)
    print(found.blocks, found.forward, found.backward, sorted(found.sizes))
    assert_bounded(found, 20, 10, windows=2)
    assert found.turns == 60_020
    assert sum(found.forward.values()) + sum(found.backward.values()) < 2_500


def test_each_device_has_a_card_and_tables_of_its_own() -> None:
    opened = list[torch.device]()

    def open_card(device: torch.device) -> Any:
        opened.append(device)
        return CountingCard()

    kernels, circuit = CudaKernels(open_card), layers(3, 1)
    plan = compile_plan(circuit)
    devices = [torch.device("cpu"), torch.device("meta")]
    for device in (*devices, *devices):
        features, weights = (torch.zeros(size, device=device) for size in ((2, 3), (circuit.n_weights,)))
        values, kept = kernels.forward(plan, features, weights, None, keep=True)
        assert kept is not None
        gradients = kernels.backward(kept, torch.ones_like(values), wants_amplitudes=False)
        assert {each.device for each in (values, *gradients[:2])} == {device}
    assert opened == devices
    assert [each._integers.device for each in plan.prepared.values()] == devices
