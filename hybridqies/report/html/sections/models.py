"""Compressed models and language models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hybridqies.report.compression import compression_table, profile_table
from hybridqies.report.html.blocks import Code, Listing, Table
from hybridqies.report.html.measurements import CompressionRecord, LanguageRecord, ScalingRecord
from hybridqies.report.html.plots import Axis, Block, Plot, Series, Shape
from hybridqies.report.language import entanglement_table, language_table
from hybridqies.report.studies.scale import REPORT as SCALE


def compare_compressed(compression: CompressionRecord) -> Iterator[Block]:
    """Every arm with its interval, as a plot and a table, and what each is."""
    content = compression.content
    name, label = ("perplexity", "perplexity") if "tokens" in content else ("accuracy", "test accuracy")
    names = tuple(arm["arm"] for arm in content["arms"])
    values, low, high = (tuple(arm[name][end] for arm in content["arms"]) for end in ("value", "low", "high"))
    series = Series("models", values, tuple(map(float, range(len(names)))), low, high, shape=Shape.DOTS)
    caption, text = (
        f"{label[0].upper()}{label[1:]} with 95 % intervals",
        f"A dot and a bar for each model: {label}.",
    )
    yield Plot(name, caption, text, Axis(label), Axis("model", names=names), (series,))
    yield Table.of("compression", compression_table(content))
    yield Listing(tuple(f"{arm['arm']}: {arm['meaning']}." for arm in content["arms"]))


def profile_layers(compression: CompressionRecord) -> Iterator[Block]:
    """What each layer, and each type of layers, does to the model when it is compressed alone."""
    content = compression.content
    for name, heading in (("profile_by_type", "type"), ("profile", "layer")):
        if content.get(name):
            yield Table.of(name, profile_table(heading, content[name], content))


def compare_sizes(scaling: ScalingRecord) -> Iterator[Block]:
    """Loss against parameters for each text, arm and number of tokens; the table, and notes."""
    found: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for cell in scaling.result["cells"]:
        if cell["loss"] is not None:
            found.setdefault((cell["text"], cell["arm"], cell["n_tokens"]), []).append(cell)
    if found:
        lines = tuple(
            _sizes(", ".join(map(str, key)), rows, at) for at, (key, rows) in enumerate(found.items())
        )
        label, text = (
            "test loss (nats a token)",
            "A line for each text, kind and number of tokens, over the size.",
        )
        x, y = Axis("parameters", log=True), Axis(label, log=True)
        yield Plot("loss", "Test loss against parameters", text, x, y, lines)
    yield Table.of("scaling", SCALE.table(scaling.result))
    notes = tuple(SCALE.notes(scaling.result))
    if notes:
        yield Listing(notes)


def repeat_scaling(scaling: ScalingRecord) -> Iterator[Block]:
    """The command of the study, and the file that it reads."""
    command = "hybridqies scale run study.toml --out runs/again"
    yield Code("Command, with study.toml as below", command)
    yield Code("study.toml", scaling.plan, folded=True)


def describe_language(model: LanguageRecord) -> Iterator[Block]:
    """Its figures, its loss over the epochs, and the entanglement of its gates."""
    yield Table.of("figures", language_table("Figures", model.result, "test_"))
    lines = tuple(
        Series(title, epochs, tuple(each[key] for each in model.history), style=style)
        for style, (key, title) in enumerate((("train_loss", "training"), ("validation_loss", "validation")))
        if key in model.history[0]
        for epochs in (tuple(float(each["epoch"]) for each in model.history),)
    )
    if len(model.history) > 1:
        text = "Training and validation loss over the epochs."
        label = "loss (nats a token)"
        yield Plot("loss", "Loss over the epochs", text, Axis("epoch", whole=True), Axis(label), lines)
    gates = entanglement_table(model.result)
    if gates is not None:
        yield Table.of("entanglement", gates)


def _sizes(name: str, cells: Sequence[Mapping[str, Any]], style: int) -> Series:
    ordered = sorted(cells, key=lambda cell: int(cell["n_parameters"]))
    x = tuple(float(cell["n_parameters"]) for cell in ordered)
    mean = tuple(cell["loss"]["mean"] for cell in ordered)
    low, high = (tuple(cell["loss"][end] for cell in ordered) for end in ("low", "high"))
    return Series(name, x, mean, low, high, style=style)
