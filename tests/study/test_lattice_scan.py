"""Scans of the kicked Ising model: points, their journal, and what they say together."""

from __future__ import annotations

import json

import pytest

from hybridqies.circuit import load_lattice
from hybridqies.errors import CapabilityError, InputError
from hybridqies.records import LineSeal
from hybridqies.study.lattice_scan import (
    DEVICES,
    RESULT,
    LatticePlan,
    Point,
    PointJournal,
    recorded_plan,
    run_scan,
    summarise,
)

SMALL = LatticePlan("square:2x3", thetas=(0.6, 0.3), steps=(2, 4), chis=(4, 2))


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan") / "out"
    return folder, run_scan(SMALL, folder)


def untimed(result):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in result["rows"]]


def test_every_point_is_run_in_order(scanned):
    _, result = scanned
    points = [(row["theta"], row["steps"], row["chi"]) for row in result["rows"]]
    assert points == [(theta, steps, chi) for theta in (0.3, 0.6) for steps in (2, 4) for chi in (2, 4)]
    assert (result["n_sites"], result["n_edges"]) == (6, 7)
    for row in result["rows"]:
        assert len(row["values"]) == 6
        assert row["mean"] == pytest.approx(sum(row["values"]) / 6, abs=1e-15)
        assert row["site"] == row["values"][SMALL.read_site]


def test_drift_and_convergence(scanned):
    _, result = scanned
    first, second = result["rows"][2:4]
    assert first["drift"] is None
    assert second["drift"] == max(abs(a - b) for a, b in zip(first["values"], second["values"], strict=True))
    # Two steps have bonds of two, and discard nothing.
    assert [row["converged"] for row in result["rows"][:2]] == [True, True]
    assert not first["converged"]
    assert first["discarded"] > result["threshold"]


def test_the_result_is_what_is_written_and_resumed(scanned):
    folder, result = scanned
    written = json.loads((folder / RESULT).read_text())
    assert {key: value for key, value in written.items() if key != "digest"} == json.loads(json.dumps(result))
    assert recorded_plan(folder) == SMALL
    told: list[str] = []
    again = run_scan(SMALL, folder, resume=True, on_point=lambda name, rounds: told.append(name))
    assert told == []
    assert again["rows"] == result["rows"]


def test_a_scan_that_was_cut_off_goes_on(scanned, tmp_path):
    folder, result = scanned
    lines = (folder / PointJournal.file_name).read_bytes().splitlines(keepends=True)
    # The head, what the scan is about, and two points with their claims; the head counts what must be there.
    kept = b"".join(lines[1:6])
    cut = tmp_path / PointJournal.file_name
    start = PointJournal(tmp_path)
    cut.write_bytes(start._first_line(start._first_size) + kept)
    told: list[str] = []
    again = run_scan(SMALL, tmp_path, resume=True, on_point=lambda name, rounds: told.append(name))
    assert told[0] == "θ 0.3, 4 steps, χ 2"
    assert len(told) == 6
    assert untimed(again) == untimed(result)


def test_progress_counts_rounds(tmp_path):
    told: list[tuple[int, int]] = []
    begun: list[tuple[str, int]] = []
    plan = LatticePlan("chain:3", steps=(2,), chis=(2,))
    run_scan(
        plan,
        tmp_path / "out",
        on_point=lambda *each: begun.append(each),
        on_round=lambda *each: told.append(each),
    )
    ((name, rounds),) = begun
    assert name == "θ 0.6, 2 steps, χ 2"
    assert told == [(done, rounds) for done in range(1, rounds + 1)]


def test_another_scan_in_the_folder_is_refused(scanned, tmp_path):
    folder, _ = scanned
    with pytest.raises(InputError, match="not empty"):
        run_scan(SMALL, folder)
    with pytest.raises(InputError, match="begun with another plan"):
        run_scan(LatticePlan("square:2x3"), folder, resume=True)
    with pytest.raises(InputError, match="holds no scan"):
        recorded_plan(tmp_path)


def test_an_edited_file_of_edges_is_another_scan(tmp_path):
    edges = tmp_path / "mine.edges"
    edges.write_text("0 1\n1 2\n")
    plan, folder = LatticePlan(str(edges), steps=(1,), chis=(2,)), tmp_path / "out"
    run_scan(plan, folder)
    edges.write_text("0 1\n1 2\n2 3\n")
    with pytest.raises(InputError, match="begun with another plan"):
        run_scan(plan, folder, resume=True)


def test_a_damaged_point_is_an_error(scanned, tmp_path):
    folder, _ = scanned
    lines = (folder / PointJournal.file_name).read_bytes().splitlines(keepends=True)
    seal = LineSeal(PointJournal.format.encode(), all_sealed=True)
    start = PointJournal(tmp_path)
    events = [json.loads(line) for line in lines[1:4]]
    events[2]["record"]["values"] = "many"
    changed = [seal.seal({key: each[key] for key in each if key != "sum"}) for each in events]
    (tmp_path / PointJournal.file_name).write_bytes(start._first_line(start._first_size) + b"".join(changed))
    with pytest.raises(InputError, match=r"line 4 of the journal of points .* is damaged"):
        PointJournal(tmp_path).state()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lattice": "heavy-hex:128"}, "did you mean '127'"),
        ({"site": 127}, "expected 0 to 126"),
        ({"chis": ()}, "chis of a scan were given as nothing"),
        ({"chis": (0,)}, "numbers from 1 to 4096"),
        ({"steps": (0,)}, "numbers from 1 to 1000"),
        ({"thetas": (float("nan"),)}, "numbers from -1000 to 1000"),
        ({"thetas": tuple(range(200)), "steps": tuple(range(1, 100))}, "59,400 points"),
    ],
)
def test_plans_that_cannot_be_run_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        LatticePlan(**given)


def test_memory_is_refused_before_the_first_point(tmp_path):
    plan = LatticePlan("square:9x9", steps=(1, 20), chis=(2, 512))
    with pytest.raises(CapabilityError, match="GiB"):
        run_scan(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_devices_are_lattices_with_their_usual_site():
    assert [load_lattice(name).n_sites for name in DEVICES.values()] == [127, 433, 1121, 5]
    assert LatticePlan().site == 62


def test_summaries_need_no_point_that_is_missing():
    from hybridqies.study.trials.journal import JournalState

    key = "0" * 24
    point = Point(key, 0.3, 2, 4, (1.0,) * 6, 0.0, 0.0, 2, 0.1)
    (row,) = summarise(SMALL, load_lattice("square:2x3"), JournalState(records={key: point}))["rows"]
    assert (row["drift"], row["converged"]) == (None, True)
