"""Builds reports and looks at them in headless Chromium: size, time, errors, requests, accessibility.

    python benchmarks/report_pages.py runs/demo runs/sweep --axe axe.min.js --pictures shots
    python benchmarks/report_pages.py --trials 1000

A page is opened at 390 and 1,440 px, light and dark, and as it is printed. `--axe` names the file of axe-core
(`npm install axe-core`), `--pictures` a folder for screenshots. `--trials` adds a made-up sweep of about so
many trials, with 2,000 test texts each. Exits 1 if a page has over 6 MB, takes over 2 s to load (3 s for
--trials) or over 20 s to build, complains, asks for anything, scrolls sideways, or has a finding of axe-core
that is serious or critical.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from chromium import Chromium
from report.html.studies import make_sweep, write_study

from hybridqies.report.html import build_report

VIEWS = (
    ("390", 390, False, ""),
    ("390-dark", 390, True, ""),
    ("1440", 1440, False, ""),
    ("1440-dark", 1440, True, ""),
    ("print", 800, False, "print"),
)
MOST_MB, MOST_BUILDING, MOST_LOADING, MOST_LOADING_MANY = 6.0, 20.0, 2.0, 3.0


@dataclass(frozen=True)
class Subject:
    """What is reported, under which name, and how long its page may take to load."""

    name: str
    path: Path
    seconds: float


def examine(
    subjects: Sequence[Subject], folder: Path, axe: Path | None = None, pictures: Path | None = None
) -> list[str]:
    """Prints a line for each view; gives what is wrong."""
    faults = []
    with Chromium() as browser:
        for subject in subjects:
            page = folder / f"{subject.name}.html"
            began, worked = time.perf_counter(), time.process_time()
            build_report([subject.path], page)
            building, working = time.perf_counter() - began, time.process_time() - worked
            size = page.stat().st_size / 1e6
            print(
                f"{subject.name}: {size:.2f} MB, built in {building:.1f} s ({working:.1f} s of a processor)"
            )
            faults += [f"{subject.name}: {size:.2f} MB"] * (size > MOST_MB)
            faults += [f"{subject.name}: built in {building:.1f} s"] * (building > MOST_BUILDING)
            for view in VIEWS:
                faults += _look(browser, subject, page, view, axe, pictures)
    return faults


def _look(
    browser: Chromium,
    subject: Subject,
    page: Path,
    view: tuple[str, int, bool, str],
    axe: Path | None,
    pictures: Path | None,
) -> list[str]:
    name, width, dark, media = view
    seconds = browser.open(page, width, dark=dark, media=media)
    wide = int(browser.run("document.documentElement.scrollWidth"))
    # Everything is drawn once it is in sight.
    browser.resize(width, int(browser.run("document.documentElement.scrollHeight")))
    browser.run("new Promise(done => setTimeout(() => done(1), 700))")
    found = list(_findings(browser, axe)) if axe is not None and not media else []
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        browser.photograph(pictures / f"{subject.name}-{name}.png")
    said = [*browser.complaints, *browser.requests, *(finding for level, finding in found if level)]
    print(
        f"  {name:9s} loaded in {seconds:.2f} s ({browser.processor_seconds():.2f} s of a processor), "
        f"{wide} px wide, {len(browser.complaints)} errors, "
        f"{len(browser.requests)} requests, {len(found)} findings"
    )
    for _, finding in found:
        print(f"    {finding}")
    said += [f"loaded in {seconds:.2f} s"] * (seconds > subject.seconds)
    said += [f"{wide} px wide"] * (wide > width)
    return [f"{subject.name} at {name}: {each}" for each in said]


def _findings(browser: Chromium, axe: Path | None) -> Iterator[tuple[bool, str]]:
    """What axe-core finds, and whether it is serious."""
    assert axe is not None
    browser.run(axe.read_text(encoding="utf-8") + "; 1")
    found: list[dict[str, Any]] = browser.run(
        "axe.run().then(found => found.violations.map(each => ({id: each.id, impact: each.impact, "
        "help: each.help, n: each.nodes.length, first: each.nodes[0].html.slice(0, 120)})))"
    )
    for each in found:
        serious = each["impact"] in ("serious", "critical")
        yield serious, f"{each['impact']} {each['id']} ({each['n']}): {each['help']}: {each['first']}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Examines what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--axe", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--trials", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subjects = [Subject(path.resolve().name, path, MOST_LOADING) for path in given.paths]
        if given.trials:
            study = make_sweep(qubits=tuple(range(2, 26, 2)), n_seeds=max(1, given.trials // 25), n_test=2000)
            write_study(study, folder / "many")
            subjects.append(Subject("many", folder / "many", MOST_LOADING_MANY))
        faults = examine(subjects, folder, given.axe, given.pictures)
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
