"""Kills evaluations at random moments, restarts them, and counts what a service was asked to run.

    python benchmarks/kill_jobs.py --evaluations 100

A head is trained on the built-in data and evaluated on `ionq:simulator`: the real client, against a server
on the loopback interface that follows IonQ's REST API and misbehaves at random (too many requests, overload,
errors, lost connections before and after a job was accepted, truncated answers, hangs). An evaluation is
killed (SIGKILL) at a random moment and started again, some several times, until it is through; one that no
kill has met does not count. Exits 1 unless every evaluation
ends in the very record of one that nothing disturbed, and the service has accepted every job exactly once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hybridqies.backends import JobSettings, load_backend
from hybridqies.backends.jobs import Journal, Retry
from hybridqies.files import write_json
from hybridqies.runs import DataOptions, RunConfig, evaluate_run, execute, prepare, start_run
from hybridqies.text import load_dataset
from hybridqies.training import TrainingConfig

# The server's, which is no secret.
TOKEN = "loopback-key-5d0c2b"
TEXTS, SHOTS = 240, 200
# About one request in ten goes wrong, in one of these ways.
FAULTS = [
    {"kind": "429", "rate": 0.02},
    {"kind": "500", "rate": 0.01},
    {"kind": "503", "rate": 0.02},
    {"kind": "drop", "rate": 0.01},
    {"kind": "drop", "accepted": True, "rate": 0.02},
    {"kind": "truncate", "rate": 0.01},
    {"kind": "hang", "seconds": 0.2, "rate": 0.01},
]
# Settling is longer than a hang: what was in flight when its sender died has been accepted by then, or never.
PATIENCE = Retry(
    tries=50, first_seconds=0.02, settle_seconds=0.6, poll_seconds=0.02, longest_poll_seconds=0.1
)
TESTS = Path(__file__).resolve().parents[1] / "tests"


def main() -> None:
    """Runs the proof and prints one line an evaluation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ["IONQ_API_KEY"] = TOKEN
    with tempfile.TemporaryDirectory() as temporary:
        wrong = prove(Path(temporary), given.evaluations, random.Random(given.seed))
    print("\n".join(wrong) or "every evaluation was completed; every job was accepted exactly once")
    sys.exit(bool(wrong))


def prove(folder: Path, evaluations: int, draw: random.Random) -> list[str]:
    """What went wrong in so many evaluations that were killed at least once."""
    here = Evaluation(folder)
    run(lambda: train(here.model, here.texts), None)
    with served(folder, 0, []) as url:
        calm = here.at(url, "calm")
        run(calm.evaluate, None)
        seconds = timed(here.at(url, "timed").evaluate)
    wrong: list[str] = []
    killed = kills = begun = jobs = 0
    while killed < evaluations:
        begun += 1
        with served(folder, draw.getrandbits(31), FAULTS) as url:
            own = here.at(url, str(begun))
            died = 0
            # One kill in four is followed by another, after the restart.
            while run(own.evaluate, draw.uniform(0, 1) * seconds):
                died += 1
                if draw.random() < 0.75:
                    # What is left takes no longer than all of it: the next kill falls within the run.
                    seconds = max(0.5, min(seconds, timed(own.evaluate)))
                    break
            accepted = accepted_at(url)
        wrong += [f"evaluation {begun}: {each}" for each in own.differences(calm, accepted)]
        killed, kills, jobs = killed + (died > 0), kills + died, jobs + len(accepted)
        print(f"evaluation {begun}: {died} kills, {len(accepted)} jobs; {kills} kills so far", flush=True)
    print(
        f"{kills} kills; {killed} evaluations of {TEXTS} circuits each were killed and completed; {jobs} jobs"
    )
    return wrong


def timed(what: Callable[[], None]) -> float:
    """Seconds that it takes, left alone."""
    started = time.perf_counter()
    run(what, None)
    return time.perf_counter() - started


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of the model in `folder` at a server, under a name of its own."""

    folder: Path
    url: str = ""
    name: str = ""

    @property
    def model(self) -> Path:
        """The run that is evaluated."""
        return self.folder / "model"

    @property
    def texts(self) -> Path:
        """What it is evaluated on."""
        return self.folder / "texts.jsonl"

    @property
    def journal(self) -> Path:
        """Where its jobs are kept."""
        return self.folder / f"{self.name}-jobs.jsonl"

    @property
    def record(self) -> Path:
        """What came of it."""
        return self.folder / f"{self.name}.json"

    def at(self, url: str, name: str) -> Evaluation:
        """The same evaluation elsewhere."""
        return Evaluation(self.folder, url, name)

    def evaluate(self) -> None:
        """Runs to the end and writes the record."""
        os.environ["IONQ_API_URL"] = f"{self.url}/v0.4"
        backend = load_backend(f"ionq:simulator,shots={SHOTS}")
        backend.jobs = JobSettings(journal=self.journal, retry=PATIENCE)  # type: ignore[attr-defined]
        record = evaluate_run(self.model, DataOptions(str(self.texts)), "test", backend=backend)
        write_json(self.record, record)

    def differences(self, calm: Evaluation, accepted: Counter[str]) -> list[str]:
        """What is not as it should be."""
        found = [f"job {key} was accepted {count} times" for key, count in accepted.items() if count != 1]
        if not self.record.exists() or json.loads(self.record.read_text()) != json.loads(
            calm.record.read_text()
        ):
            found.append("its record is not that of an undisturbed one")
        records = Journal(self.journal).records()
        if set(records) != set(accepted) or any(each.counts is None for each in records.values()):
            found.append("the journal and the service know different jobs")
        if TOKEN in self.journal.read_text():
            found.append("the key is in the journal")
        return found


def train(model: Path, texts: Path) -> None:
    """A small head on a few built-in texts, and a file of others."""
    config = RunConfig(
        data=DataOptions(per_class=60),
        n_qubits=4,
        settings={"encoders": 1},
        compare=(),
        training=TrainingConfig(epochs=2),
    )
    prepared = prepare(config)
    start_run(prepared, model)
    execute(prepared, model)
    examples = load_dataset("sms_spam", "text", "label").train
    pairs = list(zip(examples.texts, examples.labels, strict=True))[:TEXTS]
    texts.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs))


def run(what: Callable[[], None], seconds: float | None) -> bool:
    """Does it in a process of its own; whether that was killed before it was through, after so many seconds.

    The parent only ever imports: what it had started in threads would be missing in the child.
    """
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            what()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code > 0:
        sys.exit("a process ended with an error of its own")
    return code < 0


@contextlib.contextmanager
def served(folder: Path, seed: int, faults: list[dict[str, Any]]) -> Iterator[str]:
    """A server in a process of its own: its address."""
    port = folder / f"port-{seed}"
    control = json.dumps({"random": faults, "polls": 3})
    command = [sys.executable, "-m", "backends.ionq_server", "--port-file", str(port)]
    process = subprocess.Popen([*command, "--seed", str(seed), "--control", control], cwd=TESTS)
    try:
        while not port.exists():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port.read_text().strip()}"
    finally:
        process.kill()
        process.wait()
        port.unlink(missing_ok=True)


def accepted_at(url: str) -> Counter[str]:
    """How many jobs the server has accepted for each key."""
    with urllib.request.urlopen(f"{url}/control") as answer:
        jobs = json.load(answer)["jobs"]
    return Counter(job["metadata"]["hybridqies_key"] for job in jobs)


if __name__ == "__main__":
    main()
