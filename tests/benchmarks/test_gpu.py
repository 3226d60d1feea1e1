"""What benchmarks/gpu.py does on a card, on machines that have none."""

from __future__ import annotations

import importlib
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scripts import BENCHMARKS

from hybridqies.engine import simulate, torch_kernels
from hybridqies.engine.cuda.card import Card


def test_parts_that_need_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for torch.cuda and the card: what would fail there by a slip fails here."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # A folder of the tests may have the name of a script.
    monkeypatch.delitem(sys.modules, "gpu", raising=False)
    script: Any = importlib.import_module("gpu")
    told = list[str]()
    version = SimpleNamespace(version=lambda: (12, 9))
    stream = SimpleNamespace(wait_stream=lambda other: told.append("wait"))
    graph = SimpleNamespace(replay=lambda: told.append("replay"))
    for name, value in {
        "Stream": lambda device: stream,
        "current_stream": lambda device: stream,
        "stream": lambda given: nullcontext(),
        "CUDAGraph": lambda: graph,
        "graph": lambda given: nullcontext(),
        "synchronize": lambda device: None,
        "get_device_name": lambda device: "a card",
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(Card, "open", lambda device: SimpleNamespace(driver=version, compiler=version))
    monkeypatch.setattr(simulate, "find_kernels", lambda device_type: torch_kernels)
    monkeypatch.setattr(script, "rates", lambda device: {})
    monkeypatch.setattr(script, "GRAPHED", (2,))
    on_cpu = script.inputs_of
    monkeypatch.setattr(script, "inputs_of", lambda *given: on_cpu(*given[:3], "cpu"))
    device = torch.device("cuda")
    (row,) = script.time_graphs(device)
    assert (row["qubits"], row["failed"]) == (2, False)
    assert told[:2] == ["wait", "wait"]
    assert "replay" in told
    found = script.machine(device)
    assert (found["card"], found["driver"], found["nvrtc"]) == ("a card", "12.9", "12.9")
