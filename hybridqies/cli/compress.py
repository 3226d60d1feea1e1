"""`hybridqies compress`: a language model or an encoder with fewer parameters, beside its controls."""

# The flags that decide which of the two it is are read from the context.
# ruff: noqa: ARG001

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
    from hybridqies.compression.encoders import EncoderConfig
    from hybridqies.compression.healing import EncoderHealing, Healing
    from hybridqies.compression.workflow import CompressionConfig

_ONLY_WITH_TEXT = ("windows", "width", "backend", "rates")
_ONLY_WITH_DATA = ("text_column", "label_column", "per_class")


_Model = Annotated[
    str, typer.Argument(help="A causal language model or a sentence encoder, by folder or name.")
]
_Out = Annotated[Path, typer.Option(help="The new folder for the model and its report.")]
_Layers = Annotated[
    str, typer.Option(help="Layers by the last part of their names or by patterns, separated by commas.")
]
_Text = Annotated[
    Path | None,
    typer.Option(
        help="For language models: a text file whose first tokens calibrate, and the next ones measure."
    ),
]
_Data = Annotated[
    str | None,
    typer.Option(help="For encoders: labelled texts, on which a logistic head is trained and measured."),
]
_Method = Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")]
_Keep = Annotated[float, typer.Option(help="The share of the parameters that the layers may keep.")]
_Sites = Annotated[int, typer.Option(help="Number of sites of matrix-product operators.")]
_Profile = Annotated[
    bool, typer.Option("--profile", help="Also measure each layer and each type of layer alone.")
]
_Spare = Annotated[
    float,
    typer.Option(
        help="Leave the most sensitive layers as they are, up to this share of the parameters, "
        "and compress the others further. Profiles the layers first."
    ),
]
_Windows = Annotated[int, typer.Option(help="Number of windows to calibrate, and to measure on.")]
_Width = Annotated[int, typer.Option(help="Number of tokens in a window.")]
_Forward = Annotated[
    str | None,
    typer.Option(
        help="factorised: multiply by one factor after the other. rebuilt: contract them to the weight "
        "first. Default: the faster one for the method."
    ),
]
_Export = Annotated[
    str,
    typer.Option(help="factorised: save the factors. dense: save as a plain model with the same matrices."),
]
_Seed = Annotated[int, typer.Option(help="Seed of the Gaussian control, and of the test part.")]
_Heal = Annotated[
    Path | None,
    typer.Option(
        help="A text file to train the factors on afterwards; for encoders with a text in each line.",
        metavar="TEXT",
    ),
]
_Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with healing that was interrupted, given the same flags.")
]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option of healing or of the circuits of method disentangled, "
        "such as heal.windows=100 or circuits.depth=4.",
    ),
]
_Backend = Annotated[
    str | None,
    typer.Option(
        help="With method disentangled: also print how many circuits and shots the measured tokens would "
        "take on this backend. Nothing is sent."
    ),
]


def command(
    context: typer.Context,
    model: _Model,
    out: _Out,
    layers: _Layers,
    text: _Text = None,
    data: _Data = None,
    text_column: flags.TextColumn = "text",
    label_column: flags.LabelColumn = "label",
    per_class: flags.PerClass = None,
    method: _Method = "wsvd",
    keep: _Keep = 0.5,
    sites: _Sites = 2,
    profile: _Profile = False,
    spare: _Spare = 0.0,
    windows: _Windows = 8,
    width: _Width = 256,
    forward: _Forward = None,
    export: _Export = "factorised",
    seed: _Seed = 0,
    heal: _Heal = None,
    set_: _Set = None,
    resume: _Resume = False,
    backend: _Backend = None,
    rates: flags.RatesFile = None,
    json: flags.AsJson = False,
) -> None:
    """Compress the linear layers of a model, and measure it beside every control.

    Example: `hybridqies compress ./model --keep 0.5 --layers k_proj,q_proj --text wiki.txt --out small`

    Example: `hybridqies compress all-MiniLM-L6-v2 --layers query,key --data sst2 --out small`
    """
    _check_kind(context, text, data)
    config = _encoder_config(context.params) if text is None else _text_config(context.params)
    if resume and heal is None:
        raise InputError("--resume was given without --heal", expected="the flags of what was interrupted")
    plan = _planner(config, backend, rates)
    with steps(json) as shown:
        report = _shrink(config, out, shown, resume=resume)
    plans = plan(out, report.get("tokens", 0))
    if json:
        say_json({**report, "circuits": plans})
    else:
        _print(report, plans)
        say(f"{out}: the model, its tokenizer and compression.json")


def _print(report: dict[str, Any], plans: list[dict[str, Any]]) -> None:
    from hybridqies.report import dry_run_table
    from hybridqies.report.compression import compression_table, profile_table

    show(compression_table(report))
    for title, rows in (("layer", report.get("profile")), ("type", report.get("profile_by_type"))):
        if rows:
            show(profile_table(title, rows, report))
    if plans:
        show(dry_run_table(plans))
    if report.get("spared"):
        say(f"spared: {', '.join(report['spared'])}")


def _check_kind(context: typer.Context, text: Path | None, data: str | None) -> None:
    """Refuses both or neither, and flags of the other kind."""
    expected = "--text for a language model, or --data for a sentence encoder"
    if (text is None) == (data is None):
        raise InputError(f"compress was given {'both' if text else 'neither'}", expected=expected)
    given = flags.typed(context)
    for name in _ONLY_WITH_TEXT if text is None else _ONLY_WITH_DATA:
        if name in given:
            flag = "--" + name.replace("_", "-")
            raise InputError(f"{flag} was given with {'--text' if text else '--data'}", expected=expected)


def _text_config(given: dict[str, Any]) -> CompressionConfig:
    from hybridqies.compression import CompressionConfig, Healing

    names = ("text", "windows", "width")
    return CompressionConfig(**{name: given[name] for name in names}, **_shared(given, Healing))


def _encoder_config(given: dict[str, Any]) -> EncoderConfig:
    from hybridqies.compression import EncoderConfig, EncoderHealing, TaskData

    data = TaskData(given["data"], given["text_column"], given["label_column"], given["per_class"])
    return EncoderConfig(data=data, **_shared(given, EncoderHealing))


def _shared(given: dict[str, Any], healing: type[Healing] | type[EncoderHealing]) -> dict[str, Any]:
    """The options of both kinds of model."""
    from hybridqies.factorised import check_forward

    settings = _group(given["set_"] or [], healing)
    return {
        "model": given["model"],
        "method": given["method"],
        "keep": given["keep"],
        "layers": tuple(name.strip() for name in given["layers"].split(",")),
        "n_sites": given["sites"],
        **{name: given[name] for name in ("profile", "spare", "export")},
        "heal": _read_healing(given["heal"], settings["heal"], healing),
        "forward": None if given["forward"] is None else check_forward(given["forward"]),
        "circuits": _read_circuits(given["method"], settings["circuits"]),
        "seed": given["seed"],
    }


def _shrink(
    config: CompressionConfig | EncoderConfig, out: Path, shown: Any, *, resume: bool
) -> dict[str, Any]:
    from hybridqies.compression import EncoderConfig, shrink, shrink_encoder

    stage = ""

    def tell(name: str, done: int, total: int) -> None:
        nonlocal stage
        if name != stage:
            shown.begin(name, total)
            stage = name
        shown.update(done, total)

    if isinstance(config, EncoderConfig):
        return shrink_encoder(config, out, tell, resume=resume)
    return shrink(config, out, tell, resume=resume)


def _group(words: list[str], healing: type[Healing] | type[EncoderHealing]) -> dict[str, dict[str, Any]]:
    """What was set, by group and name."""
    kinds: dict[str, Any] = {"heal": healing, "circuits": CircuitOptions}
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


def _read_healing(
    text: Path | None, settings: dict[str, Any], kind: type[Healing] | type[EncoderHealing]
) -> Healing | EncoderHealing | None:
    if text is not None:
        return from_mapping(kind, {"text": str(text), **settings}, what="healing option")
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
    config: CompressionConfig | EncoderConfig, backend: str | None, rates: Path | None
) -> Callable[[Path, int], list[dict[str, Any]]]:
    """What plans the circuits of the written folder; what cannot be planned is refused before the work."""
    if backend is None:
        if rates is not None:
            raise InputError("--rates was given without --backend", expected="both, or neither")
        return lambda *_: []
    if config.export == "dense" or not find_method(config.method).has_circuits:
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
