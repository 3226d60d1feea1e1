"""Damages every file that a run, a model, a cache, a study and a job journal hold, and reads it again.

    python benchmarks/mutate_records.py --mutations 300

Each file is damaged so many times, by turns with a flipped bit, a changed digit and a cut, and then the
commands that read it are run; what pictures are drawn from is read and not drawn. Exits 1 unless each of them
either refuses the file in one line, with exit code 2, or gives what it gives with the whole file: nothing
changed is accepted, no other exception is raised, and nothing takes longer than --limit seconds. With --only
NAME it damages the files that have NAME in their own name or in that of their subject.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import stress

PREDICT = ["predict", "{}", "a lovely bright film", "a dull bleak film about winter", "--json"]
RESUME = ["train", "--resume", "--out", "{}", "--json"]


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


def mutate(folder: Path, mutations: int, only: str, limit: float, seed: int) -> list[str]:
    """What went wrong in so many mutations of each file."""
    inputs, faults = stress.make_inputs(folder), list[str]()
    stress.import_everything()
    named = [name for name in SUBJECTS if only in name]
    for subject in (SUBJECTS[name](inputs) for name in named or SUBJECTS):
        for name in subject.files():
            if only in f"{subject.name} {name}":
                faults += _mutate_file(subject, name, mutations, limit, random.Random(f"{seed} {name}"))
    print(f"{len(faults)} faults")
    return faults


def _make_run(inputs: stress.Inputs) -> Subject:
    run = _trained(inputs)
    _must(stress.run(_filled(PREDICT, run), inputs.folder / "log"))
    return Subject("run", run, _reading(RESUME, PREDICT))


def _make_unfinished_run(inputs: stress.Inputs) -> Subject:
    cut = inputs.folder / "cut"
    _cut_a_training(inputs, cut, inputs.folder / "log")
    return Subject("unfinished run", cut, _reading(RESUME), _weights)


def _make_cache(inputs: stress.Inputs) -> Subject:
    run = _trained(inputs)
    _must(stress.run(_filled(PREDICT, run), inputs.folder / "log"))
    return Subject("cache", inputs.folder / "cache", lambda _: [_filled(PREDICT, run)])


def _make_study(inputs: stress.Inputs) -> Subject:
    study = inputs.folder / "study"
    sweep = ["sweep", "--data", str(inputs.data), "--encoder", str(inputs.encoder), "--per-class", "20"]
    sweep += ["--seeds", "2", "--arms", "logistic,svc", "--json", "--out", str(study)]
    _must(stress.run(sweep, inputs.folder / "log"))
    return Subject("study", study, _reading(["sweep", "--resume", "--out", "{}", "--json"]))


def _make_jobs(inputs: stress.Inputs) -> Subject:
    jobs = _write_jobs(inputs.folder / "jobs")
    return Subject("jobs", jobs, _reading(["jobs", "list", "--journal", "{}", "--json"]))


# Each is made when its turn comes, from a folder with a tiny encoder and data.
SUBJECTS: dict[str, Callable[[stress.Inputs], Subject]] = {
    "run": _make_run,
    "unfinished run": _make_unfinished_run,
    "cache": _make_cache,
    "study": _make_study,
    "jobs": _make_jobs,
}


def _trained(inputs: stress.Inputs) -> Path:
    """A finished run."""
    run = inputs.folder / "run"
    if not run.exists():
        _must(stress.run(inputs.train(run), inputs.folder / "log"))
    return run


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
    stress.main(mutate, __doc__, mutations=300, only="", limit=20.0, seed=0)
