"""`hybridqies sweep`: one command from texts to a table, resumed, printed as TOML, refused in one line."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Ended, run_forked

from hybridqies.cli.app import run
from hybridqies.errors import InputError
from hybridqies.records import read_record
from hybridqies.study import protocol
from hybridqies.study.trials.journal import TrialJournal

pytestmark = pytest.mark.usefixtures("own_cache")


def stopped(arguments: list[str], trials: int, how: signal.Signals, folder: Path) -> Ended:
    """The program, dying by its own hand in the middle of a trial once so many are recorded."""
    attempt, done = protocol.HEAD_TRIALS.attempt, list[object]()

    def stop(group: Any, context: Any) -> Any:
        if len(done) >= trials:
            os.kill(os.getpid(), how)
        done.extend(group)
        return attempt(group, context)

    def act() -> int:
        protocol.HEAD_TRIALS = replace(protocol.HEAD_TRIALS, attempt=stop)
        return run(arguments)

    return run_forked(act, folder)


@pytest.fixture
def flags(reviews: Path, tiny_encoder: Path) -> list[str]:
    given = ["sweep", "--data", str(reviews), "--encoder", str(tiny_encoder), "--per-class", "20"]
    given += ["--qubits", "2:3", "--seeds", "2", "--arms", "two-module,matched-mlp,logistic"]
    given += ["--set", "training.epochs=2", "--set", "two-module.encoders=1"]
    return [*given, "--set", "two-module.encoder.layers=1"]


def read(folder: Path) -> dict[str, object]:
    """`study.json` without the times."""
    result: dict[str, object] = read_record(folder / "study.json")
    for cell in result["cells"]:  # type: ignore[attr-defined]
        cell.pop("seconds")
    return result


def test_the_whole_way(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sweep"
    assert run([*flags, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for told in ("two-module", "matched-mlp", "the reference", "was shown", "cannot show any difference"):
        assert told in printed
    assert {path.name for path in out.iterdir()} == {
        "study.toml", "trials.jsonl", "trials.lock", "study.json", "sweep.png",
    }  # fmt: skip
    assert (read(out)["trials"], read(out)["done"], read(out)["failed"]) == (10, 10, 0)
    again = tmp_path / "again"
    assert run(["sweep", str(out / "study.toml"), "--out", str(again), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 10
    assert read(again) == read(out)


def test_printed_toml_is_the_study(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*flags, "--print-toml", "--out", str(tmp_path / "none")]) == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "none").exists()
    (tmp_path / "study.toml").write_text(printed)
    assert run(["sweep", str(tmp_path / "study.toml"), "--print-toml"]) == 0
    assert capsys.readouterr().out == printed


def test_killed_and_interrupted_it_goes_on_to_the_same_result(flags: list[str], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run([*flags, "--out", str(whole), "--json"]) == 0
    assert stopped([*flags, "--out", str(cut)], 3, signal.SIGKILL, tmp_path).code == -signal.SIGKILL
    again = ["sweep", "--resume", "--out", str(cut)]
    done = stopped(again, 4, signal.SIGINT, tmp_path)
    assert (done.code, done.out) == (130, "")
    assert done.err == f"hybridqies: interrupted; continue with: hybridqies sweep --resume --out {cut}\n"
    assert run([*again, "--json"]) == 0
    assert read(cut) == read(whole)
    claims = TrialJournal(cut).state().claims
    # The kill met two trials that train together, the interrupt one.
    assert sum(claims.values()) == len(claims) + 3 == 13
    assert (cut / "trials.lock").stat().st_size == 0


def test_an_interrupted_study_on_a_gpu_is_continued_there(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any, **_: Any) -> None:
        (given[2] / "study.toml").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridqies.study.conduct.run_study", interrupted)
    assert run([*flags, "--device", "cuda", "--out", str(tmp_path)]) == 130
    assert f"hybridqies sweep --resume --out {tmp_path} --device cuda\n" in capsys.readouterr().err


def test_what_failed_is_run_again_when_asked(
    reviews: Path,
    tiny_encoder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "sweep"
    given = ["sweep", "--data", str(reviews), "--encoder", str(tiny_encoder), "--per-class", "20"]
    assert run([*given, "--seeds", "2", "--arms", "logistic,svc", "--out", str(out)]) == 0
    whole = read(out)
    journal = out / "trials.jsonl"
    *others, done = (json.loads(line) for line in journal.read_text().splitlines()[1:])
    failure = {"key": done["key"], "trial": done["record"]["trial"], "error": "MemoryError: ", "seconds": 1.0}
    failed = {"key": done["key"], "time": done["time"], "event": "failed", "failure": failure}
    journal.unlink()
    for event in (*others, failed):
        TrialJournal(out)._append({name: value for name, value in event.items() if name != "sum"})
    before, again = journal.read_text(), ["sweep", "--resume", "--out", str(out), "--json"]
    assert run(again) == 0
    assert (read(out)["done"], read(out)["failed"], journal.read_text()) == (3, 1, before)
    assert run([*again, "--retry-failed"]) == 0
    assert read(out) == whole
    first = len(before.splitlines()[0])
    assert journal.read_text()[first:].startswith(before[first:])
    assert (TrialJournal(out).state().about or {})["device"] == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    capsys.readouterr()
    assert run([*again, "--device", "cuda"]) == 2
    told = capsys.readouterr().err
    assert "was begun on cpu, and was to be continued on cuda; expected --device cpu" in told
    assert told.count("\n") == 1
    plan = out / "study.toml"
    assert plan.read_text().count("validation_fraction = 0.15") == 1
    # What the plan asks for is not looked at: there is no such data.
    for was, now in (("fraction = 0.15", "fraction = 0.25"), (str(reviews), "/no/such.csv")):
        plan.write_text(plan.read_text().replace(was, now))
        assert run(again) == 2
        assert "was begun with another plan" in capsys.readouterr().err
    assert read(out) == whole


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ["--qubits", "x"],
            "--qubits was given 'x'; expected a whole number, several as 2,4,8, or a rising range",
        ),
        (["--seeds", "0"], "--seeds was given '0'; expected how many, 1 to 10,000, or the seeds themselves"),
        (["--arms", "two-modul"], "did you mean 'two-module'"),
        (["--reference", "svc"], "unknown arm of this study 'svc'"),
        (["--set", "encoders=2"], "expected training.KEY=VALUE for every arm, or ARM.KEY=VALUE"),
        (["--budget", "0"], "a search budget of 0"),
        (["--scaling", "some"], "unknown value for --scaling: 'some'"),
        (["--backend", "ionq:simulator"], "is a remote service"),
        (["--resume"], "--resume was given together with --data"),
        (["--retry-failed"], "--retry-failed was given without --resume; expected both"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    given: list[str], told: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    assert run([*flags, *given, "--out", str(out)]) == 2
    complaint = capsys.readouterr().err
    assert told in complaint
    assert complaint.count("\n") == 1
    assert not out.exists()


def test_settings_of_an_arm_whose_name_begins_with_another_s() -> None:
    from hybridqies.study.kinds.kind import group_settings

    arms = ("two-module", "two-module-product")
    training, options = group_settings({"two-module-product.layers": 3, "training.epochs": 4}, arms)
    assert (training, options) == ({"epochs": 4}, {"two-module-product": {"layers": 3}})
    with pytest.raises(InputError, match=r"--set was given 'svc\.C'"):
        group_settings({"svc.C": 1}, arms)
