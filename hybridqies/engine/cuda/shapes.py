"""How a plan is cut for a card: what fits into shared memory, and how many threads work on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hybridqies.engine.cuda.card import Variant
from hybridqies.errors import CapabilityError

# Of a row of `steps` and of a matrix.
_ROW_BYTES, _ENTRIES = 48, 4
_WARP = 32
_LEAST_THREADS, _USUAL_THREADS = 64, 256
# Ket and bra of a coset, for states that shared memory does not hold: several blocks then share a processor.
_COSET_BYTES = 2**16
# Rows whose matrices and slopes are in shared memory at a time.
_WINDOW_ROWS, _COSET_ROWS = 64, 32
# Thread blocks of a launch that keep a large card busy.
_BUSY_BLOCKS = 1024
# Row numbers are 32-bit integers in the kernels.
_MOST_QUBITS = 30


@dataclass(frozen=True)
class Shape:
    """Thread blocks of 2**width amplitudes of each of 2**log_samples states, and the kernels' variant."""

    variant: Variant
    n_qubits: int
    width: int

    @property
    def is_whole(self) -> bool:
        """Whether a thread block holds whole states."""
        return self.width == self.n_qubits

    @cached_property
    def log_samples(self) -> int:
        """So many samples that a warp has work."""
        return max(0, 5 - (self.width - self.variant.held)) if self.is_whole else 0

    @cached_property
    def window_rows(self) -> int:
        """Rows of a window: fewer where many samples have matrices of their own."""
        return max(8, _WINDOW_ROWS >> max(0, self.log_samples - 2)) if self.is_whole else _COSET_ROWS

    @cached_property
    def threads(self) -> int:
        """A power of two."""
        groups = 1 << (self.log_samples + self.width - self.variant.held)
        most = self.variant.most_threads if groups >= 4 * _USUAL_THREADS else _USUAL_THREADS
        return min(max(groups, _LEAST_THREADS), most)

    @cached_property
    def cells(self) -> int:
        """How many sums the threads of a block make of one number before they are added up."""
        groups = 1 << (self.width - self.variant.held)
        return max(1, min(self.threads, groups << self.log_samples) // min(_WARP, groups))

    @cached_property
    def shared_bytes(self) -> tuple[int, int, int]:
        """Shared memory of a thread block with no, one or two states a sample; see `block_of`, groups.cuh."""
        return self._shared_bytes(0), self._shared_bytes(1), self._shared_bytes(2)

    def _shared_bytes(self, states: int) -> int:
        number = 8 if self.variant.is_double else 4
        amplitudes = max(32, 1 << (self.width + self.log_samples))
        matrices = _ENTRIES * self.window_rows << self.log_samples
        slopes = 3 * self.window_rows * self.cells
        planes = self.variant.planes
        return number * (planes * (states * amplitudes + matrices) + slopes) + _ROW_BYTES * self.window_rows

    def pieces(self, batch: int) -> int:
        """How many thread blocks share the cosets of a state: a power of two."""
        wanted = max(1, -(-_BUSY_BLOCKS // batch))
        return min(1 << (self.n_qubits - self.width), 1 << (wanted - 1).bit_length())


def choose_shape(n_qubits: int, planes: int, *, is_double: bool, shared_bytes: int) -> Shape:
    """Whole states where a thread block has room for ket and bra, else cosets as wide as is sensible.

    Raises
    ------
    CapabilityError: more qubits than the kernels can count amplitudes of.
    """
    if n_qubits > _MOST_QUBITS:
        raise CapabilityError(
            f"{n_qubits} qubits on a CUDA device",
            expected=f"at most {_MOST_QUBITS}",
            todo="use fewer qubits, or backend tensor:mps",
        )
    variant = Variant(is_double, planes, min(3, n_qubits))
    whole = Shape(variant, n_qubits, n_qubits)
    if whole.shared_bytes[2] <= shared_bytes:
        return whole
    for width in range(n_qubits - 1, variant.held, -1):
        shape = Shape(variant, n_qubits, width)
        states = shape.shared_bytes[2] - shape.shared_bytes[0]
        if states <= _COSET_BYTES and shape.shared_bytes[2] <= shared_bytes:
            return shape
    raise CapabilityError(
        f"thread blocks of this card have {shared_bytes} bytes of shared memory", expected="48 KiB or more"
    )
