"""The kernels of the CPU: tiles of samples for small states, pieces of one tile for large ones.

Where one block holds the state, a thread takes whole tiles; above, all threads share each pass
over a tile. How the work is cut depends on the sizes alone and partial sums are added in
a fixed order: results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hybridqies.engine import coefficients, large_tiles, tiles
from hybridqies.engine.call import ALONE, Call, Gradients, array_of, inputs_of, lanes_of
from hybridqies.engine.plan import Plan
from hybridqies.engine.tables import Array
from hybridqies.engine.workers import each_part

# Multiplications in a tile below which another thread costs more than it saves.
_WORTH_A_THREAD = 1_500_000


Kept = tuple[Call, Array]


def forward(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, *, keep: bool
) -> tuple[Tensor, Kept | None]:
    """Expectations (B, M) and, if `backward` is to follow, the call and its final states (tiles, …)."""
    call, states, values = _run_forward(plan, features, weights, amplitudes, keep=keep)
    return torch.from_numpy(values), (call, states) if keep else None


def _run_forward(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, *, keep: bool
) -> tuple[Call, Array, Array]:
    """The call, its final states (of all tiles with `keep`) and ⟨P⟩ (B, M)."""
    call = Call(plan, features, weights, amplitudes)
    values = np.empty((call.batch, len(plan.flat.layout.observables)), call.features.dtype)
    states = call.empty_states(call.n_tiles if keep else 1)
    if not plan.is_whole:
        large_tiles.forward(call, states, values)
        if not keep:
            plan.workspace.take_back(states)
    else:

        def run(first: int, last: int) -> None:
            mine = states if keep or not first else call.empty_states(1)
            tiles.forward_tiles(
                plan.packed, call.inputs, call.amplitudes, first, last, mine, values, ALONE, call.shape
            )

        each_part(run, call.n_tiles, _threads(call))
    return call, states, values


def backward(
    kept: Kept, gradients: Tensor, *, wants_amplitudes: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of a loss for the inputs, from those for ⟨P⟩ (B, M); what was kept is used up."""
    call, states = kept
    given, plan = array_of(gradients), call.plan
    of_loss = Gradients(call, wants_amplitudes=wants_amplitudes)
    if not plan.is_whole:
        large_tiles.backward(call, states, given, of_loss)
    else:
        mine = (of_loss.of_angles, of_loss.of_inputs, of_loss.of_amplitudes)

        def run(first: int, last: int) -> None:
            tiles.backward_tiles(
                plan.packed, call.inputs, given, first, last, states, mine, ALONE, call.shape
            )

        threads = _threads(call)
        each_part(run, call.n_tiles, threads)
        if threads > 1:
            tiles.shared_weight_gradients(plan.flat.tables, of_loss.of_angles, call.inputs, of_loss.of_inputs)
    return of_loss.tensors()


def final_states(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, places: Tensor
) -> Tensor:
    """Final states (B, 2**n), where basis state x is the amplitude stored at places[x]."""
    call, states, _ = _run_forward(plan, features, weights, amplitudes, keep=True)
    lanes, planes = map(len, call.shape)
    tiles_of_states = torch.from_numpy(states).view(call.n_tiles, 1 << plan.n_qubits, planes, lanes)
    samples = tiles_of_states[:, places].permute(0, 3, 1, 2).reshape(-1, 1 << plan.n_qubits, planes)
    plan.workspace.take_back(states)
    if plan.is_real:
        return samples[: call.batch, :, 0]
    return torch.view_as_complex(samples[: call.batch].contiguous())


def all_finite(features: Tensor, weights: Tensor) -> bool:
    """Whether inputs hold neither NaN nor infinity."""
    return coefficients.all_finite(*inputs_of(features, weights))


def _threads(call: Call) -> int:
    work = (len(call.plan.steps) * call.lanes * len(call.shape[1]) ** 2) << call.plan.n_qubits
    if work < _WORTH_A_THREAD:
        return 1
    return min(torch.get_num_threads(), call.n_tiles)


def count_states(plan: Plan, batch: int, itemsize: int) -> int:
    """The largest number of states in memory at a time in a forward and backward pass, without inputs."""
    lanes = lanes_of(plan.n_qubits, batch, itemsize)
    n_tiles = -(-batch // lanes)
    at_once = min(torch.get_num_threads(), n_tiles) if plan.is_whole else 1
    # The final states of the batch, kept for the backward pass, and a bra for each tile in work.
    return (n_tiles + at_once) * lanes
