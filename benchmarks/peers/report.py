"""The tables and plots of docs/performance.md, from the record alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

Record: TypeAlias = Mapping[str, Any]

BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
# Cores kept busy by others from which on a figure is in doubt.
DISTURBED = 0.1

# Colours of Okabe and Ito first, which readers who see colours differently tell apart; markers say it again.
STYLES = (
    ("#0072b2", "s"),
    ("#e69f00", "^"),
    ("#009e73", "D"),
    ("#cc79a7", "v"),
    ("#56b4e9", "P"),
    ("#d55e00", "X"),
    ("#8c6d31", "<"),
    ("#7f7f7f", ">"),
    ("#6a51a3", "*"),
)


def write_report(record: Record, docs: Path) -> None:
    """Puts the tables between the markers of `docs`/performance.md, and the plots into `docs`/_static.

    Raises
    ------
    ValueError: the page has no markers.
    """
    page = docs / "performance.md"
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page.name} has no single pair of markers {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(before + BEGIN + "\n" + tables(record) + "\n" + END + after)
    (docs / "_static").mkdir(exist_ok=True)
    for workload in _workloads(record):
        draw(record, workload, docs / "_static" / f"speed-{workload}.png")


def tables(record: Record) -> str:
    """All that is said of the record, as Markdown."""
    parts = [_machine(record)]
    for workload in _workloads(record):
        cells = _cells(record, workload)
        parts.append(f"### {workload}")
        parts.append(f"![Milliseconds of a step over the number of qubits](_static/speed-{workload}.png)")
        parts.append("Milliseconds of a step, forward and backward; medians.")
        parts.append(_steps(record, cells))
        parts.append("Seconds of the first call / peak memory of the process in MB.")
        parts.append(_costs(cells))
        parts.append(_reasons(cells))
    parts.append(_versions(record))
    return "\n\n".join(part for part in parts if part)


def roofline_seconds(record: Record, cell: Record) -> float | None:
    """The least time for the arithmetic and the traffic of our plan on this machine; None without counts.

    The bandwidth is the best of the measured copies that are no smaller than the states.
    """
    counts = cell["ours"].get("counts")
    if counts is None:
        return None
    rates = {int(size): rate for size, rate in record["roofline"]["copy_bytes_per_s"].items()}
    held = [rate for size, rate in rates.items() if size >= cell["ours"]["state_bytes"]]
    bandwidth = max(held) if held else rates[max(rates)]
    return max(counts["flops"] / record["roofline"]["flops_per_s"]["float32"], counts["bytes"] / bandwidth)


def draw(record: Record, workload: str, path: Path) -> None:
    """Step time over qubits, both axes' ticks readable, time on a log scale."""
    from matplotlib.figure import Figure

    cells = _cells(record, workload)
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    axes = figure.subplots()
    styles = dict(zip(_timed_peers(record["cells"]), STYLES, strict=False))
    for name in _timed_peers(cells):
        colour, marker = styles.get(name, ("#444444", "o"))
        axes.plot(*_curve(cells, name), color=colour, marker=marker, linewidth=1.5, markersize=6, label=name)
    axes.plot(*_curve(cells, "ours"), color="black", marker="o", linewidth=2.5, label="ours")
    bounds = [(cell["n_qubits"], roofline_seconds(record, cell)) for cell in cells]
    known = [(n, 1e3 * bound) for n, bound in bounds if bound is not None]
    if known:
        axes.plot(
            *zip(*known, strict=True), color="black", linestyle="--", linewidth=1, label="roofline of ours"
        )
    axes.set_yscale("log")
    axes.set_xticks([cell["n_qubits"] for cell in cells])
    axes.set_xlabel("qubits")
    axes.set_ylabel("milliseconds of a step")
    threads = record["roofline"]["threads"]
    axes.set_title(f"{workload}: forward and backward, {threads} threads of {record['machine']['cpu']}")
    axes.grid(which="major", alpha=0.4)
    axes.grid(which="minor", axis="y", alpha=0.12)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(path, dpi=130)


def _curve(cells: Iterable[Record], name: str) -> tuple[list[int], list[float]]:
    points = [(cell["n_qubits"], _entry(cell, name).get("median")) for cell in cells]
    known = [(n, 1e3 * median) for n, median in points if median is not None]
    return [n for n, _ in known], [median for _, median in known]


def _steps(record: Record, cells: list[Record]) -> str:
    peers = _timed_peers(cells)
    bounds = [roofline_seconds(record, cell) for cell in cells]
    roofline = any(bound is not None for bound in bounds)
    head = ["n", "batch", "ours", *(["roofline", "ours / roofline"] if roofline else [])]
    rows = [[*head, *peers, "fastest peer / ours"]]
    for cell, bound in zip(cells, bounds, strict=True):
        ours = cell["ours"].get("median")
        row = [str(cell["n_qubits"]), str(cell["batch"]), _milliseconds(ours)]
        if roofline:
            row += [_milliseconds(bound), f"{ours / bound:.1f}" if ours and bound else "–"]
        row += [_milliseconds(_entry(cell, name).get("median")) for name in peers]
        rows.append([*row, _factor(cell)])
    return _markdown(rows)


def _factor(cell: Record) -> str:
    """How many times longer the fastest peer took than we did in the same run, and its name."""
    factors = {
        name: entry["median"] / entry["ours_median"]
        for name, entry in cell["peers"].items()
        if entry["status"] == "ok" and entry.get("ours_median")
    }
    if not factors:
        return "–"
    name = min(factors, key=lambda each: cell["peers"][each]["median"])
    return f"{_digits(factors[name])} ({name})"


def _costs(cells: list[Record]) -> str:
    peers = _timed_peers(cells)
    rows = [["n", "ours", "ours, a new circuit", *peers]]
    for cell in cells:
        fresh = cell["ours"].get("new_circuit")
        row = [str(cell["n_qubits"]), _cost(cell["ours"]), "–" if fresh is None else f"{_digits(fresh)} s"]
        rows.append(row + [_cost(_entry(cell, name)) for name in peers])
    return _markdown(rows)


def _cost(entry: Record) -> str:
    if entry.get("status") != "ok":
        return "–"
    return f"{_digits(entry['first'])} / {entry['peak_bytes'] / 1e6:,.0f}"


def _reasons(cells: list[Record]) -> str:
    """One line for each reason that a cell has no time, or one that is in doubt."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for name, entry in {"ours": cell["ours"], **cell["peers"]}.items():
            reason = _remark(entry)
            if reason:
                found.setdefault((name, reason), []).append(str(cell["n_qubits"]))
    return "\n".join(f"- {name}, n = {', '.join(sizes)}: {reason}" for (name, reason), sizes in found.items())


def _remark(entry: Record) -> str:
    if entry["status"] != "ok":
        return f"{entry['status']}: {entry['why']}"
    busy = entry["other_load"]
    return f"other processes kept {busy:.1f} cores busy meanwhile" if busy > DISTURBED else ""


def _machine(record: Record) -> str:
    machine, roofline = record["machine"], record["roofline"]
    caches = "; ".join(f"{name} {size}" for name, size in machine["caches"].items())
    rates = roofline["copy_bytes_per_s"]
    largest = max(rates, key=int)
    peak = {dtype: rate / 1e9 for dtype, rate in roofline["flops_per_s"].items()}
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores ({machine['architecture']}), caches {caches}; "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB of memory; {machine['system']}. "
        f"{roofline['threads']} threads for all.\n"
        f"Measured on it: copies of {int(largest) / 2**20:.0f} MiB at {rates[largest] / 1e9:.0f} GB/s, "
        f"within caches at up to {max(rates.values()) / 1e9:.0f} GB/s (read and written); multiply-adds at "
        f"{peak['float32']:.0f} GFLOP/s in float32, {peak['float64']:.0f} in float64."
    )


def _versions(record: Record) -> str:
    lines = []
    for name, versions in record["versions"].items():
        listed = ", ".join(f"{library} {version}" for library, version in versions.items())
        entries = [_entry(cell, name) for cell in record["cells"]]
        states = sorted({entry["precision"] for entry in entries if entry.get("status") == "ok"})
        lines.append(f"- {name}: {listed}; state in {' and '.join(states)}")
    return "Versions, and the precision of each state:\n\n" + "\n".join(lines)


def _workloads(record: Record) -> list[str]:
    return list(dict.fromkeys(cell["workload"] for cell in record["cells"]))


def _cells(record: Record, workload: str) -> list[Record]:
    """The measured cells of one workload, smallest first."""
    found = [cell for cell in record["cells"] if cell["workload"] == workload and "ours" in cell]
    return sorted(found, key=lambda cell: cell["n_qubits"])


def _timed_peers(cells: Iterable[Record]) -> list[str]:
    timed = [name for cell in cells for name, entry in cell["peers"].items() if entry["status"] == "ok"]
    return list(dict.fromkeys(timed))


def _entry(cell: Record, name: str) -> Record:
    return cell.get("ours", {}) if name == "ours" else cell["peers"].get(name, {})


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else _digits(1e3 * seconds)


def _digits(value: float) -> str:
    """Three digits that count, without exponents."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---:|" * len(rows[0]), *lines[1:]])
