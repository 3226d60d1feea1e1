"""Edges in rounds: those of one round have no site in common."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[int, int]


def split_into_rounds(n_sites: int, edges: Sequence[Pair]) -> tuple[tuple[Pair, ...], ...]:
    """The edges in rounds, as many as the largest number of edges at a site where the graph is bipartite.

    Other graphs may need more. Each edge takes a round that is free at its first site; where that round is
    taken at the second, the path that alternates between two rounds is flipped (König 1916).
    """
    # By site, the neighbour in each round.
    taken: list[dict[int, int]] = [{} for _ in range(n_sites)]
    for first, second in edges:
        own, other = _smallest_free(taken[first]), _smallest_free(taken[second])
        if own in taken[second]:
            path = _alternating_path(taken, second, own, other)
            if path[-1] == first:
                # A cycle of odd length: only a round that is free at both will do.
                own = _smallest_free(taken[first] | taken[second])
            else:
                _flip(taken, path, own, other)
        taken[first][own], taken[second][own] = second, first
    rounds: dict[int, list[Pair]] = {}
    for site, neighbours in enumerate(taken):
        for number, neighbour in neighbours.items():
            if site < neighbour:
                rounds.setdefault(number, []).append((site, neighbour))
    return tuple(tuple(sorted(rounds[number])) for number in sorted(rounds))


def _smallest_free(neighbours: dict[int, int]) -> int:
    return next(number for number in range(len(neighbours) + 1) if number not in neighbours)


def _alternating_path(taken: list[dict[int, int]], start: int, first: int, second: int) -> list[int]:
    """The sites from `start` along edges of round `first`, `second`, `first` and so on."""
    path, number = [start], first
    while number in taken[path[-1]]:
        path.append(taken[path[-1]][number])
        number = second if number == first else first
    return path


def _flip(taken: list[dict[int, int]], path: list[int], first: int, second: int) -> None:
    """Exchanges two rounds along a path."""
    for site in path:
        kept = {number: taken[site].pop(number) for number in (first, second) if number in taken[site]}
        taken[site] |= {second if number == first else first: beside for number, beside in kept.items()}
