"""The light cone of each observable: the steps that it depends on, on as few qubits as they move.

A plan prunes steps that no observable depends on. Here each observable is pruned for by itself. What is left
starts at |0…0⟩ and moves amplitudes by its flips alone, so that they never leave the span of these flips:
its dimension is the number of qubits that the cone needs. Gates that commute with the observable, diagonal
ones among them, are in no cone, and CNOTs are labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hybridqies.circuit import Circuit, Feature, Start, Weight
from hybridqies.engine.fusion import Sight, find_needed, odd
from hybridqies.engine.lowering import Fixed, Step, Turn, lower
from hybridqies.engine.plan import Part, Read, read_masks
from hybridqies.errors import CapabilityError

# About ten seconds.
MOST_CHECKS = 10**8
# A step that is needed has each of its masks and its flip checked against both spans, and taken into them.
_CHECKS_A_VECTOR = 4

# Each position of a plan's inputs in those of the circuit.
Places = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Cone:
    """A part of a circuit that starts at |0…0⟩, and the observables that it gives.

    Observable ``members[i]`` of the circuit is number i of the part, and the first of them needs all of it;
    features and weights are numbered likewise.
    """

    part: Part
    members: Places
    features: Places
    weights: Places

    @property
    def n_qubits(self) -> int:
        """How many qubits it needs."""
        return self.part.n_qubits

    def shape(self) -> Any:
        """Equal for cones that differ only in which features and weights their angles take."""
        return (
            self.part.n_qubits,
            tuple(_shape_of(step) for step in self.part.steps),
            self.part.read,
            len(self.features),
            len(self.weights),
        )


def find_cones(circuit: Circuit, most_checks: int = MOST_CHECKS) -> tuple[Cone, ...]:
    """The light cones of a circuit's observables; one that lies within another is part of that.

    A circuit that starts from amplitudes has none: any qubit of its start may matter.

    Raises
    ------
    ValueError: the circuit starts from amplitudes.
    CapabilityError: more than `most_checks` checks of a step against a vector would be made.
    """
    if circuit.start is not Start.ZERO:
        raise ValueError("a circuit that starts from amplitudes has no light cones")
    steps, basis_map = lower(circuit)
    sights = [Sight.of(step) for step in steps]
    read = [read_masks(observable, basis_map) for observable in circuit.observables]
    needed, checks = [], 0
    for each in read:
        needed.append(find_needed(sights, [(each.flip, each.mask)]))
        checks += len(sights) + _CHECKS_A_VECTOR * len(needed[-1].steps) * needed[-1].rank
        if checks > most_checks:
            raise CapabilityError(
                f"the light cones of circuit {circuit.name!r} on {circuit.n_qubits} qubits take more than "
                f"{most_checks:,} checks to find",
                todo="use fewer gates or read fewer observables",
            )
    return tuple(
        _cut([steps[at] for at in numbers], [read[m] for m in members], members)
        for numbers, members in _share([each.steps for each in needed])
    )


def _share(needed: Sequence[Sequence[int]]) -> list[tuple[Sequence[int], Places]]:
    """Sets of steps and the observables that each gives: those that need these steps or some of them."""
    largest_first = sorted(range(len(needed)), key=lambda m: -len(needed[m]))
    found: dict[frozenset[int], list[int]] = {}
    # A set that holds another holds its last step, too.
    holders: dict[int | None, list[frozenset[int]]] = {}
    for m in largest_first:
        own = frozenset(needed[m])
        last = needed[m][-1] if needed[m] else None
        holder = next((each for each in holders.get(last, ()) if own <= each), own)
        if holder not in found:
            found[holder] = []
            for at in holder or (None,):
                holders.setdefault(at, []).append(holder)
        found[holder].append(m)
    return [(sorted(steps), tuple(members)) for steps, members in found.items()]


def _cut(steps: Sequence[Step], read: Sequence[Read], members: Places) -> Cone:
    """The cone of these steps, in coordinates of the span that their flips make."""
    room = _Room(step.flip for step in steps if not step.is_diagonal)
    for each in read:
        room.add(each.flip)
    for step in steps:
        if not room.takes(step):
            room.add(step.flip)
    placed = [each for each in map(room.place, steps) if each is not None]
    features, weights = _Numbers(), _Numbers()
    named = [_rename(step, features, weights) for step in placed]
    part = Part(
        n_qubits=max(1, len(room)),
        steps=tuple(named),
        read=tuple(each._replace(flip=room.locate(each.flip), mask=room.see(each.mask)) for each in read),
        n_features=len(features),
        start=Start.ZERO,
    )
    return Cone(part, members, features.places, weights.places)


class _Room:
    """A subspace of bit vectors over GF(2) with its vectors, in the order they came in, as coordinates.

    The first of them is the highest bit.
    """

    def __init__(self, vectors: Iterable[int]) -> None:
        self._vectors: list[int] = []
        # Reduced vectors by their top bits, with the sums of `_vectors` that they are.
        self._reduced: dict[int, tuple[int, int]] = {}
        for vector in vectors:
            self.add(vector)

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, vector: int) -> None:
        """Widens the space by `vector`."""
        left, own = self._reduce(vector)
        if left:
            self._reduced[left.bit_length()] = (left, own ^ 1 << len(self))
            self._vectors.append(vector)

    def _reduce(self, vector: int) -> tuple[int, int]:
        """What is left of `vector` outside the space, and bit i for each vector i that was taken off."""
        taken, top = 0, vector.bit_length()
        while top and (found := self._reduced.get(top)):
            vector, taken = vector ^ found[0], taken ^ found[1]
            top = vector.bit_length()
        return vector, taken

    def locate(self, flip: int) -> int:
        """The coordinates of a vector of the space."""
        _, taken = self._reduce(flip)
        return sum(1 << (len(self) - 1 - i) for i in range(len(self)) if taken >> i & 1)

    def see(self, mask: int) -> int:
        """The mask that has the same parities on coordinates as `mask` has on the space."""
        return sum(odd(mask & each) << (len(self) - 1 - i) for i, each in enumerate(self._vectors))

    def takes(self, step: Step) -> bool:
        """Whether `place` can write the step; the space has to be wider where it cannot."""
        mask, control = self.see(step.mask), self._control(step)
        if control is None or control[0] == 0 or not step.is_diagonal:
            return True
        # Where its own qubit is 0 throughout, a diagonal step turns its control, unless its first entry is 1.
        return mask != control[0] and (bool(mask) or _keeps_zero(step))

    def place(self, step: Step) -> Step | None:
        """The step in coordinates; None where it multiplies the whole state by a phase at most."""
        mask, control = self.see(step.mask), self._control(step)
        if control is not None and control[0] == 0:
            if control[1]:
                return None
            control = None
        if not step.is_diagonal:
            return Step(self.locate(step.flip), mask, control, step.factors)
        if mask == 0:
            return None
        flip = _pair(mask, 0 if control is None else control[0])
        return Step(
            flip if self._reduce(step.flip)[0] else self.locate(step.flip), mask, control, step.factors
        )

    def _control(self, step: Step) -> tuple[int, int] | None:
        return None if step.control is None else (self.see(step.control[0]), step.control[1])


def _pair(mask: int, control: int) -> int:
    """A flip that changes the parity of a mask and not that of another control, for a diagonal step."""
    alone = mask & ~control
    if alone:
        return alone & -alone
    other = control & ~mask
    return (mask & -mask) | (other & -other)


def _keeps_zero(step: Step) -> bool:
    """Whether a diagonal step leaves the first amplitude of a pair as it is."""
    return all(isinstance(each, Fixed) and each.matrix[0, 0] == 1 for each in step.factors)


class _Numbers:
    """New numbers for indices, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._found: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._found)

    def __call__(self, index: int) -> int:
        return self._found.setdefault(index, len(self))

    @property
    def places(self) -> Places:
        """The indices by their new numbers."""
        return tuple(self._found)


def _rename(step: Step, features: _Numbers, weights: _Numbers) -> Step:
    factors: list[Turn | Fixed] = []
    for each in step.factors:
        match each:
            case Turn(angle=Feature(indices) as angle):
                factors.append(replace(each, angle=replace(angle, indices=tuple(map(features, indices)))))
            case Turn(angle=Weight(index) as angle):
                factors.append(replace(each, angle=replace(angle, index=weights(index))))
            case _:
                factors.append(each)
    return replace(step, factors=tuple(factors))


def _shape_of(step: Step) -> Any:
    factors = tuple(each.matrix.tobytes() if isinstance(each, Fixed) else each for each in step.factors)
    return step.flip, step.mask, step.control, factors
