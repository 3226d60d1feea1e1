"""An adapter trained by two processes is the one that a single process trains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import adapter_processes
import pytest
import torch
from adapter_rows import METHODS
from safetensors.torch import load_file


@pytest.mark.slow
def test_two_processes_train_one_adapter(tmp_path) -> None:
    program = Path(adapter_processes.__file__)
    started = [
        subprocess.Popen([sys.executable, program, str(rank), tmp_path], cwd=program.parent)
        for rank in (0, 1)
    ]
    assert [each.wait(timeout=200) for each in started] == [0, 0]
    for method in METHODS:
        first, second = (load_file(tmp_path / f"{method}-{rank}.safetensors") for rank in (0, 1))
        expected = adapter_processes.train(method)
        assert first.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(first[name], second[name])
            torch.testing.assert_close(first[name], tensor, atol=1e-12, rtol=0)
