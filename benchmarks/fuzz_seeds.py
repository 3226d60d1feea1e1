"""The first inputs of the readers that `fuzz_readers.py` fuzzes.

A function gives those of one reader; it may put files into the folder that it is given.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import stress

TABLE = b"text,label\na lovely film,good\na dull film,bad\n"
PAIRS = b"text,text_pair,label\na film,a sea,good\na sea,a film,bad\n"
ROWS = b'{"text": "a lovely film", "label": "good"}\n{"text": "a dull film", "label": "bad"}\n'
RECIPE = b"""title = "own"
reference = "none"
weights = "layers * n"
[options]
layers = {default = 2, min = 1, max = "2 * n", help = "how many"}
kind = {default = "RY", choices = ["RY", "RZ"]}
[[layers]]
encode = "RX"
scale = 0.5
[[layers]]
repeat = "layers"
layers = [{rotate = "RY"}, {entangle = "CNOT", pattern = "ring"}]
[[measure]]
pauli = "Z"
qubits = "n"
"""
QASM = b"""OPENQASM 3.0;
include "stdgates.inc";
input float[64] a;
gate two(t) p, q { ry(t/2) p; cx p, q; }
qubit[2] q;
bit[2] c;
h q[0];
two(2*a) q[0], q[1];
ctrl @ rx(pi/3) q[0], q[1];
c = measure q;
"""
SWEEP = b"""kind = "sweep"
data = "demo"
seeds = [0, 1]
arms = ["logistic", "two-module"]
per_class = 20
[settings.two-module]
n_qubits = 4
"""
RATES = b"""["ionq:qpu.*"]
per_job = 0.3
per_1q_gate_shot = 0.00003
["ibm:*"]
currency = "EUR"
seconds_per_job = 2.0
per_second = 1.6
"""
COMMANDS = (
    b"circuits\niqp\n--qubits\n3\n--set\nlayers=2\n--format\nqasm",
    b"circuits\n--json",
    b"backends\n--json",
    b"jobs\nlist\n--journal\njobs.jsonl\n--json",
    b"predict\nrun\na text\n--backend\naer,shots=100\n--json",
    b"evaluate\nrun\n--text-column\ntext",
    b"encode\ntexts.txt\n--out\nvectors.npy\n--device\ncpu",
    b"train\n--head\ndressed\n--set\nencoder.layers=4\n--epochs\n3\n--out\nnew\n--compare\nlogistic",
    b"sweep\n--seeds\n2\n--arms\nlogistic,svc\n--budget\n2",
    b"ablate\n--help",
)


def recipes(_: Path) -> list[bytes]:
    from hybridqies.circuit.library import recipe_folder

    return [RECIPE, *(path.read_bytes() for path in sorted(recipe_folder().glob("*.toml")))]


def programs(_: Path) -> list[bytes]:
    from hybridqies.circuit import load_circuit, to_openqasm3

    return [QASM, *(to_openqasm3(load_circuit(name, 3)).encode() for name in ("iqp", "long-range-reupload"))]


def parquet(folder: Path) -> list[bytes]:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    table = pa.table({"text": ["a lovely film", "a dull film"], "label": ["good", "bad"]})
    write_table(table, folder / "seed.parquet", compression="none")
    return [(folder / "seed.parquet").read_bytes()]


def spreadsheet(folder: Path) -> list[bytes]:
    from openpyxl import Workbook

    book = Workbook()
    for row in TABLE.decode().splitlines():
        book.active.append(row.split(","))
    book.save(folder / "seed.xlsx")
    return [(folder / "seed.xlsx").read_bytes()]


def jobs(_: Path) -> list[bytes]:
    import numpy as np

    from hybridqies.backends.jobs.provider import Work
    from hybridqies.circuit import Circuit, Weight, gate

    circuit = Circuit.of(1, [gate("RY", 0, Weight(0))])
    work = Work("ionq:simulator", (circuit,), np.array([[0.125]]), 100, 1)
    events: list[dict[str, Any]] = [
        {"event": "intent", "digests": [circuit.digest()], "work": work.to_mapping()},
        {"event": "retry", "reason": "busy"},
        {"event": "submitted", "job_id": "job-1"},
        {"event": "state", "state": "running", "reason": ""},
        {"event": "error", "reason": "lost", "in_doubt": True},
        {"event": "completed", "counts": [{"0": 61, "1": 39}]},
    ]
    whole = [json.dumps({"key": work.key(), "time": 1.0, **each}).encode() for each in events]
    ended = json.dumps({"event": "failed", "key": work.key(), "time": 2.0, "reason": "no"}).encode()
    return [b"\n".join(whole), b"\n".join([*whole[:3], ended])]


def trials(_: Path) -> list[bytes]:
    record = {"key": "a", "trial": {}, "chosen": {}, "candidates": [], "validation": {"accuracy": 0.5}}
    record |= {"test": {"accuracy": 0.5}, "predictions": [0, 1], "truth": [0, 0], "n_parameters": 3}
    record |= {"converged": True, "convergence": "", "seconds": 1.0}
    failure = {"key": "b", "trial": {}, "error": "out of memory", "seconds": 1.0}
    events = [
        {"event": "study", "about": {"test_texts": {}}},
        {"event": "claimed", "key": "a"},
        {"event": "done", "key": "a", "record": record},
        {"event": "failed", "key": "b", "failure": failure},
        {"event": "retried", "keys": ["b"]},
    ]
    return [b"\n".join(json.dumps({"time": 1.0, **each}).encode() for each in events)]


def tensors(folder: Path) -> list[bytes]:
    return [(model(folder) / "model.safetensors").read_bytes()]


@functools.cache
def encoder(folder: Path) -> Any:
    from hybridqies.text import Encoder

    return Encoder.load(str(stress.make_inputs(folder / "inputs").encoder))


@functools.cache
def model(folder: Path) -> Path:
    """A saved model that nobody trained; readers damage copies of it."""
    from hybridqies.backends import load_backend
    from hybridqies.saved_model import SavedModel
    from hybridqies.tasks.building import build_head_of
    from hybridqies.tasks.specs import ModelSpec
    from hybridqies.training import TrainingConfig

    spec, backend = ModelSpec("dressed", options={"n_qubits": 2}), load_backend("statevector")
    head = build_head_of(spec, 32, 2, backend, 0)
    saved = SavedModel(encoder(folder), head, spec, ("bad", "good"), backend, TrainingConfig())
    saved.save(folder / "model")
    return folder / "model"


def configs(folder: Path) -> list[bytes]:
    return [(model(folder) / "config.json").read_bytes()]


def modules(folder: Path) -> list[bytes]:
    encoder(folder)
    return [(folder / "inputs" / "tiny" / "modules.json").read_bytes()]


def shards(_: Path) -> list[bytes]:
    import torch
    from safetensors.torch import save

    keys = torch.zeros(2, 32, dtype=torch.uint8)
    keys[1] = 1
    return [save({"keys": keys, "embeddings": torch.ones(2, 4)})]


def plans(_: Path) -> list[bytes]:
    from hybridqies.study.kinds import STUDIES
    from hybridqies.study.plan_file import plan_to_toml

    return [SWEEP, *(plan_to_toml(kind.plan()).encode() for kind in STUDIES.values())]
