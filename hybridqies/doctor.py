"""What works here: versions, devices, extras, caches, and a self-test of the simulator on every device."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybridqies import __version__, files
from hybridqies.backends import backend_classes, describe_backends
from hybridqies.backends.jobs import default_journal
from hybridqies.backends.memory import free_bytes
from hybridqies.circuit import Circuit, PauliString, load_recipe
from hybridqies.engine import compile_plan, expectations
from hybridqies.engine.kernels import KERNELS
from hybridqies.options import to_mapping
from hybridqies.versions import PACKAGES, installed_version

_FOR_DEVELOPERS = {"dev"}
# The largest difference between kernels that is rounding, by precision.
_ROUNDING = {torch.float64: 1e-11, torch.float32: 2e-4}
# What a training step is timed with, and for how long.
_QUBITS, _BATCH, _SECONDS = 10, 256, 1.0


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The simulator on one device: the largest difference of values and gradients, and the time of a step.

    `error` is the difference from torch's own operations in float64 on the CPU, None where it is no number or
    the test failed to run; `problem` then says why. `milliseconds` is a step forward and backward, 10 qubits,
    256 samples.
    """

    device: str
    name: str
    error: float | None
    milliseconds: float | None
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether values and gradients are right."""
        return not self.problem


def examine(on_stage: Callable[[int, int, str], None] = lambda _done, _total, _note: None) -> dict[str, Any]:
    """Everything about this installation as JSON values; `on_stage` hears what is being tested.

    The self-test takes some seconds a device, and longer where kernels have to be compiled first.
    """
    devices = list_devices()
    tests = []
    for done, (device, name) in enumerate(devices):
        on_stage(done, len(devices), device)
        tests.append(self_test(device, name))
    on_stage(len(devices), len(devices), "")
    return {
        "hybridqies": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "free_memory": free_bytes(torch.device("cpu")),
        "packages": {name: installed_version(name) for name in PACKAGES},
        "backends": _backends(),
        "extras": list(describe_extras()),
        "caches": list(measure_caches()),
        "self_tests": [{**to_mapping(test), "passed": test.passed} for test in tests],
    }


def list_devices() -> list[tuple[str, str]]:
    """Each device that torch can use for circuits, as torch names it and as its maker does."""
    found = [("cpu", platform.processor() or platform.machine())]
    if torch.cuda.is_available():
        found += [(f"cuda:{at}", torch.cuda.get_device_name(at)) for at in range(torch.cuda.device_count())]
    return found


def self_test(device: str, name: str = "") -> SelfTest:
    """Values and gradients of a circuit on a device, against torch's operations on the CPU."""
    try:
        differences = {precision: _difference(device, precision) for precision in _ROUNDING}
        milliseconds = _time_step(device)
    except Exception as raised:  # A broken driver or compiler can raise anything; that is what is asked here.
        return SelfTest(device, name, None, None, f"{type(raised).__name__}: {raised}".splitlines()[0])
    # NaN is not within any bound.
    wrong = not all(differences[precision] <= bound for precision, bound in _ROUNDING.items())
    problem = "values or gradients differ by more than rounding" if wrong else ""
    error = differences[torch.float64]
    return SelfTest(device, name, error if math.isfinite(error) else None, milliseconds, problem)


def _difference(device: str, precision: torch.dtype) -> float:
    """The largest difference of values and gradients from torch's operations in float64 on the CPU."""
    circuit = _test_circuit()
    random = np.random.default_rng(0)
    features, weights = (random.uniform(-3, 3, size) for size in ((5, circuit.n_features), circuit.n_weights))
    slopes = random.normal(size=(5, len(circuit.observables)))
    plan = compile_plan(circuit)
    given = [torch.tensor(each, device=device, dtype=precision) for each in (features, weights)]
    for each in given:
        each.requires_grad_()
    values = expectations(plan, given[0], given[1])
    gradients = torch.autograd.grad(values, given, torch.tensor(slopes, device=device, dtype=precision))
    reference = KERNELS["torch"]()
    inputs = torch.tensor(features), torch.tensor(weights)
    expected, kept = reference.forward(plan, *inputs, None, keep=True)
    wanted = reference.backward(kept, torch.tensor(slopes), wants_amplitudes=False)[:2]
    pairs = [(values, expected), *zip(gradients, wanted, strict=True)]
    largest = [(got.detach().cpu().double() - want).abs().max() for got, want in pairs]
    # Of tensors, because Python's own maximum may pass over NaN.
    return float(torch.stack(largest).max())


def _test_circuit() -> Circuit:
    """Rotations, long-range phases and rings on six qubits, read by strings of one to three Paulis."""
    laid_out = load_recipe("long-range-reupload").build(6, {})
    strings = (PauliString.parse(letters) for letters in ("ZIIIII", "IXYIII", "IIIZZZ", "YIIIIX"))
    return Circuit.of(6, laid_out.gates, [*laid_out.observables, *strings])


def _time_step(device: str) -> float:
    """Milliseconds of a step forward and backward, the fastest of those of a second."""
    circuit = load_recipe("rot-ring").build(_QUBITS, {})
    plan = compile_plan(circuit)
    features = torch.rand(_BATCH, circuit.n_features, device=device)
    weights = torch.rand(circuit.n_weights, device=device, requires_grad=True)

    def take() -> float:
        start = time.perf_counter()
        expectations(plan, features, weights).sum().backward()
        if device != "cpu":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    take()  # may have to compile kernels
    fastest, end = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        fastest = min(fastest, take())
    return 1000 * fastest


def describe_extras() -> Iterator[dict[str, Any]]:
    """Each optional part, what it lacks here, and how to install that; none where this is no installation."""
    from packaging.requirements import Requirement

    try:
        known = metadata.metadata("hybridqies").get_all("Provides-Extra") or []
        wanted = [Requirement(each) for each in metadata.requires("hybridqies") or []]
    except metadata.PackageNotFoundError:
        return
    for extra in sorted(set(known) - _FOR_DEVELOPERS):
        own = [
            each
            for each in wanted
            if each.marker
            and each.marker.evaluate({"extra": extra})
            and not each.marker.evaluate({"extra": ""})
        ]
        missing = [
            str(each).split(";")[0].strip() for each in own if not _is_met(each.name, str(each.specifier))
        ]
        install = f"pip install 'hybridqies[{extra}]'" if missing else ""
        yield {
            "extra": extra,
            "packages": [each.name for each in own],
            "missing": missing,
            "install": install,
        }


def _is_met(name: str, versions: str) -> bool:
    from packaging.specifiers import SpecifierSet

    found = installed_version(name)
    return found is not None and SpecifierSet(versions).contains(found, prereleases=True)


def measure_caches() -> Iterator[dict[str, Any]]:
    """Each folder that keeps files between runs, with how many there are and their bytes."""
    own = files.default_cache_folder()
    kernels = os.environ.get("NUMBA_CACHE_DIR")
    # As huggingface_hub finds it.
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME")
    hub = chosen or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    rows: tuple[tuple[str, Path, str], ...] = (
        ("embeddings", own / "embeddings", "**/*"),
        ("tuned encoders", own / "tuned", "**/*"),
        ("kernels for GPUs", own / "kernels", "**/*"),
        ("kernels for the CPU", Path(kernels) if kernels else Path(__file__).parent, "**/*.nb[ic]"),
        ("jobs at services", default_journal().parent, "**/*"),
        ("models of the hub", files.expand_home(hub), "**/*"),
    )
    for name, folder, pattern in rows:
        sizes = [_size(path) for path in folder.glob(pattern)]
        held = [size for size in sizes if size is not None]
        yield {"cache": name, "folder": str(folder), "files": len(held), "bytes": sum(held)}


def _size(path: Path) -> int | None:
    """Bytes of a file; None of folders, links, and what is gone by now."""
    try:
        return path.lstat().st_size if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _backends() -> list[dict[str, Any]]:
    kinds, broken = backend_classes()
    rows = describe_backends(kinds)
    return [
        *({"name": row["name"], "usable": row["installed"], "install": row["install"]} for row in rows),
        *({"name": name, "usable": False, "install": problem} for name, problem in broken.items()),
    ]
