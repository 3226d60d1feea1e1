"""The plan on the CPU: tiles of samples for small states, pieces of one tile for large ones.

Up to WHOLE_QUBITS a thread takes whole tiles; above, all threads share each pass over a
tile. How the work is cut depends on the sizes alone and partial sums are added in
a fixed order: results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hybridqies.engine import pieces, tiles
from hybridqies.engine.call import Call, Slopes, array_of, lanes_of
from hybridqies.engine.plan import WHOLE_QUBITS, Plan
from hybridqies.engine.tables import Array
from hybridqies.engine.workers import each_part

# Amplitudes times steps in a tile below which another thread costs more than it saves.
_WORTH_A_THREAD = 50_000


def forward(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, *, keep: bool
) -> tuple[Tensor, Array | None]:
    """Expectations (B, M) and, if they are to be kept for `backward`, the final states (tiles, …)."""
    call = Call(plan, features, weights, amplitudes)
    values = np.empty((call.batch, len(plan.layout.observables)), call.features.dtype)
    threads = _threads(call)
    states = call.empty_states(call.n_tiles if keep else threads)
    if plan.n_qubits > WHOLE_QUBITS:
        pieces.forward(call, states, values)
    else:

        def run(first: int, last: int) -> None:
            mine = states if keep else call.empty_states(1)
            tiles.forward_tiles(
                plan.tables,
                plan.layout,
                plan.n_qubits,
                call.features,
                call.weights,
                call.amplitudes,
                first,
                last,
                mine,
                values,
                call.lanes,
                call.planes,
            )

        each_part(run, call.n_tiles, threads)
    return torch.from_numpy(values), states if keep else None


def backward(
    plan: Plan, features: Tensor, weights: Tensor, amplitudes: Tensor | None, states: Array, gradients: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of a loss for the inputs, from those for ⟨P⟩ (B, M); the final `states` are used up."""
    call = Call(plan, features, weights, amplitudes)
    slopes, given = Slopes(call), array_of(gradients)
    if plan.n_qubits > WHOLE_QUBITS:
        pieces.backward(call, states, given, slopes)
    else:

        def run(first: int, last: int) -> None:
            tiles.backward_tiles(
                plan.tables,
                plan.layout,
                plan.n_qubits,
                call.features,
                call.weights,
                given,
                first,
                last,
                states,
                slopes.of_angles,
                slopes.of_features,
                slopes.of_weights,
                slopes.of_amplitudes,
                call.lanes,
                call.planes,
            )

        each_part(run, call.n_tiles, _threads(call))
    tiles.shared_weight_slopes(plan.tables, slopes.of_angles, call.weights, slopes.of_weights)
    return slopes.tensors(weights, amplitudes)


def _threads(call: Call) -> int:
    work = (len(call.plan.steps) * len(call.lanes)) << call.plan.n_qubits
    if call.plan.n_qubits > WHOLE_QUBITS or work < _WORTH_A_THREAD:
        return 1
    return min(torch.get_num_threads(), call.n_tiles)


def states_held(n_qubits: int, batch: int, itemsize: int) -> int:
    """How many states are in memory at the worst moment of a forward and backward pass, without its inputs."""
    lanes = lanes_of(n_qubits, batch, itemsize)
    n_tiles = -(-batch // lanes)
    at_once = 1 if n_qubits > WHOLE_QUBITS else min(torch.get_num_threads(), n_tiles)
    # The final states of the batch, kept for the backward pass, and a bra for each tile in work.
    return (n_tiles + at_once) * lanes
