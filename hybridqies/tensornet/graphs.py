"""What contractions ask of a graph: paths that join sites, and which edges to cut so that trees remain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[int, int]
Parents = dict[int, int | None]


def join(neighbours: Sequence[Sequence[int]], root: int, sites: Iterable[int]) -> Parents:
    """The paths from those of the sites that can be reached to the root, as parents; leaves come last."""
    parents: Parents = {root: None}
    waiting, wanted = deque([root]), set(sites) - {root}
    while waiting and not wanted <= parents.keys():
        site = waiting.popleft()
        for other in neighbours[site]:
            if other not in parents:
                parents[other] = site
                waiting.append(other)
    kept: set[int] = {root}
    for site in wanted & parents.keys():
        at: int | None = site
        while at is not None and at not in kept:
            kept.add(at)
            at = parents[at]
    return {site: parent for site, parent in parents.items() if site in kept}


def split_into_parts(neighbours: Sequence[Sequence[int]]) -> list[int]:
    """For each site the number of its connected part."""
    parts: dict[int, int] = {}
    for root in range(len(neighbours)):
        waiting = [] if root in parts else [root]
        while waiting:
            site = waiting.pop()
            if site not in parts:
                parts[site] = root
                waiting.extend(neighbours[site])
    return [parts[site] for site in range(len(neighbours))]


def cut_loops(n_sites: int, weights: Mapping[Pair, int]) -> tuple[Pair, ...]:
    """Edges of small weight without which the graph has no loop (Kruskal's algorithm, the heaviest first)."""
    parts = list(range(n_sites))

    def find(site: int) -> int:
        while parts[site] != site:
            parts[site] = parts[parts[site]]
            site = parts[site]
        return site

    cut: list[Pair] = []
    for pair in sorted(weights, key=lambda pair: (-weights[pair], pair)):
        first, second = (find(site) for site in pair)
        if first == second:
            cut.append(pair)
        parts[first] = second
    return tuple(cut)
