"""Support vectors in files: as many as there were, and nothing that doesn't fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from built_heads import built_head

from hybridqies.errors import ModelFolderError
from hybridqies.tensors import load_state, load_tensors, save_tensors

D, K = 5, 3


def head(name: str, solve: bool) -> Any:
    made = built_head(name, D, K, **({"n_qubits": 3} if name == "quantum-kernel" else {}))
    if solve:
        draw = torch.Generator().manual_seed(1)
        labels = torch.arange(30) % K
        x = torch.randn(30, D, generator=draw) + labels[:, None]
        made.adapt(x)
        made.solve(x, labels, None, 0)  # type: ignore[operator]
    return made


@pytest.mark.parametrize("name", ["svc", "quantum-kernel"])
def test_a_file_gives_back_as_many_as_it_has(name: str, tmp_path: Path) -> None:
    trained, path = head(name, solve=True), tmp_path / "model.safetensors"
    save_tensors(path, trained.state_dict(), {})
    fresh = head(name, solve=False)
    load_state(fresh, load_tensors(path)[0], path)
    x = torch.randn(4, D)
    assert torch.equal(fresh(x), trained(x))


@pytest.mark.parametrize("name", ["svc", "quantum-kernel"])
@pytest.mark.parametrize(
    ("tensor", "change"),
    [
        ("vectors", lambda value: value[:, :-1]),
        ("vectors", lambda value: value[:-1]),
        ("vectors", lambda value: value[0]),
        ("vectors", lambda value: value[0, 0]),
        ("vectors", lambda value: value.double()),
        ("dual", lambda value: value[:, :-1]),
        ("dual", lambda value: value[:-1]),
        ("intercepts", lambda value: value[:-1]),
        ("vectors", None),
        ("dual", None),
    ],
)
def test_what_does_not_fit_is_refused(name: str, tensor: str, change: Any) -> None:
    tensors = dict(head(name, solve=True).state_dict())
    given = tensors.pop(tensor)
    if change is not None:
        tensors[tensor] = change(given)
    with pytest.raises(ModelFolderError, match=r"tensor '(vectors|dual|intercepts)' in 'm.safetensors'"):
        load_state(head(name, solve=False), tensors, Path("m.safetensors"))
