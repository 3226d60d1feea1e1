"""Files for a paper: what stands in them, and names from data in a form that every reader takes."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

from report.html.records import HOSTILE, make_run

from hybridqies.report.html.blocks import Table
from hybridqies.report.html.chapters import Part, make_chapters
from hybridqies.report.html.paper import to_csv, to_latex, to_markdown, write_files

TABLE = Table(
    "t", "50 % of $x_1$", ("arm & all", "value"), (("a|b", "1.0 ± 0.5"), ("=1+1\n<b>", "-2")), (False, True)
)


def test_csv() -> None:
    assert to_csv(TABLE) == 'arm & all,value\r\na|b,1.0 ± 0.5\r\n"\'=1+1\n<b>",-2\r\n'


def test_markdown() -> None:
    assert to_markdown(TABLE).splitlines() == [
        r"**50 % of \$x\_1\$**",
        "",
        "| arm &amp; all | value |",
        "| --- | ---: |",
        r"| a\|b | 1.0 ± 0.5 |",
        "| =1+1 &lt;b&gt; | -2 |",
    ]


def test_latex() -> None:
    assert to_latex(TABLE).splitlines() == [
        r"\begin{table}",
        r"  \centering",
        r"  \caption{50 \% of \$x\_1\$}",
        r"  \begin{tabular}{lr}",
        r"    \toprule",
        r"    arm \& all & value \\",
        r"    \midrule",
        r"    a\textbar{}b & 1.0 $\pm$ 0.5 \\",
        r"    =1+1 \textless{}b\textgreater{} & -2 \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]


def test_latex_takes_no_cell_for_an_option() -> None:
    """A bracket or a star behind the end of a row, on the next line too, is an option of that end."""
    rows = (("[a]", "1"), ("*", "2"))
    lines = to_latex(Table("t", "", ("[head]", "n"), rows, (False, True))).splitlines()
    assert lines[5:9] == [r"    {}[head] & n \\", r"    \midrule", r"    {}[a] & 1 \\", r"    {}* & 2 \\"]


def test_half_a_pair_in_a_name(tmp_path: Path) -> None:
    """A folder's name may be no text at all."""
    (chapter,) = make_chapters([make_run()])
    table = Table("t", os.fsdecode(b"\xff"), ("a",), (("b",),), (False,))
    written = write_files([replace(chapter, parts=(Part("t-1", "T", (table,)),))], tmp_path)
    assert sorted(path.suffix for path in written) == [".csv", ".md", ".tex"]
    assert "**\\udcff**" in (tmp_path / "t.md").read_text("utf-8")


def test_files(tmp_path: Path) -> None:
    (chapter,) = make_chapters([make_run(head=HOSTILE[0])])
    parts = tuple(part for part in chapter.parts if part.title in ("Comparison", "Misclassified texts"))
    written = write_files([replace(chapter, parts=parts)], tmp_path / "paper")
    assert sorted(written) == sorted((tmp_path / "paper").iterdir())
    assert {path.stem: path.suffix for path in written if path.suffix in (".tex", ".png")} == {
        "comparison": ".tex",
        "comparison-accuracy": ".png",
        "mistakes-img-src-x-onerror-alert-1": ".tex",
        "mistakes-logistic": ".tex",
    }
    kinds = {path.suffix for path in written if path.stem == "comparison-accuracy"}
    assert kinds == {".csv", ".md", ".tex", ".svg", ".png"}
    with (tmp_path / "paper" / "comparison.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[1][0] == f"{HOSTILE[0]} (long-range-reupload, 3 qubits)"
    assert len({row[0] for row in rows}) == 3


def test_names_that_differ_in_signs_alone_have_files_of_their_own(tmp_path: Path) -> None:
    (chapter,) = make_chapters([make_run()])
    part = chapter.parts[0]
    tables = tuple(Table(name, "", ("a",), (("1",),), (True,)) for name in ("x+y", "x/y", "X y"))
    doubled = type(chapter)("record-1", "", "", (type(part)("same-1", "", tables),), ())
    stems = [path.stem for path in write_files([doubled], tmp_path) if path.suffix == ".csv"]
    assert stems == ["same-x-y", "same-x-y-2", "same-X-y-3"]
