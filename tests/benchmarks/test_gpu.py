"""Short forms of benchmarks/gpu.py on machines without a card; what needs one is stood in for."""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scripts import Load

from hybridqies.engine import simulate, torch_kernels
from hybridqies.engine.cuda import compiler
from hybridqies.engine.cuda.card import Card

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TIMED = ["steps", "deep", "head", "cpu"]


@pytest.fixture
def script(load: Load, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script with small sizes; its package is imported anew, too."""
    for name in [each for each in sys.modules if each.split(".")[0] in ("gpu_parts", "peers")]:
        monkeypatch.delitem(sys.modules, name)
    # No kernels are compiled for it.
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: torch_kernels)
    found = load("gpu")
    for name, value in {
        "steps.CHECKED": (2,),
        "steps.SIZES": {4: 9},
        "rivals.SIZES": {4: 9},
        "steps.GRAPHED": (2,),
        "steps.CROSSED": (2,),
        "steps.CROSSED_BATCHES": (9,),
        "cells.SECONDS": 0,
        "trainings.QUBITS": 2,
        "trainings.LAYERS": 3,
        "trainings.SAMPLES": 18,
        "trainings.BATCH": 9,
        "trainings.HEADS": (2,),
    }.items():
        module, _, constant = name.partition(".")
        monkeypatch.setattr(sys.modules[f"gpu_parts.{module}"], constant, value)
    for name, size in {"TEXTS": 16, "INPUTS": 6, "EPOCHS": 1}.items():
        monkeypatch.setattr(sys.modules["head_speed"], name, size)
    return found


def part(name: str) -> Any:
    return sys.modules[f"gpu_parts.{name}"]


def a_run(device: torch.device = CPU, seconds: float = 1e6) -> Any:
    return part("cells").Run(device, time.perf_counter() + seconds)


def test_every_part_compares_before_it_times(script: Any, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "gpu.json"
    words = ["--device", "cpu", "--limit", "1e6", "--out", str(out)]
    assert script.main([*words, "--parts", "values", "graphs", *TIMED]) == 0
    record = json.loads(out.read_text())
    for name in ("values", *TIMED):
        for row in record[name]:
            assert row["failed"] is False
            assert row["float32 differs"] < 1e-5
    for row in record["steps"]:
        assert row["ms"] > 0
        assert row["times the roofline"] == pytest.approx(row["ms"] / row["roofline, ms"])
        assert row["roofline, ms"] == max(row["arithmetic, ms"], row["memory, ms"])
    assert record["deep"][0]["weights"] == 18
    assert record["deep"][0]["1,000 samples, s"] > 0
    assert record["head"][0]["card, s"] > 0
    assert record["cpu"][0]["times faster"] > 0
    assert record["graphs"] == [{"note": "CUDA graphs need a CUDA device"}]
    assert "| circuit | qubits |" in capsys.readouterr().out


def test_what_differs_has_no_time_and_fails(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another device than the CPU's answers are from, by its results.
    cell = part("cells").Cell
    step_on = cell.step_on

    def wrong(self: Any, device: Any, dtype: Any) -> Any:
        step = step_on(self, device, dtype)
        return step if device == "cpu" else lambda: [each + 1e-3 for each in step()]

    monkeypatch.setattr(cell, "step_on", wrong)
    answers = iter([[torch.zeros(1)], [torch.ones(1)]])
    monkeypatch.setattr(part("trainings").head_speed, "gradients", lambda head, data: next(answers))
    run = a_run()
    for name in ("values", *TIMED):
        for row in script.PARTS[name](run):
            assert row["failed"] is True
            assert not [key for key in row if key.endswith(("ms", ", s")) and key != "plan, s"]
    monkeypatch.setattr(script, "machine", lambda device: {})
    assert script.main(["--device", "cpu", "--limit", "1e6", "--parts", "values"]) == 1


def test_a_result_that_is_no_number_differs(script: Any) -> None:
    cells = part("cells")
    assert cells.compare({torch.float32: (float("nan"), 1e-5)})["failed"]
    found = cells.as_numbers((torch.tensor([float("nan")]), torch.zeros(1), torch.zeros(1)))
    assert cells.largest_difference(found, cells.as_numbers((torch.zeros(1),) * 3)) == float("inf")


def test_answers_are_prepared_once(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers.npz"
    assert script.main(["--device", "cpu", "--prepare", "--answers", str(path)]) == 0
    run = part("cells").Run(CPU, 0.0, part("answers").Answers(path))
    cells = [*part("steps").all_cells(run), part("trainings").deep_cell(run)]
    assert len(cells) == 6
    expected = [a_run().cell("rot-ring", 4, 9).expected[0], cells[3].expected[0]]
    assert expected[0].tolist() == expected[1].tolist()
    step_on = part("cells").Cell.step_on
    monkeypatch.setattr(part("cells").Cell, "step_on", None)
    assert all(cell.expected for cell in cells)
    # Other inputs have no answer there.
    cells[3].work = replace(cells[3].work, weights=cells[3].work.weights + 1)
    del cells[3].expected
    monkeypatch.setattr(part("cells").Cell, "step_on", step_on)
    assert cells[3].expected[0].tolist() != expected[0].tolist()
    assert len(run.answers._known) == 3 * 6


def test_all_parts_fit_into_five_minutes(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(script.EXPECTED) == set(script.PARTS)
    assert script.main(["--list"]) == 0
    *rows, last = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert {row[0] for row in rows} == set(script.PARTS)
    for row in rows:
        assert int(row[2]) * float(row[3]) == pytest.approx(float(row[4]), rel=0.01)
    seconds = sum(map(script.expected_seconds, script.PARTS))
    assert float(last[-1]) == pytest.approx(seconds, rel=0.01)
    assert seconds <= script.LIMIT == 300
    monkeypatch.setattr(script, "machine", lambda device: {})
    monkeypatch.setattr(script, "PARTS", dict.fromkeys(script.PARTS))
    assert script.main(["--device", "cpu", "--limit", "2"]) == 0
    assert capsys.readouterr().out.count("are set aside for it") == len(script.PARTS)


def test_a_fault_in_a_part_leaves_the_others(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(run: Any) -> None:
        raise RuntimeError("CUDA error: an illegal access\nand more")

    monkeypatch.setitem(script.PARTS, "values", fail)
    words = ["--device", "cpu", "--limit", "1e6", "--parts", "values", "graphs"]
    assert script.main([*words, "--out", str(tmp_path / "gpu.json")]) == 1
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert record["values"] == [{"error": "RuntimeError: CUDA error: an illegal access", "failed": True}]
    assert record["graphs"] == [{"note": "CUDA graphs need a CUDA device"}]


def test_a_part_stops_where_the_time_is_over(script: Any) -> None:
    run = a_run(seconds=-1.0)
    assert part("steps").check_values(run) == [{"left out": "2 more: the time of --limit is over"}]
    assert script.PARTS["peers"](run)[0]["ours-cuda"] == "not done: the time of --limit is over"


def test_bytes_of_a_step(script: Any) -> None:
    cell = a_run().cell("long-range-reupload", 8, 3)
    # Its states are real.
    (memory, shared), states = part("rates").count_bytes(cell, 227 * 1024), 3 * 2**8 * 4
    assert memory == 2 * states
    assert shared % states == 0
    assert shared > 6 * states * len(cell.plan.steps) / 16
    # The same in cosets: each block of the plan takes the states from memory.
    large = a_run().cell("rot-ring", 14, 1)
    memory, _ = part("rates").count_bytes(large, 227 * 1024)
    assert memory > 8 * 2**14 * 8


# Peers, each in a process of its own


@pytest.fixture
def in_this_process(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a peer's series here."""
    from peers import series  # type: ignore[import-not-found]

    def run(command: list[str], **_: Any) -> Any:
        if "wrong_peer" in command:
            raise part("rivals").subprocess.TimeoutExpired(command, 3)
        monkeypatch.setattr(sys, "argv", command[3:])
        series.main()
        return SimpleNamespace(returncode=0, stderr="")

    rivals = part("rivals")
    monkeypatch.setattr(rivals.subprocess, "run", run)
    monkeypatch.setattr("peers.worker._limit", lambda *given: None)
    monkeypatch.setattr(rivals, "SECONDS", 0.01)
    monkeypatch.setattr(rivals, "find_python", lambda peer: (Path(sys.executable), ""))


def test_peers_beside_ours(script: Any, in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = part("rivals")
    absent = rivals.table.Peer("absent", "none", None)
    late, other = replace(absent, module="wrong_peer"), replace(absent, module="peers.ours")
    for name, peer in {"absent": absent, "late": late, "other": other}.items():
        monkeypatch.setitem(rivals.table.PEERS, name, replace(peer, name=name))
    monkeypatch.setattr(rivals, "IMPORTS", dict.fromkeys(("other", "absent", "late")))
    find = rivals.find_python
    monkeypatch.setattr(
        rivals, "find_python", lambda peer: (None, "jax") if peer.name == "absent" else find(peer)
    )
    rows = script.PARTS["peers"](a_run())
    assert [row["circuit"] for row in rows] == ["rot-ring", "long-range-reupload"]
    for row in rows:
        assert row["fastest peer"] == "other"
        assert row["times faster"] == pytest.approx(row["other"] / row["ours-cuda"])
        assert row["absent"] == "absent: jax"
        assert row["late"].startswith("not done after")
        assert (row["goal"], row["failed"]) == (3, False)


def test_a_peer_that_is_wrong_has_no_time(script: Any, in_this_process: None) -> None:
    rivals, cell = part("rivals"), a_run().cell("rot-ring", 4, 9)
    found = rivals.figures_of(a_run(), rivals.table.PEERS["ours-cuda"], {"one": cell})
    assert found["one"] > 0
    cell.expected = tuple(each + 1e-3 for each in cell.expected)
    wrong = rivals.figures_of(a_run(), rivals.table.PEERS["ours-cuda"], {"one": cell})
    assert wrong["one"].startswith("differs by 1.0e-03")
    # A fault of ours is one of the run; a peer's is not.
    assert rivals.row_of(cell, {"ours-cuda": wrong["one"], "other": 2.0})["failed"]
    assert not rivals.row_of(cell, {"ours-cuda": 1.0, "other": wrong["one"]})["failed"]


def test_a_peer_that_refuses_one_size_goes_on_with_others(script: Any, in_this_process: None) -> None:
    rivals, run = part("rivals"), a_run()
    bad = part("cells").Cell(replace(run.cell("rot-ring", 4, 9).circuit), 9)
    bad.work = replace(bad.work, precision="float31")
    cells = {"1": bad, "2": run.cell("rot-ring", 4, 9)}
    found = rivals.figures_of(run, rivals.table.PEERS["ours-cuda"], cells)
    assert found["1"].startswith("failed: AttributeError")
    assert found["2"] > 0


def test_what_a_peer_needs(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = part("rivals")
    monkeypatch.setattr(rivals, "BENCHMARKS", Path("/nothing/benchmarks"))
    monkeypatch.setattr(rivals, "IMPORTS", {"default.qubit-cuda": ("json", "no_such_module", "nor_this")})
    assert rivals.find_python(rivals.table.PEERS["default.qubit-cuda"])[1] == "no_such_module nor_this"
    assert rivals.find_python(rivals.table.PEERS["ours-cuda"]) == (Path(sys.executable), "")
    script_peers = {name for name, peer in rivals.table.PEERS.items() if peer.device == "cuda"}
    monkeypatch.undo()
    assert script_peers == {"ours-cuda", *rivals.IMPORTS}


# What only a card reaches


def test_tests_are_counted(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tests, commands = part("tests"), list[list[str]]()
    said = SimpleNamespace(
        returncode=0, stdout="...\n12 passed, 2 skipped, 40 deselected in 3.1s\n", stderr=""
    )

    def answer(command: list[str], **_: Any) -> Any:
        commands.append(command)
        return said

    monkeypatch.setattr(tests.subprocess, "run", answer)
    (row,) = tests.run_tests(a_run(CUDA))
    assert (row["passed"], row["skipped"], row["failed"]) == (12, 2, False)
    assert {"tests/engine/test_cuda.py", "tests/pennylane_device/test_gpu.py"} < set(commands[0])
    said.stdout = "14 skipped in 0.2s"
    assert tests.run_tests(a_run(CUDA))[0]["failed"]
    assert not tests.run_tests(a_run(CPU))[0]["failed"]
    said.returncode, said.stdout, said.stderr = 1, "", "No module named pytest\n"
    (row,) = tests.run_tests(a_run(CPU))
    assert (row["pytest"], row["failed"]) == ("No module named pytest", True)


@pytest.fixture
def stand_ins(script: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch and the driver have for a card; cells stay on the CPU."""
    told = list[str]()
    stream = SimpleNamespace(wait_stream=lambda other: told.append("wait"))
    graph = SimpleNamespace(replay=lambda: told.append("replay"))
    properties = SimpleNamespace(multi_processor_count=100, clock_rate=1_500_000)
    for name, value in {
        "Stream": lambda device: stream,
        "current_stream": lambda device: stream,
        "stream": lambda given: nullcontext(),
        "CUDAGraph": lambda: graph,
        "graph": lambda given: nullcontext(),
        "synchronize": lambda device: None,
        "get_device_name": lambda device: "a card",
        "get_device_properties": lambda device: properties,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    driver = SimpleNamespace(version=lambda: (12, 9), capability=lambda number: (9, 0))
    card = SimpleNamespace(driver=driver, compiler=driver, number=0, shared_bytes=1000)
    monkeypatch.setattr(Card, "open", lambda device: card)
    step_on = part("cells").Cell.step_on
    monkeypatch.setattr(
        part("cells").Cell, "step_on", lambda self, device, dtype: step_on(self, "cpu", dtype)
    )
    return told


def test_graphs_and_the_names_of_a_card(script: Any, stand_ins: list[str]) -> None:
    (row,) = script.PARTS["graphs"](a_run(CUDA))
    assert (row["qubits"], row["failed"]) == (2, False)
    assert row["ms"] >= 0
    assert stand_ins[:3] == ["wait", "wait", "replay"]
    found = script.machine(CUDA)
    assert (found["card"], found["driver"], found["nvrtc"]) == ("a card", "12.9", "12.9")
    assert part("rates")._shared_memory(CUDA) == (100 * 1.5e9 * 128, 1000)
    del torch.cuda.get_device_properties(CUDA).clock_rate
    assert part("rates")._shared_memory(CUDA) == (None, 1000)


def test_kernels_are_compiled_side_by_side(
    script: Any, stand_ins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels, asked = part("kernels"), list[Any]()

    def find(*given: Any) -> bytes:
        asked.append(given[1:])
        return b"code"

    monkeypatch.setattr(compiler, "find_machine_code", find)
    monkeypatch.setattr(
        kernels, "ProcessPoolExecutor", lambda workers, context: kernels.ThreadPoolExecutor(1)
    )
    monkeypatch.setattr(kernels, "compile_kernels", lambda circuit, batches, dtype: 1.5)
    rows = kernels.compile_all(a_run(CUDA))
    assert len(asked) == 12
    assert len({tuple(each[0]) for each in asked}) == 12
    assert {each[1:] for each in asked} == {((9, 0), (12, 9))}
    by_cpu = [row for row in rows if "CPU" in row["kernels"]]
    assert len(by_cpu) == 20
    assert {row["s"] for row in by_cpu} == {1.5}
    assert [row["bytes"] for row in rows if "bytes" in row] == [4] * 12
