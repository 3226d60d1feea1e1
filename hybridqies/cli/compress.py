"""`hybridqies compress`: a language model with fewer parameters, beside its controls."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import read_settings, say, say_json, show, steps
from hybridqies.compression.methods import METHODS
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import from_mapping

if TYPE_CHECKING:
    from hybridqies.compression.healing import Healing


def command(
    model: Annotated[str, typer.Argument(help="A causal language model, by folder or hub name.")],
    text: Annotated[
        Path, typer.Option(help="A text file: its first tokens calibrate, the next ones measure perplexity.")
    ],
    out: Annotated[Path, typer.Option(help="The new folder for the model and its report.")],
    layers: Annotated[
        str, typer.Option(help="Layers by the last part of their names or by patterns, separated by commas.")
    ],
    method: Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")] = "wsvd",
    keep: Annotated[float, typer.Option(help="The share of the parameters that the layers may keep.")] = 0.5,
    sites: Annotated[int, typer.Option(help="Number of sites of matrix-product operators.")] = 2,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also measure each layer and each type of layer alone.")
    ] = False,
    spare: Annotated[
        float,
        typer.Option(
            help="Leave the most sensitive layers as they are, up to this share of the parameters, "
            "and compress the others further. Profiles the layers first."
        ),
    ] = 0.0,
    windows: Annotated[int, typer.Option(help="Number of windows to calibrate, and to measure on.")] = 8,
    width: Annotated[int, typer.Option(help="Number of tokens in a window.")] = 256,
    export: Annotated[
        str, typer.Option(help="factorised: save the factors. dense: save as a plain transformers model.")
    ] = "factorised",
    seed: Annotated[int, typer.Option(help="Seed of the Gaussian control.")] = 0,
    heal: Annotated[
        Path | None, typer.Option(help="A text file to train the factors on afterwards.", metavar="TEXT")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of healing, such as heal.windows=100 or heal.learning_rate=0.001.",
        ),
    ] = None,
    json: flags.AsJson = False,
) -> None:
    """Compress the linear layers of a language model, and measure it beside every control.

    Example: `hybridqies compress ./model --keep 0.5 --layers k_proj,q_proj --text wiki.txt --out small`
    """
    from hybridqies.compression.workflow import CompressionConfig, shrink

    chosen = tuple(name.strip() for name in layers.split(","))
    healing = _read_healing(heal, set_ or [])
    config = CompressionConfig(
        model, method, keep, chosen, text, sites, windows, width, profile, spare, export, seed, healing
    )
    with steps(json) as shown:
        stage = ""

        def tell(name: str, done: int, total: int) -> None:
            nonlocal stage
            if name != stage:
                shown.begin(name, total)
                stage = name
            shown.update(done, total)

        report = shrink(config, out, tell)
    if json:
        say_json(report)
        return
    show(_table(report))
    for title, rows in (("layer", report["profile"]), ("type", report["profile_by_type"])):
        if rows:
            show(_profile_table(title, rows))
    if report["spared"]:
        say(f"spared: {', '.join(report['spared'])}")
    say(f"{out}: the model, its tokenizer and compression.json")


def _read_healing(text: Path | None, words: list[str]) -> Healing | None:
    from hybridqies.compression.healing import Healing

    settings = read_settings(words)
    known = {f"heal.{field.name}": field.name for field in fields(Healing) if field.name != "text"}
    for key in settings:
        if key not in known:
            raise UnknownNameError("option", key, known)
    if text is None:
        if settings:
            raise InputError(f"{next(iter(settings))} was set without --heal", expected="a text to heal on")
        return None
    named = {known[key]: value for key, value in settings.items()}
    return from_mapping(Healing, {"text": str(text), **named}, what="healing option")


def _table(report: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"on {report['tokens']} tokens; 95 % intervals over windows")
    for title in ("arm", "parameters", "layers", "MB", "perplexity", "ratio", "tokens/s"):
        table.add_column(title, justify="left" if title == "arm" else "right")
    for arm in report["arms"]:
        table.add_row(
            arm["arm"],
            f"{arm['parameters']:,}",
            f"{arm['layer_parameters']:,}",
            f"{arm['bytes'] / 1e6:.1f}",
            _interval(arm["perplexity"], 2),
            _interval(arm["ratio"], 3),
            f"{arm['tokens_per_second']:.0f}",
        )
    return table


def _profile_table(title: str, rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table()
    for heading in (title, "layers", "ratio of perplexity"):
        table.add_column(heading, justify="left" if heading == title else "right")
    for row in rows:
        table.add_row(row["name"], str(row["n_layers"]), _interval(row["ratio"], 3))
    return table


def _interval(found: dict[str, float], digits: int) -> str:
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
