"""The readers that `fuzz_readers.py` fuzzes: how each is called, and what it is given at first.

A reader of digested files gets its content without digests and signs it, because a digest that does not fit
would refuse nearly every input before deeper code sees it.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_seeds
import stress

Read = Callable[[bytes, Path], None]
_PATH = re.compile(r"(^|[=,:])\s*[/~]|\.\.")


@dataclass(frozen=True)
class Reader:
    """One entry of the package that takes what a stranger may have written.

    `seeds` gives the first inputs; both may put files into the folder that they are given.
    """

    name: str
    read: Read
    seeds: Callable[[Path], Sequence[bytes]]
    dictionary: tuple[str, ...] = ()


def _file(name: str, load: Callable[[Path], object]) -> Read:
    """A reader of one file, under that name."""

    def read(content: bytes, folder: Path) -> None:
        (folder / name).write_bytes(content)
        load(folder / name)

    return read


def _given(*contents: bytes) -> Callable[[Path], Sequence[bytes]]:
    return lambda _: contents


def _lay_out(path: Path) -> None:
    from hybridqies.circuit import load_recipe

    recipe = load_recipe(path)
    recipe.build(recipe.usual_qubits, {})


def _evaluate(content: bytes, _: Path) -> None:
    from hybridqies.circuit.expressions import evaluate, whole_numbers
    from hybridqies.errors import HybridqiesError

    text = content.decode("utf-8", "replace")
    for read in (evaluate, whole_numbers):
        with contextlib.suppress(HybridqiesError):
            read(text, {"n": 4, "layers": 2})


def _load_data(path: Path) -> None:
    from hybridqies.text import load_dataset

    load_dataset(path).describe()


def _load_texts(path: Path) -> None:
    from hybridqies.text import read_table

    read_table(path)


def _objects(content: bytes) -> list[dict[str, Any]]:
    """The lines that are JSON objects; what else stands in a line would fail at its checksum."""
    found = []
    for line in content.split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return [each for each in found if isinstance(each, dict)]


def _read_result(content: bytes, folder: Path) -> None:
    from hybridqies.runs.folder import RESULT, read_result

    _sign(folder / RESULT, content)
    read_result(folder)


def _sign(path: Path, content: bytes) -> None:
    """The record as it is where it is no JSON object, else with a digest that fits."""
    from hybridqies.records import digest_of

    for record in _objects(content.replace(b"\n", b" ")):
        plain = {name: each for name, each in record.items() if name != "digest"}
        content = json.dumps(plain | {"digest": digest_of(plain)}).encode()
    path.write_bytes(content)


def _read_history(content: bytes, folder: Path) -> None:
    from hybridqies.errors import InputError
    from hybridqies.records import write_lines
    from hybridqies.training.history import METRICS, read_history

    try:
        write_lines(folder / METRICS, _objects(content))
    except InputError:
        (folder / METRICS).write_bytes(content)
    read_history(folder)


def _write_journal(path: Path, name: str, content: bytes) -> None:
    """A journal whose lines are those of `content` that can be sealed."""
    from hybridqies.records import LineSeal

    seal, lines = LineSeal(name.encode(), all_sealed=True), b""
    for each in _objects(content):
        with contextlib.suppress(ValueError):
            lines += seal.seal(each)
    first = b'{"format": "%s", "version": 2, "bytes": "%015d"}\n'
    size = len(first % (name.encode(), 0)) + len(lines)
    path.write_bytes(first % (name.encode(), size) + lines)


def _read_jobs(content: bytes, folder: Path) -> None:
    from hybridqies.backends.jobs import Journal
    from hybridqies.errors import InputError

    _write_journal(folder / "jobs.jsonl", Journal.format, content)
    for record in Journal(folder).records().values():
        with contextlib.suppress(InputError):
            record.work()


def _read_trials(content: bytes, folder: Path) -> None:
    from hybridqies.study.trials.journal import FILE_NAME, TrialJournal

    _write_journal(folder / FILE_NAME, TrialJournal.format, content)
    with TrialJournal(folder) as journal:
        journal.state()


def _read_tensors(content: bytes, folder: Path) -> None:
    from hybridqies.tensors import load_tensors

    _sign_tensors(folder / "model.safetensors", content)
    load_tensors(folder / "model.safetensors")


def _sign_tensors(path: Path, content: bytes) -> None:
    """The file as it is where it holds no tensors, else with a digest that fits."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from hybridqies.tensors import save_tensors

    path.write_bytes(content)
    with contextlib.suppress(SafetensorError, ValueError, RuntimeError, KeyError, TypeError):
        save_tensors(path, load(content), {"head": "dressed"})


def _read_config(content: bytes, folder: Path) -> None:
    """A model whose configuration has a digest that fits, the true hashes of its files, and anything else."""
    from hybridqies.saved_model import load_model

    model = stress.copy(fuzz_seeds.model(folder), folder / "damaged")
    for record in _objects(content.replace(b"\n", b" ")):
        content = _with_true_hashes(record, model, fuzz_seeds.encoder(folder).fingerprint)
    _sign(model / "config.json", content)
    load_model(model, encoder=fuzz_seeds.encoder(folder))


def _read_weights(content: bytes, folder: Path) -> None:
    """A model whose weights are others, with digests that fit."""
    from hybridqies.saved_model import load_model

    model = stress.copy(fuzz_seeds.model(folder), folder / "damaged")
    _sign_tensors(model / "model.safetensors", content)
    record = json.loads((model / "config.json").read_bytes())
    _sign(model / "config.json", _with_true_hashes(record, model, fuzz_seeds.encoder(folder).fingerprint))
    load_model(model, encoder=fuzz_seeds.encoder(folder))


def _with_true_hashes(record: dict[str, Any], model: Path, encoder: str) -> bytes:
    from hybridqies.files import sha256_of

    if isinstance(record.get("model"), dict):
        record["model"]["weights_sha256"] = sha256_of(model / "model.safetensors")
        record["model"]["trained_on_sha256"] = sha256_of(model / "trained_on.json")
        if isinstance(record["model"].get("encoder"), dict):
            record["model"]["encoder"]["fingerprint"] = encoder
    return json.dumps(record).encode()


def _read_encoder(content: bytes, folder: Path) -> None:
    from hybridqies.text.model_folder import find_model

    fuzz_seeds.encoder(folder)
    place = folder / "encoder"
    if not place.exists():
        stress.copy(folder / "inputs" / "tiny", place)
    (place / "modules.json").write_bytes(content)
    found = find_model(str(place))
    found.dimension()
    found.max_tokens()
    found.fingerprint()


def _read_shard(content: bytes, folder: Path) -> None:
    """A shard of the embedding cache under the name of its own content."""
    import hashlib

    import torch

    from hybridqies.text.cache import EmbeddingCache

    place = folder / "embeddings" / "tiny"
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{hashlib.sha256(content).hexdigest()}.safetensors"
    path.write_bytes(content)
    try:
        EmbeddingCache(folder).fill("tiny", {bytes(32): 0}, torch.empty(1, 4))
    finally:
        path.unlink()


def _read_plans(content: bytes, folder: Path) -> None:
    from hybridqies.errors import HybridqiesError
    from hybridqies.study.kinds import STUDIES
    from hybridqies.study.plan_file import read_plan

    path = folder / "study.toml"
    path.write_bytes(content)
    for kind in STUDIES.values():
        with contextlib.suppress(HybridqiesError):
            read_plan(path, kind.plan)


def _read_rates(path: Path) -> None:
    from hybridqies.backends.rates import Rates

    rate = Rates.read(path).of("ionq:qpu.aria-1")
    if rate is not None:
        rate.describe()
        rate.price(jobs=1, circuits=2, shots=100, gates_1q=3.0, gates_2q=4.0)


def _read_backend(content: bytes, _: Path) -> None:
    from hybridqies.backends import load_backend

    load_backend(content.decode("utf-8", "replace"))


def _read_settings(content: bytes, _: Path) -> None:
    from hybridqies.cli.output import read_settings
    from hybridqies.heads.registry import head_class
    from hybridqies.heads.settings import head_options
    from hybridqies.options import from_mapping
    from hybridqies.training import TrainingConfig

    name, _, words = content.decode("utf-8", "replace").partition("\n")
    settings = read_settings(words.split("\n"))
    prefix = "training."
    own = {key.removeprefix(prefix): settings[key] for key in settings if key.startswith(prefix)}
    from_mapping(TrainingConfig, own, what="training option")
    others = {key: value for key, value in settings.items() if not key.startswith(prefix)}
    from_mapping(head_class(name).Config, head_options(name, others), what="option")


def _run_command(content: bytes, folder: Path) -> None:
    """The program on these arguments. None names a path outside the folder, and data is never there."""
    from hybridqies.cli.app import BAD_INPUT, INTERRUPTED, run

    words = content.decode("utf-8", "replace").split("\n")
    if any(_PATH.search(word) for word in words):
        return
    if words and words[0] in ("train", "sweep", "screen", "ablate", "encode"):
        words[1:1] = ["--data", "nowhere.csv"] if words[0] != "encode" else []
        words = [word for word in words if word not in ("demo", "--data")] if words[0] == "encode" else words
    out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words)
    finally:
        os.chdir(here)
    if code not in (0, 1, BAD_INPUT, INTERRUPTED):
        raise AssertionError(f"exit code {code}")
    lines = [line for line in err.getvalue().splitlines() if not line.startswith("INFO: Instrumenting")]
    if code == BAD_INPUT and len(lines) > 1:
        raise AssertionError(f"{len(lines)} lines: {lines}")


READERS: dict[str, Reader] = {
    each.name: each
    for each in (
        Reader(
            "recipe",
            _file("own.toml", _lay_out),
            fuzz_seeds.recipes,
            ("repeat", "blocks", "[[layers]]", "**"),
        ),
        Reader(
            "expression", _evaluate, _given(b"layers * (n - 1)", b"0..n-1", b"max(n, 2) ** 3 if n else 1")
        ),
        Reader(
            "openqasm",
            _file("own.qasm", _lay_out),
            fuzz_seeds.programs,
            ("qubit[", "ctrl @ ", "gate ", "measure"),
        ),
        Reader("csv", _file("data.csv", _load_data), _given(fuzz_seeds.TABLE, fuzz_seeds.PAIRS)),
        Reader("tsv", _file("data.tsv", _load_data), _given(fuzz_seeds.TABLE.replace(b",", b"\t"))),
        Reader(
            "jsonl",
            _file("data.jsonl", _load_data),
            _given(fuzz_seeds.ROWS, fuzz_seeds.ROWS.replace(b'"label"', b'"text_pair": "a sea", "label"')),
        ),
        Reader(
            "json",
            _file("data.json", _load_data),
            _given(b"[" + fuzz_seeds.ROWS.strip().replace(b"\n", b",") + b"]"),
        ),
        Reader("gzip", _file("data.csv.gz", _load_data), _given(gzip.compress(fuzz_seeds.TABLE, mtime=0))),
        Reader("spreadsheet", _file("data.xlsx", _load_data), fuzz_seeds.spreadsheet),
        Reader("parquet", _file("data.parquet", _load_data), fuzz_seeds.parquet),
        Reader("lines of text", _file("texts.txt", _load_texts), _given(b"a film\na sea\r\n")),
        Reader(
            "result record",
            _read_result,
            _given(
                b'{"head": "svc", "circuit": null, "n_qubits": null, "n_parameters": 3, "accuracy": 0.5, '
                b'"validation_accuracy": 0.5, "macro_f1": 0.5, "seconds": 1, "best_epoch": 1, "n_test": 4, '
                b'"classes": ["bad", "good"], "confusion": [[1, 1], [1, 1]], "data_fingerprint": "a", '
                b'"encoder_fingerprint": "b"}'
            ),
        ),
        Reader(
            "training record", _read_history, _given(b'{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": 0.4}')
        ),
        Reader("job journal", _read_jobs, fuzz_seeds.jobs, ("event", "cancelled", "again", "counts")),
        Reader("trial journal", _read_trials, fuzz_seeds.trials, ("event", "retried", "claimed", "failed")),
        Reader("tensors", _read_tensors, fuzz_seeds.tensors),
        Reader("model configuration", _read_config, fuzz_seeds.configs),
        Reader("model weights", _read_weights, fuzz_seeds.tensors),
        Reader("encoder folder", _read_encoder, fuzz_seeds.modules),
        Reader("cache shard", _read_shard, fuzz_seeds.shards),
        Reader("study", _read_plans, fuzz_seeds.plans),
        Reader("rates", _file("rates.toml", _read_rates), _given(fuzz_seeds.RATES)),
        Reader(
            "backend",
            _read_backend,
            _given(
                b"statevector,shots=100,p1=0.01",
                b"aer:density_matrix,p2=0.01,shots=100",
                b"pennylane:default.qubit",
                b"ionq:simulator,shots=100,noise_model=aria-1",
                b"ibm:fake_manila,shots=100",
            ),
        ),
        Reader(
            "settings",
            _read_settings,
            _given(
                b"dressed\nn_qubits=3\ncircuit.layers=2\ntraining.epochs=3\ntraining.rates.readout=0.1",
                b"two-module\nencoder.layers=4\ntraining.weight_decay=0",
                b"mlp\nwidths=8,4\ndropout=0.1",
            ),
        ),
        Reader(
            "command line",
            _run_command,
            lambda _: fuzz_seeds.COMMANDS,
            ("--json", "--resume", "--help", "--out"),
        ),
    )
}
