"""Trackers of a study: every finished trial is shown once, whichever process has run it."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fake_tracker
import pytest
from forked import run_together

from hybridqies.cli.app import run
from hybridqies.records import read_record
from hybridqies.runs.tracking import Tracking, make_trackers
from hybridqies.study.decoders import protocol
from hybridqies.study.decoders.trial import DecoderJournal
from hybridqies.study.kinds import STUDIES
from hybridqies.study.tracking import TrialTracking
from hybridqies.study.trials.dispatch import run_trials
from hybridqies.study.trials.journal import TrialJournal
from hybridqies.study.trials.outcome import Keyed, TrialFailure
from hybridqies.study.trials.trial import Trial, TrialRecord
from hybridqies.tasks import DataOptions

pytestmark = pytest.mark.usefixtures("fake_trackers")
TOLD, FAILS_AT, methods = fake_tracker.TOLD, fake_tracker.FAILS_AT, fake_tracker.methods
SMALL = "--sizes 6k --arms real,tap --seeds 1 --n-tokens 0.5k --rates 0.01 --set training.epochs=2"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.fixture
def words(tmp_path: Path, out: Path) -> list[str]:
    book = tmp_path / "book.txt"
    book.write_text("a cat sat on a mat and saw a dog run away. " * 200, encoding="utf-8")
    return ["scale", "run", "--data", str(book), *SMALL.split(), "--out", str(out), "--json"]


def begun() -> list[str]:
    return [each[1] for each in TOLD if each[0] == "begin"]


def resumed(out: Path, *more: str) -> list[str]:
    """What trackers are told by a command that goes on."""
    TOLD.clear()
    assert run(["scale", "run", "--resume", "--out", str(out), "--json", *more]) == 0
    return methods()


SHOWN = ["begin", "log 1", "log 2", "end"]


class TestCommand:
    @pytest.fixture(autouse=True)
    def _without_pictures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # They take longer than the trials.
        monkeypatch.setattr("hybridqies.cli.studies._show", lambda *_: None)

    def test_each_trial_is_a_training(self, words: list[str], out: Path) -> None:
        assert run([*words, "--log-to", "fake:here"]) == 0
        assert methods() == ["make", "connect", *SHOWN, *SHOWN]
        assert TOLD[0] == ("make", "here")
        assert begun() == ["study/book/real/6k/seed-0", "study/book/tap/6k/seed-0"]
        for told, record in zip((TOLD[2:6], TOLD[6:]), records_of(out), strict=True):
            _, _, config, known = told[0]
            assert known is None
            assert (config["arm"], config["model.training.epochs"]) == (record.trial["arm"], 2)
            assert config["chosen.learning_rate"] == 0.01
            assert [each[1] for each in told[1:3]] == [dict(point) for point in record.curve]
            result = told[3][1]
            assert result["result/test_loss"] == record.test["loss"]
            assert result["result/validation_accuracy"] == record.validation["accuracy"]
            assert result["result/n_parameters"] == record.n_parameters
        assert resumed(out, "--log-to", "fake:here") == ["make", "connect"]

    def test_a_tracker_named_later_gets_what_finished_before(self, words: list[str], out: Path) -> None:
        assert run(words) == 0
        assert not (out / "trackers.json").exists()
        assert resumed(out, "--log-to", "fake") == ["make", "connect", *SHOWN, *SHOWN]
        two = resumed(out, "--log-to", "fake", "--log-to", "fake:other")
        assert two == ["make", "make", "connect", "connect", *SHOWN, *SHOWN]

    def test_an_interrupted_study_goes_on(
        self,
        words: list[str],
        out: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        attempt = protocol.DECODER_TRIALS.attempt

        def stop(trials: Sequence[Any], context: Any) -> Sequence[Keyed]:
            if trials[0].arm == "tap":
                # What finished before is shown by now.
                assert begun() == ["study/book/real/6k/seed-0"]
                raise KeyboardInterrupt
            return attempt(trials, context)

        with monkeypatch.context() as patch:
            patch.setattr(protocol, "DECODER_TRIALS", replace(protocol.DECODER_TRIALS, attempt=stop))
            assert run([*words, "--log-to", "fake:a place"]) == 130
        again = f"hybridqies scale run --resume --out {out} --log-to 'fake:a place'"
        assert f"continue with: {again}\n" in capsys.readouterr().err
        assert methods() == ["make", "connect", *SHOWN]
        assert resumed(out, "--log-to", "fake:a place") == ["make", "connect", *SHOWN]
        assert begun() == ["study/book/tap/6k/seed-0"]

    @pytest.mark.parametrize("method", ["begin", "log 2", "end"])
    def test_a_tracker_that_fails_loses_no_study(
        self, method: str, words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        FAILS_AT.append(method)
        assert run([*words, "--log-to", "fake"]) == 0
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "tracker" in line]
        assert "'fake' failed, and the study goes on without it: RuntimeError: no answer" in line
        assert "secret-word" not in line
        assert read_record(out / "study.json")["done"] == 2
        FAILS_AT.clear()
        later = {"begin": SHOWN, "log 2": ["begin", "log 2", "end"], "end": ["begin", "end"]}
        assert resumed(out, "--log-to", "fake") == ["make", "connect", *later[method], *SHOWN]
        assert TOLD[2][3] == (None if method == "begin" else "training 1")

    @pytest.mark.parametrize(
        ("word", "fails_at", "told"),
        [
            ("fakes", None, "unknown tracker 'fakes'"),
            ("fake", "connect", "tracker 'fake' cannot be used: RuntimeError: no answer"),
            ("fake:https://me:secret-word@host/", None, "a user, a password or a query in it"),
        ],
    )
    def test_what_is_refused_before_any_work(
        self,
        word: str,
        fails_at: str | None,
        told: str,
        words: list[str],
        out: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        FAILS_AT.extend([fails_at] if fails_at else [])
        assert run([*words, "--log-to", word]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert "secret-word" not in error
        assert error.count("\n") == 1
        assert not out.exists()

    def test_a_damaged_record_is_refused_before_any_work(
        self, words: list[str], out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run([*words, "--log-to", "fake"]) == 0
        (out / "trackers.json").write_text("{}")
        monkeypatch.setattr("hybridqies.study.decoders.texts.DecoderSource.load", None)
        assert run(["scale", "run", "--resume", "--out", str(out), "--log-to", "fake"]) == 2
        assert "trackers.json' has no digest" in capsys.readouterr().err


def records_of(folder: Path) -> list[Any]:
    return list(DecoderJournal(folder).state().records.values())


def some_trials(count: int) -> tuple[Trial, ...]:
    return tuple(
        Trial("logistic", "logistic", seed, DataOptions(), "d", "e", "f", "none", "statevector", "t")
        for seed in range(count)
    )


class Quick:
    """An executor whose trials with even seeds have records; the others fail."""

    places = 1

    def __init__(self) -> None:
        self.waiting: list[Trial] = []

    @property
    def running(self) -> int:
        return len(self.waiting)

    @property
    def free(self) -> int:
        return 1 - len(self.waiting)

    def submit(self, trials: Sequence[Trial]) -> None:
        self.waiting.extend(trials)

    def collect(self) -> list[Keyed]:
        trial = self.waiting.pop()
        about = trial.key, trial.to_mapping()
        if trial.seed % 2:
            return [TrialFailure(*about, "ValueError: it broke", 0.1)]
        measured = {"accuracy": trial.seed / 100}
        return [TrialRecord(*about, {"C": 2.0}, (), {}, measured, (0, 1), (1, 1), 3, True, "", 0.5)]


def show_all(folder: Path, planned: Sequence[Trial]) -> None:
    """A command at the study: runs what is missing, and shows what has finished."""
    with (
        Tracking(make_trackers(["fake"], folder), folder, pytest.fail, "study") as tracking,
        TrialJournal(folder) as journal,
    ):
        names = {trial.key: f"logistic/seed-{trial.seed}" for trial in planned}
        tracked = TrialTracking(tracking, journal, names, lambda _: ())
        run_trials(planned, journal, Quick(), on_records=tracked.show)
        tracked.show(wait=True)


class TestTrials:
    def test_heads_have_no_curve_and_failures_are_not_shown(self, out: Path) -> None:
        show_all(out, some_trials(4))
        assert methods() == ["make", "connect", "begin", "end", "begin", "end"]
        assert begun() == ["study/logistic/seed-0", "study/logistic/seed-2"]
        _, _, config, _ = TOLD[4]
        assert (config["head"], config["seed"], config["chosen.C"]) == ("logistic", 2, 2.0)
        assert TOLD[5][1] == {
            "result/n_inputs": 0.0,
            "result/test_accuracy": 0.02,
            "result/n_parameters": 3.0,
            "result/seconds": 0.5,
        }

    def test_several_commands_show_each_trial_once(self, out: Path, tmp_path: Path) -> None:
        planned = some_trials(60)

        def act() -> None:
            show_all(out, planned)
            print([each[1] for each in TOLD if each[0] == "begin"])

        folders = [tmp_path / str(at) for at in range(3)]
        for folder in folders:
            folder.mkdir()
        ended = run_together([(act, folder) for folder in folders])
        assert [each.code for each in ended] == [0, 0, 0], ended
        shown = [ast.literal_eval(each.out) for each in ended]
        names = [f"study/logistic/seed-{seed}" for seed in range(0, 60, 2)]
        assert sorted(itertools.chain(*shown)) == sorted(names)
        known = read_record(out / "trackers.json")["fake"]
        assert set(known) == {trial.key for trial in planned if trial.seed % 2 == 0}
        assert all(each["ended"] for each in known.values())

    def test_one_process_at_a_time_tells_trackers(self, out: Path, tmp_path: Path) -> None:
        (trial,) = some_trials(1)
        with TrialJournal(out) as journal:
            run_trials([trial], journal, Quick())
            with journal.telling(wait=False) as alone:
                assert alone
                (ended,) = run_together([(partial(try_to_show, out, trial), tmp_path)])
            assert (ended.code, ended.out) == (0, "[]\n")
            (ended,) = run_together([(partial(try_to_show, out, trial), tmp_path)])
            assert (ended.code, ended.out) == (0, "['begin', 'end']\n")


def try_to_show(folder: Path, trial: Trial) -> None:
    with (
        Tracking(make_trackers(["fake"], folder), folder, pytest.fail, "study") as tracking,
        TrialJournal(folder) as journal,
    ):
        TrialTracking(tracking, journal, {trial.key: "logistic/seed-0"}, lambda _: ()).show()
    print(methods()[2:])


class TestNames:
    """The same trials in the order that each kind of study has them: seed by seed."""

    def test_a_sweep(self) -> None:
        sweep = STUDIES["sweep"]
        planned = [replace(trial, n_qubits=4, arm="two-module:a/b.toml") for trial in some_trials(2)]
        assert sweep.names(sweep.plan(), [*planned, *some_trials(1)]) == [
            "two-module:a-b.toml/4-qubits/seed-0",
            "two-module:a-b.toml/4-qubits/seed-1",
            "logistic/seed-0",
        ]

    def test_a_screen_counts_runs(self) -> None:
        screen = STUDIES["screen"]
        plan = screen.plan(factors={"layers": [1, 2], "encoders": [2, 8]})
        planned = [trial for trial in some_trials(2) for _ in range(4)]
        assert screen.names(plan, planned)[3:6] == ["run-4/seed-0", "run-1/seed-1", "run-2/seed-1"]

    def test_an_ablation_says_what_is_off(self) -> None:
        ablate = STUDIES["ablate"]
        planned = [trial for trial in some_trials(2) for _ in range(3)]
        names = ablate.names(ablate.plan(modules=("pqc-2", "readout")), planned)
        assert names[:4] == [
            "whole-head/seed-0",
            "pqc-2-off/seed-0",
            "readout-off/seed-0",
            "whole-head/seed-1",
        ]

    def test_a_name_stays_below_its_folder(self) -> None:
        from hybridqies.study.kinds.kind import name_trial

        assert name_trial("../x", "..", "/etc", "a b", seed=3) == "--x/-/-etc/a-b/seed-3"
