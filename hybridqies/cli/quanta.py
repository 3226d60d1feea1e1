"""`hybridqies quanta`: skills of a model, found in gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import say, say_json, show, steps


def check(
    seeds: Annotated[int, typer.Option(help="Networks to train, one for each seed.", min=1)] = 3,
    json: flags.AsJson = False,
) -> None:
    """Look for known quanta: parities that a small network has learnt, beside two controls.

    Example: `hybridqies quanta check --seeds 10`
    """
    from hybridqies.quanta import KnownQuanta, check_discovery
    from hybridqies.report.quanta import checks_table

    records = []
    with steps(json) as shown:
        shown.begin("networks", seeds)
        for seed in range(seeds):
            records.append(check_discovery(KnownQuanta(), seed=seed))
            shown.update(seed + 1, seeds)
    if json:
        say_json(records)
        return
    show(checks_table(records))


def discover(
    model: Annotated[
        str,
        typer.Argument(
            help="The folder of `lm train` or of a saved language model, or a causal language model of "
            "transformers, by folder or name."
        ),
    ],
    text: Annotated[
        str | None,
        typer.Option(
            help="A UTF-8 file. Default: the test part of the text of the run, for models of `lm train`."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(help="Number of tokens.")] = 500,
    clusters: Annotated[int, typer.Option(help="Number of clusters.")] = 20,
    below: Annotated[
        float, typer.Option(help="Take tokens that are predicted with a loss below, in nats.")
    ] = 0.5,
    similarity: Annotated[
        str, typer.Option(help="absolute: |cos| of two gradients. angular: 1 − arccos(cos) / π.")
    ] = "absolute",
    window: Annotated[
        int | None,
        typer.Option(
            help="Tokens that the model sees at once. Default: its context; at most 128 for models of "
            "transformers."
        ),
    ] = None,
    block: Annotated[
        int, typer.Option(help="Gradients held at once, twice; fewer need less memory and more time.")
    ] = 250,
    shown: Annotated[int, typer.Option(help="Tokens of a cluster in the table.", min=1)] = 5,
    seed: Annotated[int, flags.seed_of("the tokens and the clusters")] = 0,
    device: flags.Device = "cpu",
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder of quanta.json. Default: MODEL/quanta, or runs/quanta/NAME for models of "
            "transformers."
        ),
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Group tokens of a text by the gradients of a language model.

    Example: `hybridqies quanta discover runs/entangled --samples 500 --clusters 20`

    A model of transformers: `hybridqies quanta discover EleutherAI/pythia-14m --text book.txt --block 50`
    """
    from hybridqies.options import parse
    from hybridqies.quanta import Similarity
    from hybridqies.report.quanta import clusters_table
    from hybridqies.runs.language_quanta import QUANTA, discover_quanta, is_own_model

    chosen = parse(similarity, Similarity, "--similarity")
    own = Path(model) / "quanta" if is_own_model(model) else Path("runs/quanta") / Path(model).name
    target = own if out is None else out
    with steps(json) as progress:
        progress.begin("gradients", 1)
        record = discover_quanta(
            model,
            target,
            text=text,
            n_samples=samples,
            n_clusters=clusters,
            below=below,
            similarity=chosen,
            window=window,
            block=block,
            seed=seed,
            device=device,
            on_sample=progress.update,
        )
    if json:
        say_json(record)
        return
    show(clusters_table(record, shown))
    say(f"Saved {target / QUANTA}.")


def group() -> typer.Typer:
    """The commands of `quanta`."""
    app = typer.Typer(
        help="Skills of a model, found in gradients.", no_args_is_help=True, rich_markup_mode="markdown"
    )
    app.command("check")(check)
    app.command("discover")(discover)
    return app
