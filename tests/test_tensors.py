"""Tensors in files, and in the modules that they are loaded into."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from hybridqies.errors import (
    InputError,
    ModelFolderError,
)
from hybridqies.tensors import check_finite, load_state, load_tensors, save_tensors


class TestTensors:
    TENSORS: ClassVar = {
        "a": torch.arange(6.0).reshape(2, 3).T,
        "b": torch.tensor(3),
        "empty": torch.zeros(0, 4),
    }

    def test_round_trip(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "t.safetensors", self.TENSORS, {"ü": [1.5, None]})
        tensors, record = load_tensors(tmp_path / "t.safetensors")
        assert record == {"ü": [1.5, None]}
        assert set(tensors) == set(self.TENSORS)
        for name, value in self.TENSORS.items():
            assert torch.equal(tensors[name], value)
            assert tensors[name].dtype == value.dtype

    def test_any_reader_of_safetensors_reads_it(self, tmp_path: Path) -> None:
        from safetensors.torch import load_file

        save_tensors(tmp_path / "t.safetensors", self.TENSORS, {})
        assert torch.equal(load_file(tmp_path / "t.safetensors")["a"], self.TENSORS["a"])

    def test_every_flipped_byte_is_noticed(self, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        save_tensors(path, {"a": torch.arange(3.0)}, {"epoch": 7})
        content = path.read_bytes()
        # Spaces that pad the header mean nothing; a flip there may pass.
        padding = range(content.rindex(b"}") + 1, len(content) - 12)
        for at in set(range(len(content))) - set(padding):
            flipped = bytearray(content)
            flipped[at] ^= 1
            path.write_bytes(bytes(flipped))
            with pytest.raises(ModelFolderError):
                load_tensors(path)

    @pytest.mark.parametrize("kept", [0, 5, 100, -1])
    def test_a_truncated_file_is_noticed(self, kept: int, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        save_tensors(path, self.TENSORS, {})
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(ModelFolderError, match=r"t\.safetensors' is truncated or damaged"):
            load_tensors(path)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
    def test_only_finite_weights(self, value: float, dtype: torch.dtype, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        bad = {"a": torch.zeros(3), "readout.bias": torch.tensor([0.0, value], dtype=dtype)}
        with pytest.raises(InputError, match=r"tensor 'readout\.bias' with NaN or infinite values"):
            check_finite(bad, path)
        check_finite({"a": torch.zeros(3), "b": torch.tensor(3), "empty": torch.zeros(0)}, path)
        save_tensors(path, bad, {})
        with pytest.raises(ModelFolderError, match=r"NaN or infinite values in tensor 'readout\.bias'"):
            load_tensors(path)

    def test_the_record_is_json(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"the record of '.*' cannot be written as JSON"):
            save_tensors(tmp_path / "t.safetensors", {}, {"score": float("nan")})

    @pytest.mark.parametrize(
        "note", ["[" * 10**5, "{" * 1000, "[]", "{}", '{"record": 1, "sha256": "x"}', "7"]
    )
    def test_odd_headers(self, note: str, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, tmp_path / "t.safetensors", {"hybridqies": note})
        with pytest.raises(ModelFolderError, match=r"t\.safetensors' is"):
            load_tensors(tmp_path / "t.safetensors")

    @pytest.mark.parametrize("header", [b"[" * 10**5, b'{"a":' * 10**5, b'{"a": {"dtype": "F32"}}', b"\xff"])
    def test_odd_safetensors(self, header: bytes, tmp_path: Path) -> None:
        path = tmp_path / "t.safetensors"
        for declared in (len(header), 2**63):
            path.write_bytes(declared.to_bytes(8, "little") + header)
            with pytest.raises(ModelFolderError, match="is truncated or damaged"):
                load_tensors(path)

    def test_what_never_ends_is_not_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "zero").symlink_to("/dev/zero")
        for name in ("pipe", "zero", "."):
            with pytest.raises(ModelFolderError, match="does not exist"):
                load_tensors(tmp_path / name)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFolderError, match="does not exist; expected a safetensors file"):
            load_tensors(tmp_path / "none")


class TestState:
    PATH = Path("m/model.safetensors")

    def test_loaded(self) -> None:
        module, values = torch.nn.Linear(2, 1), {"weight": torch.ones(1, 2), "bias": torch.tensor([3.0])}
        load_state(module, values, self.PATH)
        assert module(torch.ones(2)).tolist() == [5.0]

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"bias": None}, "tensor 'bias' in 'm/model.safetensors' is missing"),
            ({"extra": torch.zeros(1)}, "tensor 'extra' in .* belongs to no part of the model"),
            (
                {"weight": torch.zeros(2, 2)},
                r"tensor 'weight' in .* has shape \(2, 2\), the model's has \(1, 2\)",
            ),
            (
                {"weight": torch.zeros(1, 2).double()},
                "tensor 'weight' in .* has dtype torch.float64, the model's",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(self, change: dict[str, torch.Tensor | None], problem: str) -> None:
        module = torch.nn.Linear(2, 1)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        values = {name: value for name, value in (before | change).items() if value is not None}
        with pytest.raises(ModelFolderError, match=problem):
            load_state(module, values, self.PATH)
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
