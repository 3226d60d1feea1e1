"""`hybridqies selfplay`: networks that learn Connect Four from their own games."""

# The flags of train are read from the context, where --resume can tell which of them were given.
# ruff: noqa: ARG001

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import InterruptionError, say, say_json, show, steps

if TYPE_CHECKING:
    from hybridqies.selfplay import SelfPlayPlan

_FREE_WITH_RESUME = {"out", "resume", "json"}

_Folder = Annotated[Path, typer.Argument(help="The folder of `selfplay train`.")]
_Seed = Annotated[int, flags.seed_of("the games")]


def train(
    context: typer.Context,
    widths: Annotated[str, typer.Option(help="Widths of the networks, separated by commas.")] = "16,64,256",
    rounds: Annotated[int, typer.Option(help="Rounds of playing and training.")] = 40,
    games: Annotated[int, typer.Option(help="Games of a round.")] = 500,
    simulations: Annotated[int, typer.Option(help="Simulations of the search before a move.")] = 32,
    sampled_moves: Annotated[
        int,
        typer.Option(help="Moves of a game that are drawn by the shares of visits; later ones are the best."),
    ] = 42,
    window: Annotated[int, typer.Option(help="A round trains on the games of so many last rounds.")] = 5,
    epochs: Annotated[int, typer.Option(help="Epochs of a round.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Positions of a step.")] = 256,
    learning_rate: Annotated[float, typer.Option("--lr", help="AdamW's learning rate.")] = 0.002,
    seed: Annotated[int, typer.Option(help="Seed of the networks and the games.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder of the run.")] = Path("runs/selfplay"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    json: flags.AsJson = False,
) -> None:
    """Train networks of several sizes on Connect Four, each on games against itself.

    Example: `hybridqies selfplay train --widths 16,64,256 --rounds 40 --out runs/selfplay`
    """
    from hybridqies.ownership import FolderLock
    from hybridqies.report.selfplay import rounds_table
    from hybridqies.selfplay import read_plan, read_rounds, train_by_selfplay

    if resume:
        flags.check_resumed_alone(context, _FREE_WITH_RESUME)
        plan = read_plan(out)
    else:
        plan = _plan(dict(context.params))

    def tell(width: int, record: dict[str, float]) -> None:
        done = plan.widths.index(width) * plan.rounds + int(record["round"])
        shown.update(done, total, f"width {width}  value loss {record['value_loss']:.3f}")

    total = len(plan.widths) * plan.rounds
    try:
        with steps(json) as shown, FolderLock(out):
            shown.begin("rounds", total)
            train_by_selfplay(plan, out, resume=resume, on_round=tell)
    except KeyboardInterrupt:
        again = f"hybridqies selfplay train --resume --out {shlex.quote(str(out))}"
        started = (out / "selfplay.json").is_file()
        raise InterruptionError(
            f"interrupted; continue with: {again}" if started else "interrupted"
        ) from None
    record = {str(width): read_rounds(out, width) for width in plan.widths}
    if json:
        say_json(record)
        return
    show(rounds_table(record))
    say(f"Saved in {out}/: selfplay.json, and a folder for each width with a file for each round.")


def tournament(
    folder: _Folder,
    rounds: Annotated[
        str, typer.Option(help="Rounds after which networks take part, such as 0,20,40, or last.")
    ] = "last",
    openings: Annotated[int, typer.Option(help="Openings that every two players play twice.")] = 100,
    seed: _Seed = 0,
    json: flags.AsJson = False,
) -> None:
    """Rate the networks of a run by a round robin with a random player and with the search alone.

    Example: `hybridqies selfplay tournament runs/selfplay --rounds 0,20,40`
    """
    from hybridqies.files import write_json
    from hybridqies.options import parse
    from hybridqies.report.selfplay import points_table, ratings_table
    from hybridqies.selfplay import hold_tournament

    chosen = () if rounds == "last" else parse(rounds, tuple[int, ...], "--rounds")
    with steps(json) as shown:
        shown.begin("matches", 1)
        record = hold_tournament(folder, rounds=chosen, n_openings=openings, seed=seed, on_match=shown.update)
    write_json(folder / "tournament.json", record)
    if json:
        say_json(record)
        return
    show(ratings_table(record), points_table(record))
    say(f"Saved {folder / 'tournament.json'}.")


def ranks(
    folder: _Folder,
    games: Annotated[
        int, typer.Option(help="New games of each network, on which losses are measured.")
    ] = 3000,
    first: Annotated[int, typer.Option(help="The first rank of the fit.")] = 100,
    last: Annotated[int, typer.Option(help="The last rank of the fit.")] = 10_000,
    late: Annotated[int, typer.Option(help="A state is late after so many moves.")] = 20,
    frequent: Annotated[int, typer.Option(help="A state is frequent up to this rank.")] = 1000,
    seed: _Seed = 0,
    json: flags.AsJson = False,
) -> None:
    """Fit how often states occur by their rank, and measure value losses by rank and by size.

    Example: `hybridqies selfplay ranks runs/selfplay --games 3000`
    """
    from hybridqies.figures import save
    from hybridqies.files import write_json
    from hybridqies.report.selfplay import changes_table, draw_losses, losses_table
    from hybridqies.selfplay import measure_value_ranks

    with steps(json) as shown:
        record = measure_value_ranks(
            folder,
            n_games=games,
            first=first,
            last=last,
            late=late,
            frequent=frequent,
            seed=seed,
            on_stage=shown.begin,
            on_step=shown.update,
        )
    # The figures before the picture of them.
    write_json(folder / "ranks.json", record)
    save(draw_losses(record), folder / "ranks.png")
    if json:
        say_json(record)
        return
    show(losses_table(record), changes_table(record))
    say(f"Saved in {folder}/: ranks.json, ranks.png.")


def group() -> typer.Typer:
    """The commands of `selfplay`."""
    app = typer.Typer(
        help="Learning Connect Four by self-play.", no_args_is_help=True, rich_markup_mode="markdown"
    )
    app.command("train")(train)
    app.command("tournament")(tournament)
    app.command("ranks")(ranks)
    return app


def _plan(given: dict[str, Any]) -> SelfPlayPlan:
    from hybridqies.options import parse
    from hybridqies.selfplay import SearchConfig, SelfPlayPlan

    return SelfPlayPlan(
        parse(given["widths"], tuple[int, ...], "--widths"),
        given["rounds"],
        given["games"],
        SearchConfig(given["simulations"]),
        given["sampled_moves"],
        given["window"],
        given["epochs"],
        given["batch_size"],
        given["learning_rate"],
        given["seed"],
    )
