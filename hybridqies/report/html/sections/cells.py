"""The cells of a study: table and verdicts, the metric against qubits, differences to the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hybridqies.report.html.blocks import KeyFigures, Listing, Table
from hybridqies.report.html.plots import GREY, Axis, Block, Plot, Series, Shape
from hybridqies.report.html.records import StudyRecord, best_cell, label_of
from hybridqies.report.studies import report_of
from hybridqies.tasks import Metric

_MANY_LETTERS = 1200


def compare_cells(study: StudyRecord) -> Iterator[Block]:
    """Key figures, the table of the study, and what it says in words."""
    yield KeyFigures(tuple(_key_figures(study)))
    report = report_of(study.kind)
    yield Table.of("comparison", report.table(study.result))
    notes = tuple(note for note in report.notes(study.result) if note)
    if notes:
        yield Listing(notes, title="In words" if sum(map(len, notes)) > _MANY_LETTERS else "")


def _key_figures(study: StudyRecord) -> Iterator[tuple[str, str]]:
    result, best = study.result, best_cell(study.result)
    if best is not None:
        yield (
            study.metric.write_with_unit(best[study.metric.name]["mean"]),
            f"best mean test {study.metric.label}",
        )
    yield f"{result['done']:,}", f"of {result['trials']:,} trials finished"
    yield str(len(result["cells"])), "runs of a design" if study.kind == "screen" else "models"
    yield str(len(result["plan"]["seeds"])), "seeds"


def draw_metric(study: StudyRecord) -> Iterator[Plot]:
    """The mean of every cell with its interval: against qubits where there are several numbers of them."""
    metric = study.metric
    cells = [cell for cell in study.result["cells"] if cell.get(metric.name) is not None]
    if not cells:
        return
    label = metric.name_with_unit("test")
    if len({cell.get("n_qubits") for cell in cells} - {None}) > 1:
        text = f"A line for each arm over the number of qubits, with 95 % bands over seeds: {label}."
        series = tuple(_curves(cells, metric))
        yield Plot(
            "qubits", f"{_upper(label)} against qubits", text, Axis("qubits", whole=True), Axis(label), series
        )
        return
    names = tuple(map(label_of, cells))
    values = [cell[metric.name] for cell in cells]
    series = (
        *_seeds(cells, metric),
        _intervals("mean and 95 % interval", values, metric.scale),
    )
    text = f"A dot and a bar for the mean of each model and its 95 % interval over seeds: {label}."
    yield Plot(
        "metric",
        f"{_upper(label)}, 95 % intervals over seeds",
        text,
        Axis(label),
        Axis("model", names=names),
        series,
    )


def draw_differences(study: StudyRecord) -> Iterator[Plot]:
    """What each cell differs by from the reference, with its interval; shown ones in another colour."""
    metric, compared = study.metric, study.result.get("comparisons", ())
    if not compared:
        return
    names = tuple(_name(each) for each in compared)
    unit = f" ({metric.unit_of_differences})" if metric.unit_of_differences else ""
    series = []
    for style, title, shown in ((1, "a difference was shown", True), (0, "no difference was shown", False)):
        rows = [
            (float(at), each["over_seeds"]["difference"])
            for at, each in enumerate(compared)
            if (each["verdict"] in ("better", "worse")) is shown
        ]
        if rows:
            places, found = zip(*rows, strict=True)
            series.append(_intervals(title, found, metric.scale, places, style))
    series.append(Series("no difference", (0.0, 0.0), (-0.5, len(names) - 0.5), style=GREY))
    reference = compared[0]["reference"]
    label = f"test {metric.label} minus that of {reference}{unit}"
    text = (
        f"A dot and a bar for the difference of each model to {reference} and its 95 % interval over seeds."
    )
    yield Plot(
        "differences",
        f"Differences to {reference}",
        text,
        Axis(label),
        Axis("model", names=names),
        tuple(series),
    )


def _curves(cells: Sequence[Mapping[str, Any]], metric: Metric) -> Iterator[Series]:
    arms = list(dict.fromkeys(cell["arm"] for cell in cells))
    for style, arm in enumerate(arms):
        own = [cell for cell in cells if cell["arm"] == arm]
        own.sort(key=lambda cell: int(cell["n_qubits"] or 0))
        values = [cell[metric.name] for cell in own]
        means = tuple(metric.scale * value["mean"] for value in values)
        if own[0]["n_qubits"] is None:
            yield Series(arm, (0.0,), means, shape=Shape.LEVEL, style=style)
            continue
        own_qubits = tuple(float(cell["n_qubits"]) for cell in own)
        low, high = (tuple(_scaled(value[end], metric.scale) for value in values) for end in ("low", "high"))
        yield Series(arm, own_qubits, means, low, high, style=style)


def _seeds(cells: Sequence[Mapping[str, Any]], metric: Metric) -> Iterator[Series]:
    """Every seed of every cell as a point of its own."""
    points = [
        (metric.scale * value, float(at), f"seed {seed}")
        for at, cell in enumerate(cells)
        for seed, value in cell[metric.plural].items()
    ]
    if len(points) > len(cells):
        x, y, notes = zip(*points, strict=True)
        yield Series("each seed", x, y, shape=Shape.DOTS, style=GREY, notes=notes)


def _intervals(
    name: str, values: Sequence[Mapping[str, Any]], scale: int, places: tuple[float, ...] = (), style: int = 0
) -> Series:
    means = tuple(scale * value["mean"] for value in values)
    low, high = (tuple(_scaled(value[end], scale) for value in values) for end in ("low", "high"))
    places = places or tuple(float(at) for at in range(len(means)))
    return Series(name, means, places, low, high, shape=Shape.DOTS, style=style)


def _scaled(value: float | None, scale: int) -> float | None:
    return None if value is None else scale * value


def _name(compared: Mapping[str, Any]) -> str:
    qubits = compared.get("n_qubits")
    arm = str(compared["arm"])
    return arm if qubits is None or "qubits" in arm else f"{arm}, {qubits} qubits"


def _upper(label: str) -> str:
    return label[0].upper() + label[1:]
