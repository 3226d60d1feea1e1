"""`hybridqies zipf`: rank and frequency of board states in random play."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json, show


def command(
    game: Annotated[str, typer.Option(help="connect-four or toy-tree.")] = "connect-four",
    games: Annotated[int, typer.Option(help="Number of random games.")] = 300_000,
    first: Annotated[int, typer.Option(help="The first rank of the fit.")] = 100,
    last: Annotated[int, typer.Option(help="The last rank of the fit.")] = 10_000,
    weights: Annotated[
        str,
        typer.Option(help="Weight of a rank in the fit: equal, root (1/√rank) or rank (1/rank)."),
    ] = "rank",
    seed: Annotated[int, flags.seed_of("the games")] = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw frequency against rank into this file, such as zipf.png.")
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Play random games and fit how often states occur by their rank.

    Example: `hybridqies zipf --game connect-four --games 300000 --first 100 --last 10000`
    """
    from hybridqies.figures import check_picture, save
    from hybridqies.options import parse
    from hybridqies.ranks import Weights, measure_ranks
    from hybridqies.report.ranks import draw_ranks, zipf_table

    if picture is not None:
        check_picture(picture)
    chosen = parse(weights, Weights, "--weights")
    record = measure_ranks(game, games, first=first, last=last, weights=chosen, seed=seed)
    if picture is not None:
        save(draw_ranks(record), picture)
    if json:
        say_json(record)
        return
    show(zipf_table(record))
    if picture is not None:
        say(f"Saved {picture}.")
