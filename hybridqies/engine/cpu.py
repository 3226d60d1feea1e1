"""The plan on the CPU: tiles of samples for small states, pieces of one tile for large ones.

Up to WHOLE_QUBITS a thread takes whole tiles; above, all threads share each pass over a
tile. How the work is cut depends on the sizes alone and partial sums are added in
a fixed order: results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hybridqies.engine import coefficients, pieces, tiles
from hybridqies.engine.call import ALONE, Call, Slopes, array_of, inputs_of, lanes_of
from hybridqies.engine.plan import WHOLE_QUBITS, Plan
from hybridqies.engine.tables import Array
from hybridqies.engine.workers import each_part

# Products of numbers in a tile's steps below which waking another thread costs more than it saves.
_WORTH_A_THREAD = 1_500_000


Kept = tuple[Call, Array]


def forward(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, *, keep: bool
) -> tuple[Tensor, Kept | None]:
    """Expectations (B, M) and, if `backward` is to follow, the call and its final states (tiles, …)."""
    call = Call(plan, features, weights, amplitudes)
    values = np.empty((call.batch, len(plan.flat.layout.observables)), call.features.dtype)
    states = call.empty_states(call.n_tiles if keep else 1)
    if not plan.is_whole:
        pieces.forward(call, states, values)
        if not keep:
            plan.workspace.take_back(states)
    else:

        def run(first: int, last: int) -> None:
            mine = states if keep or not first else call.empty_states(1)
            tiles.forward_tiles(
                plan.packed, call.inputs, call.amplitudes, first, last, mine, values, ALONE, call.shape
            )

        each_part(run, call.n_tiles, _threads(call))
    return torch.from_numpy(values), (call, states) if keep else None


def backward(
    kept: Kept, gradients: Tensor, *, wants_amplitudes: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of a loss for the inputs, from those for ⟨P⟩ (B, M); what was kept is used up."""
    call, states = kept
    slopes = Slopes(call, wants_amplitudes=wants_amplitudes)
    given, plan = array_of(gradients), call.plan
    if not plan.is_whole:
        pieces.backward(call, states, given, slopes)
    else:
        mine = (slopes.of_angles, slopes.of_inputs, slopes.of_amplitudes)

        def run(first: int, last: int) -> None:
            tiles.backward_tiles(
                plan.packed, call.inputs, given, first, last, states, mine, ALONE, call.shape
            )

        threads = _threads(call)
        each_part(run, call.n_tiles, threads)
        if threads > 1:
            tiles.shared_weight_slopes(plan.flat.tables, slopes.of_angles, call.inputs, slopes.of_inputs)
    return slopes.tensors()


def all_finite(features: Tensor, weights: Tensor) -> bool:
    """Whether inputs hold neither NaN nor infinity."""
    return coefficients.all_finite(*inputs_of(features, weights))


def _threads(call: Call) -> int:
    work = (len(call.plan.steps) * call.lanes * len(call.shape[1]) ** 2) << call.plan.n_qubits
    if work < _WORTH_A_THREAD:
        return 1
    return min(torch.get_num_threads(), call.n_tiles)


def states_held(n_qubits: int, batch: int, itemsize: int) -> int:
    """How many states are in memory at the worst moment of a forward and backward pass, without inputs."""
    lanes = lanes_of(n_qubits, batch, itemsize)
    n_tiles = -(-batch // lanes)
    at_once = 1 if n_qubits > WHOLE_QUBITS else min(torch.get_num_threads(), n_tiles)
    # The final states of the batch, kept for the backward pass, and a bra for each tile in work.
    return (n_tiles + at_once) * lanes
