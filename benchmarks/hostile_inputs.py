"""Gives hostile files to the program, and measures what each of them costs.

    python benchmarks/hostile_inputs.py

Each input goes to a command in a forked process that has imported everything. Prints its processor time,
the memory that it took beyond what it began with, and how it ended. Exits 1 unless each was read, or refused
in one line with exit code 2, within 2 seconds and 500 MB, and nothing that it says holds a control character.
The drawing of a wide circuit may take longer. With --only NAME it tries the inputs with NAME in their names.
"""

from __future__ import annotations

import json
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stress

SECONDS, MEGABYTES, PATIENCE = 2.0, 500.0, 60.0
# No hostile file, but what a user asks for: here the memory is what counts.
_DRAWING = "a drawing of 1,000 qubits"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Recipes, but for their head and their observables.
RECIPES = {
    "repeat of 10^18": 'layers = [{repeat = "10**18", layers = []}]',
    "nested repeats": f"layers = [{'{repeat = 60, layers = [' * 6}{{rotate = 'H'}}{']}' * 6}]",
    "a tower of powers": "layers = [{rotate = 'H', when = '((((9**64)**64)**64)**64)**64 > 1'}]",
    "a dotted key of 20,000 parts": "layers = []\na" + ".a" * 20_000 + " = 1",
    "a table header of 1,200 parts": "layers = []\n[" + "a." * 1_200 + "a]",
    "arrays in 1,200 arrays": "layers = " + "[" * 1_200 + "]" * 1_200,
    "forty blocks that double": 'layers = [{block = "b40"}]\n[blocks]\nb0 = [{rotate = "H", when = false}]\n'
    + "\n".join(f'b{at} = [{{block = "b{at - 1}"}}, {{block = "b{at - 1}"}}]' for at in range(1, 41)),
    "4,000 lists of measurements": "layers = []\nmeasure = ["
    + '{pauli = "ZZ", pattern = "all-to-all"},' * 4_000
    + "]",
    "an integer of 5,000 digits": f"layers = []\nmin_qubits = {'9' * 5_000}",
}
PROGRAMS = {
    "100 million bits": "bit[100000000] c; qubit q;",
    "forty gate definitions that double": "gate g0 a { h a; h a; }\n"
    + "\n".join(f"gate g{at} a {{ g{at - 1} a; g{at - 1} a; }}" for at in range(1, 40))
    + "\nqubit q; g39 q;",
    "a loop of 10^9 steps": "qubit q; for int i in [0:1000000000] { x q; }",
    "2,000 brackets": f"qubit q; rx({'(' * 2_000}1{')' * 2_000}) q;",
    "60,000 empty statements": ";" * 60_000,
}


@dataclass(frozen=True)
class Cost:
    """What a command took, and how it ended."""

    seconds: float
    megabytes: float
    code: int | None
    out: str
    err: str

    def fault(self, seconds: float) -> str:
        """What is wrong with it where so many seconds are allowed; empty if nothing is."""
        if self.code is None:
            return f"no end within {PATIENCE:.0f} s"
        if self.seconds > seconds:
            return "more time than allowed"
        if self.megabytes > MEGABYTES:
            return "more memory than allowed"
        if _CONTROL.search(self.out + self.err):
            return "a control character in what it says"
        lines = self.err.count("\n")
        if self.code != 0 and not (self.code == 2 and lines == 1 and self.err.startswith("hybridqies: ")):
            return f"exit code {self.code} with {lines} lines: {self.err[-200:]!r}"
        return ""


def measure(folder: Path, only: str) -> int:
    """Tries the inputs, prints what each cost, and returns the number of faults."""
    inputs = stress.make_inputs(folder)
    stress.import_everything()
    trained = stress.run(inputs.train(folder / "model"), folder / "train")
    assert trained.code == 0, trained
    faults = count = 0
    for name, command in attacks(inputs):
        if only not in name:
            continue
        cost = _take(command(), folder / "log")
        fault = cost.fault(PATIENCE if name == _DRAWING else SECONDS)
        count, faults = count + 1, faults + bool(fault)
        ended = fault or ("read" if cost.code == 0 else cost.err.strip().removeprefix("hybridqies: "))
        print(f"{name:40} {cost.seconds:6.2f} s {cost.megabytes:7.1f} MB  {ended:.100}", flush=True)
    print(f"{count} inputs, {faults} faults")
    return faults


def attacks(inputs: stress.Inputs) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """The inputs by name; each call lays one out and returns the command that reads it."""
    for name, text in RECIPES.items():
        yield name, lambda text=text: _lay_out(inputs, "own.toml", _recipe(text))  # type: ignore[misc]
    for name, text in PROGRAMS.items():
        program = f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{text}\n'
        yield name, lambda program=program: _lay_out(inputs, "own.qasm", program)  # type: ignore[misc]
    picture = ["--qubits", "1000", "--picture", str(inputs.folder / "wide.png")]
    yield _DRAWING, lambda: ["circuits", "rot-ring", *picture]
    yield "markup and escapes in labels", lambda: _train(inputs, _labels(inputs.folder))
    yield "a data file of zeros", lambda: _train(inputs, _write(inputs, "zeros.parquet", bytes(5_000)))
    yield "a damaged footer", lambda: _train(inputs, _footer(inputs))
    yield "a search space with low alone", lambda: _search(inputs)
    yield "weights of another shape", lambda: _predict(inputs, _misshape)
    yield "deep JSON in the header of weights", lambda: _predict(inputs, _deepen)
    yield "a configuration of 100,000 brackets", lambda: _predict(inputs, _bracket)
    yield "a FIFO in an encoder folder", lambda: _encode(inputs, _add_fifo)
    yield "a symlink loop in an encoder folder", lambda: _encode(inputs, _add_loop)
    yield "deep JSON in an encoder folder", lambda: _encode(inputs, _add_deep_json)


def _take(command: list[str], log: Path) -> Cost:
    """Runs the command in a forked process, which is killed when patience is over."""
    child = stress.start(command, log, lambda: _measure_from_now(log))
    until, code = time.monotonic() + PATIENCE, None
    while code is None and time.monotonic() < until:
        found, status, used = os.wait4(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(0.005)
    if code is None:
        os.kill(child, 9)
        _, _, used = os.wait4(child, 0)
    out, err = (Path(f"{log}.{ending}").read_text(errors="replace") for ending in ("out", "err"))
    memory = (used.ru_maxrss - int(Path(f"{log}.kb").read_text())) / 1024
    return Cost(used.ru_utime + used.ru_stime, memory, code, out, err)


def _measure_from_now(log: Path) -> None:
    """Notes the memory of this process in KB, and has the kernel measure its peak from now on.

    A forked process begins with less than its parent has: files are mapped into it when it reads them.
    """
    Path("/proc/self/clear_refs").write_text("5")
    resident = Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]
    Path(f"{log}.kb").write_text(resident)


def _recipe(text: str) -> str:
    """A whole recipe; tables come last, and with them what follows the first one."""
    measure = "" if "\nmeasure" in text else 'measure = [{pauli = "Z"}]\n'
    return f'title = "t"\nreference = "r"\nweights = "0"\n{measure}{text}\n'


def _lay_out(inputs: stress.Inputs, name: str, text: str) -> list[str]:
    return ["circuits", str(_write(inputs, name, text.encode())), "--qubits", "50"]


def _write(inputs: stress.Inputs, name: str, content: bytes) -> Path:
    path = inputs.folder / name
    path.write_bytes(content)
    return path


def _train(inputs: stress.Inputs, data: Path) -> list[str]:
    given = ["train", "--data", str(data), "--encoder", str(inputs.encoder), "--head", "logistic"]
    return [*given, "--compare", "none", "--out", str(inputs.folder / "run"), "--overwrite"]


def _labels(folder: Path) -> Path:
    names = ("[/bold][red]", "\x1b[2J\x1b]0;title\x07")
    rows = [json.dumps({"text": f"a film number {at}", "label": names[at % 2]}) for at in range(40)]
    (folder / "labels.jsonl").write_text("\n".join(rows) + "\n")
    return folder / "labels.jsonl"


def _footer(inputs: stress.Inputs) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    path = inputs.folder / "footer.parquet"
    parquet.write_table(pa.table({"text": ["a", "b"], "label": ["good", "bad"]}), path)
    content = bytearray(path.read_bytes())
    content[-40:-8] = bytes([0xFF]) * 32
    path.write_bytes(bytes(content))
    return path


def _search(inputs: stress.Inputs) -> list[str]:
    study = b'kind = "sweep"\narms = ["svc"]\nbudget = 2\n[space.svc]\nc = {low = 0.1}\n'
    path = _write(inputs, "study.toml", study)
    return ["sweep", str(path), "--out", str(inputs.folder / "sweep")]


def _predict(inputs: stress.Inputs, damage: Callable[[Path], None]) -> list[str]:
    """A question to a model whose files were changed, and their digests with them."""
    from hybridqies.files import sha256_of
    from hybridqies.records import read_record, write_record

    model = stress.copy(inputs.folder / "model", inputs.folder / "damaged")
    damage(model)
    if damage is not _bracket:
        content: dict[str, Any] = read_record(model / "config.json")
        content["model"]["weights_sha256"] = sha256_of(model / "model.safetensors")
        write_record(model / "config.json", content)
    return ["predict", str(model), "a film"]


def _misshape(model: Path) -> None:
    import torch

    from hybridqies.tensors import load_tensors, save_tensors

    tensors, about = load_tensors(model / "model.safetensors")
    doubled = {name: torch.cat([value, value]) for name, value in tensors.items() if value.ndim}
    save_tensors(model / "model.safetensors", tensors | doubled, about)


def _deepen(model: Path) -> None:
    header = b'{"a":' * 100_000
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


def _bracket(model: Path) -> None:
    (model / "config.json").write_text("[" * 100_000)


def _encode(inputs: stress.Inputs, damage: Callable[[Path], None]) -> list[str]:
    encoder = stress.copy(inputs.encoder, inputs.folder / "hostile")
    damage(encoder)
    return ["encode", "--data", str(inputs.data), "--encoder", str(encoder)]


def _add_fifo(encoder: Path) -> None:
    (encoder / "modules.json").unlink()
    os.mkfifo(encoder / "modules.json")


def _add_loop(encoder: Path) -> None:
    (encoder / "2_Dense").mkdir()
    (encoder / "2_Dense" / "again").symlink_to(encoder, target_is_directory=True)
    (encoder / "here").symlink_to(encoder / "here")


def _add_deep_json(encoder: Path) -> None:
    (encoder / "config.json").write_text('{"a":' * 100_000)


if __name__ == "__main__":
    stress.main(measure, __doc__, only="")
