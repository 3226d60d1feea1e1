"""The kicked Ising model on a lattice over angles, steps and χ: a journal of points, and their summary."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from hybridqies.circuit import Lattice, load_circuit, load_lattice
from hybridqies.errors import InputError
from hybridqies.options import from_mapping, to_mapping
from hybridqies.records import digest_of, write_record
from hybridqies.study.conduct import check_new, check_writable
from hybridqies.study.trials.journal import ClaimJournal, JournalState

RESULT = "lattice.json"
DEVICES = {
    "eagle": "heavy-hex:127",
    "osprey": "heavy-hex:433",
    "condor": "heavy-hex:1121",
    "infinite": "heavy-hex:infinite",
}
"""The lattices of processors by their names."""
THRESHOLD = 1e-4
"""A point whose discarded weight or drift is larger has not converged."""
MAX_POINTS = 10_000
_POLL_SECONDS = 0.2

OnPoint = Callable[[str, int], None]
"""Called with the name of a point that begins and its number of rounds."""
OnRound = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LatticePlan:
    """Every angle with every number of steps and every χ; `site` is read by itself, None for a central one.

    Raises
    ------
    InputError: no such lattice or site, nothing to run, or numbers out of range.
    """

    lattice: str = DEVICES["eagle"]
    thetas: tuple[float, ...] = (0.6,)
    steps: tuple[int, ...] = (5,)
    chis: tuple[int, ...] = (8, 16, 32)
    site: int | None = None

    def __post_init__(self) -> None:
        lattice = load_lattice(self.lattice)
        if self.site is None:
            object.__setattr__(self, "site", lattice.central_site())
        if not 0 <= self.read_site < lattice.n_sites:
            raise InputError(
                f"site {self.site} of lattice {self.lattice!r} was asked for",
                expected=f"0 to {lattice.n_sites - 1}",
            )
        for name, bounds in (("thetas", (-1000.0, 1000.0)), ("steps", (1, 1000)), ("chis", (1, 4096))):
            _check_numbers(name, getattr(self, name), *bounds)
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        count = len(self.thetas) * len(self.steps) * len(self.chis)
        if count > MAX_POINTS:
            raise InputError(f"{count:,} points were asked for", expected=f"at most {MAX_POINTS:,}")

    @property
    def read_site(self) -> int:
        """The site that is read by itself."""
        assert self.site is not None
        return self.site

    def points(self) -> Iterator[tuple[float, int, int]]:
        """θ, steps and χ of each point, in order."""
        return product(self.thetas, self.steps, self.chis)


def _check_numbers(name: str, given: Sequence[float], low: float, high: float) -> None:
    if not given or not all(math.isfinite(each) and low <= each <= high for each in given):
        raise InputError(
            f"{name} of a scan were given as {', '.join(map(str, given)) or 'nothing'}",
            expected=f"numbers from {low:g} to {high:g}",
        )


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one θ, number of steps and χ: ⟨Z⟩ of every site, and what was discarded."""

    key: str
    theta: float
    steps: int
    chi: int
    values: tuple[float, ...]
    discarded: float
    largest: float
    bond: int
    seconds: float

    def to_mapping(self) -> dict[str, Any]:
        """As JSON values."""
        return to_mapping(self)


class PointJournal(ClaimJournal[Point]):
    """The points of a scan; several processes may fill one journal."""

    format: ClassVar[str] = "hybridqies-lattice-points"
    what: ClassVar[str] = "journal of points"
    file_name: ClassVar[str] = "points.jsonl"

    @staticmethod
    def _read_record(values: Mapping[str, Any]) -> Point:
        return from_mapping(Point, values, what="field of a point")

    def _check_about(self, about: Mapping[str, Any]) -> None:
        if not isinstance(about["plan"], dict):
            raise TypeError("the plan is no table")


def recorded_plan(folder: Path) -> LatticePlan:
    """The plan that a scan was begun with.

    Raises
    ------
    InputError: the folder holds no scan.
    """
    about = PointJournal(folder).state().about
    if about is None:
        raise InputError(f"{str(folder)!r} holds no scan", expected="the folder of a scan that was begun")
    return from_mapping(LatticePlan, about["plan"], what="field of a scan")


def run_scan(
    plan: LatticePlan,
    folder: Path,
    *,
    resume: bool = False,
    on_point: OnPoint | None = None,
    on_round: OnRound | None = None,
) -> dict[str, Any]:
    """Runs the points of a scan that `folder` lacks; returns what `lattice.json` then holds.

    Several processes may resume one scan at once: each point is run by one of them.

    Raises
    ------
    InputError: the folder is not empty, or with `resume` holds another scan.
    CapabilityError: a point needs more memory than is free; nothing is run then.
    """
    check_writable(folder)
    if not resume:
        check_new(folder)
    runner = _Runner(plan, on_point, on_round)
    runner.check()
    with PointJournal(folder) as journal:
        journal.begin({"plan": to_mapping(plan), "lattice_sha256": runner.lattice.digest()})
        while missing := [point for point in runner.points if not journal.state().has(runner.key(point))]:
            claimed = [point for point in missing if _run_claimed(runner, journal, point)]
            if not claimed:
                # Other processes have the rest; those of one that dies are free again.
                time.sleep(_POLL_SECONDS)
        result = summarise(plan, runner.lattice, journal.state())
    write_record(folder / RESULT, result)
    return result


def _run_claimed(runner: _Runner, journal: PointJournal, point: tuple[float, int, int]) -> bool:
    claimed = journal.claim(runner.key(point))
    if claimed:
        journal.settle(runner.run(point))
    return claimed


class _Runner:
    """Runs points of a plan."""

    def __init__(self, plan: LatticePlan, on_point: OnPoint | None, on_round: OnRound | None) -> None:
        self.plan, self.lattice = plan, load_lattice(plan.lattice)
        self.points = list(plan.points())
        self._on_point, self._on_round = on_point, on_round

    def key(self, point: tuple[float, int, int]) -> str:
        """24 hex digits of the lattice and the point."""
        return digest_of({"lattice": self.lattice.digest(), "point": list(point)})[:24]

    def check(self) -> None:
        """Refuses points that need more memory than is free, before any is run."""
        import torch

        from hybridqies.backends.memory import check_memory

        for steps in self.plan.steps:
            needed = self._program(self.plan.thetas[0], steps).bytes_needed(max(self.plan.chis))
            check_memory(
                torch.empty(1), self.lattice.n_sites, 3 * needed, todo="use a smaller chi or fewer steps"
            )

    def run(self, point: tuple[float, int, int]) -> Point:
        """One point, timed from its circuit to its values."""
        import torch

        theta, steps, chi = point
        start = time.perf_counter()
        program = self._program(theta, steps)
        if self._on_point is not None:
            self._on_point(f"θ {theta:g}, {steps} steps, χ {chi}", len(program.rounds))
        none = torch.zeros(1, 0)
        found = program.run(none, none, chi, on_round=self._on_round)
        return Point(
            self.key(point),
            theta,
            steps,
            chi,
            tuple(found.values[0].tolist()),
            float(found.discarded),
            float(found.largest),
            found.bond,
            time.perf_counter() - start,
        )

    def _program(self, theta: float, steps: int) -> Any:
        from hybridqies.tensornet import Program

        circuit = load_circuit(
            "kicked-ising", self.lattice.n_sites, lattice=self.plan.lattice, theta_h=theta, steps=steps
        )
        return Program.of(circuit, self.lattice.edges)


def summarise(plan: LatticePlan, lattice: Lattice, state: JournalState[Point]) -> dict[str, Any]:
    """The points in order, each with its mean, the site that is read, and its drift from the χ before.

    `drift` is the largest difference of any site; None at the smallest χ. A point has converged where neither
    its discarded weight nor its drift is larger than the threshold, or where nothing was discarded.
    """
    at = {point: number for number, point in enumerate(plan.points())}
    found = sorted(state.records.values(), key=lambda each: at[each.theta, each.steps, each.chi])
    rows: list[dict[str, Any]] = []
    before: Point | None = None
    for each in found:
        same = before is not None and (before.theta, before.steps) == (each.theta, each.steps)
        drift = None
        if same and before is not None:
            drift = max(abs(one - other) for one, other in zip(each.values, before.values, strict=True))
        before = each
        rows.append(
            {
                **each.to_mapping(),
                "mean": sum(each.values) / len(each.values),
                "site": each.values[plan.read_site],
                "drift": drift,
                "converged": each.discarded == 0 or max(each.discarded, drift or 0.0) <= THRESHOLD,
            }
        )
    return {
        "plan": to_mapping(plan),
        "n_sites": lattice.n_sites,
        "n_edges": len(lattice.edges),
        "threshold": THRESHOLD,
        "rows": rows,
    }
