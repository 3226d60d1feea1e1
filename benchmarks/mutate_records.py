"""Damages every file that a run, a model, a cache, a study and a job journal hold, and reads it again.

    python benchmarks/mutate_records.py --mutations 300

Each file is damaged so many times, by turns with a flipped bit, a changed digit and a cut, and then the
commands that read it are run; what pictures are drawn from is read and not drawn. Exits 1 unless each of them
either refuses the file in one line, with exit code 2, or gives what it gives with the whole file: nothing
changed is accepted, no other exception is raised, and nothing takes longer than --limit seconds.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import stress

TEXTS = ("a lovely bright film", "a dull bleak film about winter")


@dataclass(frozen=True)
class Subject:
    """A folder that was written, and the commands that read it."""

    name: str
    folder: Path
    readers: Callable[[Path], list[list[str]]]
    # What commands may write anew, and then without the damage.
    kept: Callable[[Path], str] = lambda _: ""

    def files(self) -> list[str]:
        """What it holds, but what is drawn and never read, and locks."""
        found = [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]
        return sorted(name for name in found if not name.endswith((".png", ".txt", ".lock")))


def main() -> None:
    """Prints a line a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=300, help="of each file")
    parser.add_argument("--only", default="", help="subjects and files that have this in their names")
    parser.add_argument("--limit", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        faults = mutate(Path(temporary), given.mutations, given.only, given.limit, given.seed)
    sys.exit(bool(faults))


def mutate(folder: Path, count: int, only: str, limit: float, seed: int) -> list[str]:
    """What went wrong in so many mutations of each file."""
    inputs, faults = stress.make_inputs(folder), list[str]()
    stress.import_everything()
    for subject in make_subjects(inputs):
        for name in subject.files():
            if only in f"{subject.name} {name}":
                faults += _mutate_file(subject, name, count, limit, random.Random(f"{seed} {name}"))
    print(f"{len(faults)} faults")
    return faults


def make_subjects(inputs: stress.Inputs) -> list[Subject]:
    """A finished run, one that was killed in training, a cache, a study and a job journal."""
    folder, log = inputs.folder, inputs.folder / "log"
    run, cut, study = folder / "run", folder / "cut", folder / "study"
    predict = ["predict", "{}", *TEXTS, "--json"]
    resume = ["train", "--resume", "--out", "{}", "--json"]
    _must(stress.run(inputs.train(run), log))
    _must(stress.run(_filled(predict, run), log))
    _cut_a_training(inputs, cut, log)
    sweep = ["sweep", "--data", str(inputs.data), "--encoder", str(inputs.encoder), "--per-class", "20"]
    sweep += ["--seeds", "2", "--arms", "logistic,svc", "--json", "--out", str(study)]
    _must(stress.run(sweep, log))
    jobs = _write_jobs(folder / "jobs")
    return [
        Subject("run", run, _reading(resume, predict)),
        Subject("unfinished run", cut, _reading(resume), _weights),
        Subject("cache", folder / "cache", lambda _: [_filled(predict, run)]),
        Subject("study", study, _reading(["sweep", "--resume", "--out", "{}", "--json"])),
        Subject("jobs", jobs, _reading(["jobs", "list", "--journal", "{}", "--json"])),
    ]


def _mutate_file(subject: Subject, name: str, count: int, limit: float, draw: random.Random) -> list[str]:
    log, target = subject.folder.parent / "log", subject.folder
    whole = stress.copy(target, target.with_name("whole-" + target.name))
    try:
        content = (whole / name).read_bytes()
        expected = [_read(subject, command, log, limit) for command in subject.readers(target)]
        faults, seen = list[str](), Counter[str]()
        for damage, changed in stress.mutations(content, draw, count):
            for at, command in enumerate(subject.readers(target)):
                stress.copy(whole, target)
                (target / name).write_bytes(changed)
                found = _read(subject, command, log, limit)
                verdict = _judge(expected[at], found)
                seen[verdict] += 1
                if verdict not in ("refused", "the same"):
                    faults.append(f"{subject.name}/{name}, {damage}, {command[0]}: {verdict}: {found[0]}")
        print(f"{subject.name}/{name}: {', '.join(f'{n} {what}' for what, n in seen.items())}", flush=True)
        print("\n".join(faults[:5]), end="\n" if faults else "", flush=True)
        return faults
    finally:
        stress.copy(whole, target)
        shutil.rmtree(whole)


def _read(subject: Subject, command: Sequence[str], log: Path, limit: float) -> tuple[stress.Ended, str]:
    ended = stress.run(command, log, _read_instead_of_drawing, limit=limit)
    return ended, stress.timeless(ended.out) + (subject.kept(subject.folder) if ended.code == 0 else "")


def _read_instead_of_drawing() -> None:
    """Drawing takes longer than everything else; what it reads is written to where the result goes."""
    from hybridqies import report
    from hybridqies.training.history import read_history

    def read(folder: Path) -> list[Path]:
        print(
            [
                {name: value for name, value in line.items() if name != "seconds"}
                for line in read_history(folder)
            ]
        )
        return []

    report.write_pictures = read


def _judge(expected: tuple[stress.Ended, str], found: tuple[stress.Ended, str]) -> str:
    ended, out = found
    if ended.code is None:
        return "a hang"
    if ended.is_refusal:
        return "refused"
    if ended.code != expected[0].code:
        return "an unexpected end"
    return "the same" if out == expected[1] else "accepted with a change"


def _cut_a_training(inputs: stress.Inputs, out: Path, log: Path) -> None:
    """A run with a checkpoint, killed as soon as it has one."""
    child = stress.start(inputs.train(out, "--epochs", "30"), log)
    while not (out / "checkpoint.safetensors").exists():
        time.sleep(0.001)
    stress.end(child, log, kill_after=0.0)


def _write_jobs(folder: Path) -> Path:
    """A journal with a job that is done, one that failed and one that waits."""
    import numpy as np

    from hybridqies.backends.jobs import Journal
    from hybridqies.backends.jobs.provider import Work
    from hybridqies.circuit import Circuit, Weight, gate

    folder.mkdir()
    journal = Journal(folder / "jobs.jsonl")
    circuit = Circuit.of(2, [gate("RY", 0, Weight(0)), gate("RX", 1, Weight(1)), gate("CNOT", (0, 1))])
    for seed, ending in enumerate(("completed", "failed", "")):
        work = Work("ionq:simulator", (circuit,), np.array([[0.125, 0.5 + seed]]), 100, seed)
        journal.append("intent", work.key(), digests=[circuit.digest()], work=work.to_mapping())
        journal.append("submitted", work.key(), job_id=f"job-{seed}")
        if ending == "completed":
            journal.append(ending, work.key(), counts=[{"00": 61, "11": 39}])
        elif ending:
            journal.append(ending, work.key(), reason="the ion escaped")
    return folder


def _reading(*commands: list[str]) -> Callable[[Path], list[list[str]]]:
    return lambda folder: [_filled(command, folder) for command in commands]


def _filled(command: Sequence[str], folder: Path) -> list[str]:
    return [str(folder) if word == "{}" else word for word in command]


def _weights(folder: Path) -> str:
    return "".join(str(hash(path.read_bytes())) for path in sorted(folder.rglob("model.safetensors")))


def _must(ended: stress.Ended) -> None:
    if ended.code:
        sys.exit(f"a command failed before anything was damaged: {ended}")


if __name__ == "__main__":
    main()
