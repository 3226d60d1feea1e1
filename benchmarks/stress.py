"""What the scripts share that put trainings, studies and their files under stress.

Commands run in forked processes of one that has imported everything: a training of a tiny model then takes
less than a second, and a kill can come in its first millisecond.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["HYBRIDQIES_PROGRESS"] = "off"

POSITIVE = ("lovely", "bright", "superb", "warm", "brilliant", "joyful")
NEGATIVE = ("dull", "bleak", "awful", "cold", "dreadful", "tedious")
NEUTRAL = ("a", "film", "about", "the", "sea", "and", "two", "old", "friends", "in", "winter", "with", "long")
# Times are of the machine; a digest covers them.
_OF_THE_MACHINE = re.compile(
    r'"(seconds|digest|sum|time|times|process|host|epochs_measured|peak_memory_bytes|joules)": '
    r'("[^"]*"|[-+.e0-9]+|null)'
)


@dataclass(frozen=True)
class Inputs:
    """A tiny encoder's folder and a data file, for commands in `folder`."""

    folder: Path
    encoder: Path
    data: Path

    def train(self, out: Path, *more: str) -> list[str]:
        """A short training with a circuit, compared with one classical head."""
        given = ["train", "--data", str(self.data), "--encoder", str(self.encoder), "--out", str(out)]
        given += ["--head", "dressed", "--qubits", "2", "--epochs", "3", "--compare", "logistic", "--json"]
        return [*given, *more]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (-9 after a kill, None after a hang) and what it wrote."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def is_refusal(self) -> bool:
        """Whether it ended as bad input should: exit code 2 and one line."""
        return self.code == 2 and self.err.count("\n") == 1 and self.err.startswith("hybridqies: ")

    def __str__(self) -> str:
        return f"exit code {self.code} after {self.seconds:.1f} s: {self.err[-300:]!r}"


def main(script: Callable[..., list[str] | int], doc: str | None, **options: Any) -> NoReturn:
    """Runs a script in a temporary folder and exits 1 if it finds faults.

    `options` are the arguments that `script` takes after the folder, with their defaults.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        faults = script(Path(temporary), **vars(given))
    sys.exit(bool(faults))


def make_inputs(folder: Path) -> Inputs:
    """An untrained BERT of one layer and 120 rows of data, and a cache of its own, in `folder`."""
    os.environ["HYBRIDQIES_CACHE"] = str(folder / "cache")
    encoder, data = folder / "tiny", folder / "reviews.csv"
    encoder.mkdir(parents=True)
    _make_encoder(encoder)
    draw = random.Random(7)
    rows: dict[str, str] = {}
    while len(rows) < 120:
        label = "good" if len(rows) % 2 else "bad"
        words = draw.sample(POSITIVE if label == "good" else NEGATIVE, 3) + draw.sample(NEUTRAL, 3)
        draw.shuffle(words)
        rows.setdefault(" ".join(words), label)
    data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows.items()))
    return Inputs(folder, encoder, data)


def _make_encoder(folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *POSITIVE, *NEGATIVE, *NEUTRAL]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(words), max_position_embeddings=32, initializer_range=0.05, **sizes)
    BertModel(config).save_pretrained(folder)
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"))
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(kinds)
    ]
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling").mkdir()
    for name, content in {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
        "1_Pooling/config.json": pooling,
    }.items():
        (folder / name).write_text(json.dumps(content))


def import_everything() -> None:
    """Imports what commands need, so that forked processes begin with their work.

    It runs no kernel: their threads would not survive a fork.
    """
    for name in (
        "matplotlib.backends.backend_agg",
        "matplotlib.figure",
        "sentence_transformers",
        "sklearn.linear_model",
        "sklearn.svm",
        "pydantic.type_adapter",
        "hybridqies.backends.statevector",
        "hybridqies.cli.app",
        "hybridqies.engine.cpu_kernels",
        "hybridqies.heads.dressed",
        "hybridqies.heads.logistic",
        "hybridqies.report",
        "hybridqies.runs.execution",
    ):
        importlib.import_module(name)


def start(arguments: Sequence[str], log: Path, before: Callable[[], None] | None = None) -> int:
    """Runs the program in a forked process that writes to `log`.out and .err; first it calls `before`."""
    from hybridqies.cli.app import run

    child = os.fork()
    if child:
        return child
    try:
        for descriptor, ending in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{log}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.stdout, sys.stderr = (os.fdopen(each, "w", encoding="utf-8") for each in (1, 2))
        if before is not None:
            before()
        code = run(list(arguments))
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end(child: int, log: Path, limit: float = 120.0, kill_after: float | None = None) -> Ended:
    """Waits for a started process, kills it after so many seconds, and says how it ended."""
    begun = time.monotonic()
    patience = limit if kill_after is None else kill_after
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - begun
        if found:
            break
        if seconds >= patience:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.0005 if seconds < 0.05 else 0.005)
    code: int | None = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL and kill_after is None and seconds >= limit:
        code = None
    out, err = (Path(f"{log}.{ending}") for ending in ("out", "err"))
    read = [path.read_text(errors="replace") if path.exists() else "" for path in (out, err)]
    return Ended(code, *read, seconds)


def run(arguments: Sequence[str], log: Path, before: Callable[[], None] | None = None, **how: Any) -> Ended:
    """Starts the program and waits for its end."""
    return end(start(arguments, log, before), log, **how)


def killed_at(change: int) -> Callable[[], None]:
    """Has the process kill itself just before its n-th change of a file or folder, counted from 0."""
    left = change

    def count_down() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    return _before_changes(count_down)


def counted(descriptor: int) -> Callable[[], None]:
    """Has the process write a byte there before each change of a file or folder."""
    return _before_changes(lambda: os.write(descriptor, b"."))


def _before_changes(act: Callable[[], object]) -> Callable[[], None]:
    """Has the process call `act` before each change of a file or folder."""

    def look(event: str, given: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.truncate"):
            act()

    return lambda: sys.addaudithook(look)


def limited_to(bytes_a_file: int) -> Callable[[], None]:
    """Lets the process write so many bytes to a file: a small disk without being root."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, resource.RLIM_INFINITY))


def differences(whole: Path, cut: Path) -> list[str]:
    """What is not the same in two run folders: files, weights, and results but for their times."""
    names = [{str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in (whole, cut)]
    found = [f"only in one folder: {name}" for name in sorted(names[0] ^ names[1])]
    for name in sorted(names[0] & names[1]):
        if name.endswith("checkpoint.safetensors"):
            # It holds the times of epochs.
            continue
        if name.endswith((".safetensors", ".png", ".txt")):
            same = (whole / name).read_bytes() == (cut / name).read_bytes()
        elif name.endswith((".json", ".jsonl")) and not name.endswith("config.json"):
            same = timeless((whole / name).read_text()) == timeless((cut / name).read_text())
        else:
            continue
        if not same:
            found.append(f"another content: {name}")
    return found


def timeless(text: str) -> str:
    """A record without what depends on the machine and the hour."""
    return _OF_THE_MACHINE.sub(r'"\1": 0', text)


def complete(inputs: Inputs, out: Path, log: Path, *flags: str) -> Ended:
    """Goes on with a run that was killed: resumes it, or where it had not begun starts it again."""
    ended = run(["train", "--resume", "--out", str(out), "--json"], log)
    if ended.is_refusal:
        ended = run(inputs.train(out, *flags), log)
    return ended


def mutations(content: bytes, draw: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Damaged copies by turns: a flipped bit, a changed digit, a cut at the end."""
    digits = [at for at, byte in enumerate(content) if chr(byte).isdigit() and byte < 128]
    for number in range(count):
        at = draw.randrange(len(content))
        if number % 3 == 0:
            bit = draw.randrange(8)
            yield (
                f"bit {bit} of byte {at}",
                content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :],
            )
        elif number % 3 == 1 and digits:
            at = draw.choice(digits)
            other = draw.choice([digit for digit in b"0123456789" if digit != content[at]])
            yield f"digit at byte {at}", content[:at] + bytes([other]) + content[at + 1 :]
        else:
            yield f"cut at byte {at}", content[:at]


def copy(source: Path, target: Path) -> Path:
    """A fresh copy of a folder."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
