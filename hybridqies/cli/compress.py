"""`hybridqies compress`: a language model with fewer parameters, beside its controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridqies.cli import flags
from hybridqies.cli.output import read_settings, say, say_json, show, steps
from hybridqies.compression.methods import METHODS, CircuitOptions, find_method
from hybridqies.errors import InputError, UnknownNameError
from hybridqies.options import from_mapping

if TYPE_CHECKING:
    from hybridqies.compression.healing import Healing
    from hybridqies.compression.workflow import CompressionConfig


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
    forward: Annotated[
        str | None,
        typer.Option(
            help="factorised: multiply by one factor after the other. rebuilt: contract them to the weight "
            "first. Default: the faster one for the method."
        ),
    ] = None,
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
            help="An option of healing or of the circuits of method disentangled, "
            "such as heal.windows=100 or circuits.depth=4.",
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="With method disentangled: also print how many circuits and shots the measured tokens would "
            "take on this backend. Nothing is sent."
        ),
    ] = None,
    rates: flags.RatesFile = None,
    json: flags.AsJson = False,
) -> None:
    """Compress the linear layers of a language model, and measure it beside every control.

    Example: `hybridqies compress ./model --keep 0.5 --layers k_proj,q_proj --text wiki.txt --out small`
    """
    from hybridqies.compression.layer import check_forward
    from hybridqies.compression.workflow import CompressionConfig, shrink

    chosen = tuple(name.strip() for name in layers.split(","))
    settings = _group(set_ or [])
    healing, circuits = _read_healing(heal, settings["heal"]), _read_circuits(method, settings["circuits"])
    config = CompressionConfig(
        model=model,
        method=method,
        keep=keep,
        layers=chosen,
        text=text,
        n_sites=sites,
        windows=windows,
        width=width,
        profile=profile,
        spare=spare,
        export=export,
        seed=seed,
        heal=healing,
        circuits=circuits,
        forward=None if forward is None else check_forward(forward),
    )
    plan = _planner(config, backend, rates)
    with steps(json) as shown:
        stage = ""

        def tell(name: str, done: int, total: int) -> None:
            nonlocal stage
            if name != stage:
                shown.begin(name, total)
                stage = name
            shown.update(done, total)

        report = shrink(config, out, tell)
    plans = plan(out, report["tokens"])
    if json:
        say_json({**report, "circuits": plans})
        return
    show(_table(report))
    for title, rows in (("layer", report["profile"]), ("type", report["profile_by_type"])):
        if rows:
            show(_profile_table(title, rows))
    if plans:
        from hybridqies.report import dry_run_table

        show(dry_run_table(plans))
    if report["spared"]:
        say(f"spared: {', '.join(report['spared'])}")
    say(f"{out}: the model, its tokenizer and compression.json")


def _group(words: list[str]) -> dict[str, dict[str, Any]]:
    """What was set, by group and name."""
    from hybridqies.compression.healing import Healing

    kinds = {"heal": Healing, "circuits": CircuitOptions}
    known = {
        f"{group}.{field.name}": (group, field.name)
        for group, kind in kinds.items()
        for field in fields(kind)
        if field.name != "text"
    }
    found: dict[str, dict[str, Any]] = {group: {} for group in kinds}
    for key, value in read_settings(words).items():
        if key not in known:
            raise UnknownNameError("option", key, known)
        group, name = known[key]
        found[group][name] = value
    return found


def _read_healing(text: Path | None, settings: dict[str, Any]) -> Healing | None:
    from hybridqies.compression.healing import Healing

    if text is not None:
        return from_mapping(Healing, {"text": str(text), **settings}, what="healing option")
    if settings:
        raise InputError(f"heal.{next(iter(settings))} was set without --heal", expected="a text to heal on")
    return None


def _read_circuits(method: str, settings: dict[str, Any]) -> CircuitOptions:
    if settings and not find_method(method).has_circuits:
        raise InputError(
            f"circuits.{next(iter(settings))} was set with method {method!r}, which has no circuits",
            expected="--method disentangled",
        )
    return from_mapping(CircuitOptions, settings, what="option of circuits")


def _planner(
    config: CompressionConfig, backend: str | None, rates: Path | None
) -> Callable[[Path, int], list[dict[str, Any]]]:
    """What plans the circuits of the written folder; what cannot be planned is refused before the work."""
    if backend is None:
        if rates is not None:
            raise InputError("--rates was given without --backend", expected="both, or neither")
        return lambda *_: []
    if not find_method(config.method).has_circuits or config.export == "dense":
        raise InputError(
            f"--backend {backend!r} was given, and nothing would have a circuit",
            expected="--method disentangled and --export factorised",
        )
    from hybridqies.backends import Rates, load_backend
    from hybridqies.compression import load_compressed
    from hybridqies.compression.circuits import check_plannable, plan_circuits

    target = load_backend(backend)
    check_plannable(target)
    prices = None if rates is None else Rates.read(rates)
    return lambda folder, n_tokens: [
        asdict(each) for each in plan_circuits(load_compressed(folder), target, n_tokens, prices)
    ]


def _table(report: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"on {report['tokens']} tokens; 95 % intervals over windows")
    for title in ("arm", "parameters", "layers", "MB", "perplexity", "ratio", "tokens/s"):
        table.add_column(title, justify="left" if title == "arm" else "right")
    for arm in report["arms"]:
        table.add_row(
            arm["arm"],
            f"{arm['parameters']:,.0f}",
            f"{arm['layer_parameters']:,.0f}",
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
