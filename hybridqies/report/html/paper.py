"""Tables and plots of a report as files for a paper: CSV, Markdown, LaTeX, SVG and PNG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hybridqies.figures import save
from hybridqies.files import write_bytes
from hybridqies.report.html.blocks import Group, Table
from hybridqies.report.html.chapters import Chapter
from hybridqies.report.html.plots import Block, Plot
from hybridqies.report.html.still import draw
from hybridqies.report.spreadsheets import write_csv
from hybridqies.report.words import encode

_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "χ": r"$\chi$",
    "\n": " ",
    **{sign: f"\\{sign}" for sign in "{}$&#_%"},
}


def write_files(chapters: Sequence[Chapter], folder: Path) -> list[Path]:
    """Writes every table and plot into `folder`, named after chapter and section; returns the files."""
    written, taken = [], set[str]()
    for chapter, section, block in _blocks(chapters):
        stem = _stem(chapter, section, block.name, taken)
        table = block.numbers() if isinstance(block, Plot) else block
        for suffix, write in (("csv", to_csv), ("md", to_markdown), ("tex", to_latex)):
            path = folder / f"{stem}.{suffix}"
            write_bytes(path, encode(write(table)))
            written.append(path)
        if isinstance(block, Plot):
            written += [save(draw(block), folder / f"{stem}.{suffix}") for suffix in ("svg", "png")]
    return written


def to_csv(table: Table) -> str:
    """The table as CSV, without its caption."""
    return write_csv([table.headings, *table.rows])


def to_markdown(table: Table) -> str:
    """The table in the Markdown of GitHub, under its caption."""
    rule = ["---:" if number else "---" for number in table.numeric]
    head, *rows = ([_markdown(cell) for cell in row] for row in (table.headings, *table.rows))
    lines = [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
    return "\n".join([f"**{_markdown(table.caption)}**", "", *lines]) + "\n"


def to_latex(table: Table) -> str:
    """The table for LaTeX with booktabs."""
    columns = "".join("r" if number else "l" for number in table.numeric)
    head, *rows = [_latex_row(row) for row in (table.headings, *table.rows)]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_latex(table.caption)}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {head}",
        r"    \midrule",
        *(f"    {row}" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _blocks(chapters: Sequence[Chapter]) -> Iterator[tuple[str, str, Table | Plot]]:
    """Tables and plots with their chapter, which has no name where it is the only one, and their section."""
    for number, chapter in enumerate(chapters, 1):
        name = str(number) if len(chapters) > 1 else ""
        for part in chapter.parts:
            section = part.key.rpartition("-")[0]
            for block in part.blocks:
                for each in _open(block):
                    yield name, section, each


def _open(block: Block) -> Iterator[Table | Plot]:
    if isinstance(block, Table | Plot):
        yield block
    elif isinstance(block, Group):
        yield from block.tables


def _stem(chapter: str, section: str, name: str, taken: set[str]) -> str:
    """A name of a file that no other has, of letters that every system allows."""
    words = [chapter, name if name.startswith(section) else f"{section}-{name}"]
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(filter(None, words))).strip("-.")[:80]
    found, number = stem, 1
    while found.lower() in taken:
        number += 1
        found = f"{stem}-{number}"
    taken.add(found.lower())
    return found


def _markdown(cell: str) -> str:
    plain = cell.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(_MARKDOWN.sub(r"\\\1", plain).split())


def _latex_row(row: Sequence[str]) -> str:
    line = " & ".join(map(_latex, row)) + r" \\"
    # The end of the row before would take a bracket or a star for its own option.
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _latex(cell: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in cell)
