"""The page of all recipes names each, and draws it once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from hybridqies.circuit import Circuit, list_circuits

ROOT = Path(__file__).resolve().parents[2]


def load_gallery() -> Any:
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "docs" / "gallery.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


def test_every_recipe_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, drawn = load_gallery(), list[str]()

    def draw(circuit: Circuit, path: Path) -> None:
        drawn.append(circuit.name)
        path.write_text("<svg/>")

    monkeypatch.setattr(gallery, "draw_picture", draw)
    (tmp_path / "concepts").mkdir()
    page = gallery.write_gallery(tmp_path / "concepts", tmp_path / "pictures")
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == drawn == list(list_circuits())
    assert (
        "4 qubits, depth 8, 36 weights, 4 features, 6 two-qubit gates, longest distance 1" in page.read_text()
    )
    shown = {line.partition("](")[2].rstrip(")") for line in lines if line.startswith("![")}
    assert shown == {f"../pictures/{path.name}" for path in (tmp_path / "pictures").iterdir()}
    gallery.write_gallery(tmp_path / "concepts", tmp_path / "pictures")
    assert len(drawn) == len(list_circuits())
