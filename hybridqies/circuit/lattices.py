"""Lattices: named graphs whose edges a recipe lays gates on."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hybridqies.circuit.colouring import split_into_rounds
from hybridqies.errors import CircuitError, UnknownNameError
from hybridqies.records import read_bytes

Pair = tuple[int, int]
Place = tuple[float, float]

MAX_SITES = 2000
MAX_EDGES = 20_000
MAX_BYTES = 1_000_000
"""The largest file of edges."""

# Rows and their length of IBM's heavy-hex processors, by their number of sites.
_HEAVY_HEX = {"127": (7, 15), "433": (13, 27), "1121": (21, 43)}
INFINITE = "infinite"


@dataclass(frozen=True, slots=True)
class Lattice:
    """Sites 0 to n_sites - 1 and the edges between them.

    `rounds` are the edges; those of one round have no site in common, so their gates can be applied at once.
    `places` are the coordinates of the sites in a picture. An `infinite` lattice is the cell that repeats.
    """

    name: str
    n_sites: int
    rounds: tuple[tuple[Pair, ...], ...]
    places: tuple[Place, ...]
    infinite: bool = False

    @property
    def edges(self) -> tuple[Pair, ...]:
        """All edges, round by round; the smaller site comes first."""
        return tuple(edge for each in self.rounds for edge in each)

    def central_site(self) -> int:
        """Of the sites with the most neighbours the one nearest to the middle, the first of equals."""
        degrees = [0] * self.n_sites
        for edge in self.edges:
            for site in edge:
                degrees[site] += 1
        middle = [(min(along) + max(along)) / 2 for along in zip(*self.places, strict=True)]
        inner = [site for site in range(self.n_sites) if degrees[site] == max(degrees)]
        return min(inner, key=lambda site: round(math.dist(self.places[site], middle), 9))

    def digest(self) -> str:
        """SHA-256 over its sites and edges; the name is not part of it."""
        return hashlib.sha256(repr((self.n_sites, self.rounds, self.infinite)).encode()).hexdigest()


def load_lattice(name: str) -> Lattice:
    """The lattice of that name, such as heavy-hex:127, square:3x4, chain:8 or ring:8, or a file of edges.

    A file has one edge a line: two numbers of sites, counted from 0. What follows a # is a comment.
    A name with a slash, or that ends in .edges, is that of a file.
    Heavy-hex lattices are numbered as IBM numbers its processors (Eagle, Osprey, Condor);
    `heavy-hex:infinite` is the cell of five sites of the infinite one.

    Raises
    ------
    UnknownNameError: no such lattice or size; the nearest is offered.
    CircuitError: a size that cannot be read or is out of range, or a file that holds no edges.
    """
    return _load(name, _stamp(Path(name)) if is_file_of_edges(name) else None)


# A recipe may ask for its lattice thousands of times.
@lru_cache(maxsize=8)
def _load(name: str, stamp: tuple[int, int] | None) -> Lattice:
    if stamp is not None:
        return _read_edges(Path(name))
    kind, _, size = name.partition(":")
    if kind not in LATTICES:
        raise UnknownNameError(
            "lattice",
            kind,
            LATTICES,
            todo="or give the path of a file of edges",
        )
    return LATTICES[kind](name, size)


def _stamp(path: Path) -> tuple[int, int]:
    """What changes with a file's content: when it was written, and its size."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return status.st_mtime_ns, status.st_size


def is_file_of_edges(name: str) -> bool:
    """Whether the name of a lattice is that of a file."""
    return "/" in name or name.endswith(".edges")


def is_lattice(name: str) -> bool:
    """Whether a word names a lattice with its size, rather than a pattern for any number of qubits."""
    return ":" in name or is_file_of_edges(name) or name in SIZES.keys() - {"chain", "ring"}


def _heavy_hex(name: str, size: str) -> Lattice:
    if size == INFINITE:
        return _infinite_heavy_hex(name)
    if size not in _HEAVY_HEX:
        raise UnknownNameError("size of lattice 'heavy-hex':", size, [*_HEAVY_HEX, INFINITE])
    rows, length = _HEAVY_HEX[size]
    at: dict[Pair, int] = {}
    for row in range(rows):
        # The first row lacks its last site, the last row its first.
        columns = range(row == rows - 1, length - (row == 0))
        at |= {(2 * row, column): len(at) + number for number, column in enumerate(columns)}
        if row < rows - 1:
            connectors = range(2 * (row % 2), length, 4)
            at |= {(2 * row + 1, column): len(at) + number for number, column in enumerate(connectors)}
    along = [(site, at[row, column + 1]) for (row, column), site in at.items() if (row, column + 1) in at]
    across = [(site, at[row + 1, column]) for (row, column), site in at.items() if (row + 1, column) in at]
    # Sites of a row are neighbours; connectors stand four columns apart.
    return _lattice(name, len(at), along + across, [(column, -row) for row, column in at])


def _infinite_heavy_hex(name: str) -> Lattice:
    """Two sites with three neighbours, and the three sites between them."""
    edges = [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)]
    places = [(0.0, 0.0), (2.0, 0.0), (1.0, 1.0), (1.0, 0.0), (1.0, -1.0)]
    return _lattice(name, 5, edges, places, infinite=True)


def _square(name: str, size: str) -> Lattice:
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", size)
    rows, columns = (int(found[1]), int(found[2])) if found else (0, 0)
    _check_size(name, rows * columns, SIZES["square"])
    at = {(row, column): row * columns + column for row in range(rows) for column in range(columns)}
    edges = [
        (site, at[beside])
        for (row, column), site in at.items()
        for beside in ((row, column + 1), (row + 1, column))
        if beside in at
    ]
    return _lattice(name, len(at), edges, [(column, -row) for row, column in at])


def _chain(name: str, size: str) -> Lattice:
    n_sites = _length(name, size)
    edges = [(site, site + 1) for site in range(n_sites - 1)]
    return _lattice(name, n_sites, edges, [(site, 0.0) for site in range(n_sites)])


def _ring(name: str, size: str) -> Lattice:
    n_sites = _length(name, size)
    if n_sites < 3:
        raise CircuitError(f"lattice {name!r} was asked for", expected="a ring of 3 sites or more")
    edges = [(site, (site + 1) % n_sites) for site in range(n_sites)]
    return _lattice(name, n_sites, edges, _circle(n_sites))


LATTICES: dict[str, Callable[[str, str], Lattice]] = {
    "heavy-hex": _heavy_hex,
    "square": _square,
    "chain": _chain,
    "ring": _ring,
}
SIZES = {"heavy-hex": "|".join([*_HEAVY_HEX, INFINITE]), "square": "RxC", "chain": "N", "ring": "N"}
"""How the size of each lattice is written."""


def _length(name: str, size: str) -> int:
    n_sites = int(size) if size.isascii() and size.isdigit() and len(size) < 9 else 0
    _check_size(name, n_sites, "N")
    return n_sites


def _check_size(name: str, n_sites: int, form: str) -> None:
    if not 1 <= n_sites <= MAX_SITES:
        kind = name.partition(":")[0]
        raise CircuitError(
            f"lattice {name!r} was asked for", expected=f"{kind}:{form} with 1 to {MAX_SITES:,} sites"
        )


def _read_edges(path: Path) -> Lattice:
    edges: dict[Pair, None] = {}
    for number, line in enumerate(_lines(path), 1):
        words = re.split(r"[\s,;]+", line.partition("#")[0].strip())
        if words == [""]:
            continue
        if len(words) != 2 or not all(re.fullmatch(r"[0-9]{1,6}", word) for word in words):
            raise CircuitError(f"line {number} of {str(path)!r} is no edge", expected="two whole numbers")
        first, second = sorted(map(int, words))
        if first == second or (first, second) in edges:
            raise CircuitError(
                f"line {number} of {str(path)!r} is the edge {first} {second}",
                expected="two different sites, and each edge once",
            )
        edges[first, second] = None
    if not edges:
        raise CircuitError(f"{str(path)!r} holds no edges", expected="two numbers of sites on each line")
    n_sites = 1 + max(second for _, second in edges)
    if n_sites > MAX_SITES or len(edges) > MAX_EDGES:
        raise CircuitError(
            f"{str(path)!r} has {n_sites:,} sites and {len(edges):,} edges",
            expected=f"at most {MAX_SITES:,} and {MAX_EDGES:,}",
        )
    return _lattice(str(path), n_sites, list(edges), _circle(n_sites))


def _lines(path: Path) -> list[str]:
    try:
        content = read_bytes(path)
        if len(content) > MAX_BYTES:
            raise CircuitError(
                f"the file of edges {str(path)!r} has {len(content):,} bytes",
                expected=f"at most {MAX_BYTES:,}",
            )
        return content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> CircuitError:
    return CircuitError(f"the file of edges {str(path)!r} cannot be read: {error}")


def _lattice(
    name: str, n_sites: int, edges: Sequence[Pair], places: Iterable[Place], *, infinite: bool = False
) -> Lattice:
    ordered = sorted((min(edge), max(edge)) for edge in edges)
    at = tuple((float(x), float(y)) for x, y in places)
    return Lattice(name, n_sites, split_into_rounds(n_sites, ordered), at, infinite)


def _circle(n_sites: int) -> list[Place]:
    turns = [2 * math.pi * site / n_sites for site in range(n_sites)]
    return [(math.sin(turn), math.cos(turn)) for turn in turns]
