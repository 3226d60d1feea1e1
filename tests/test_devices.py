"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from hybridqies.devices import check_device, split_device
from hybridqies.errors import InputError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("name", "parts"), [("cpu", ("cpu", None)), ("cuda", ("cuda", None)), ("cuda:3", ("cuda", 3))]
)
def test_kind_and_number(name: str, parts: tuple[str, int | None]) -> None:
    assert split_device(name) == parts


@pytest.mark.parametrize("name", ["", "gpu", "mps", "cuda:x"])
def test_other_devices(name: str) -> None:
    with pytest.raises(InputError, match="expected cpu, cuda or cuda:<number>"):
        check_device(name)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1"])
def test_devices_that_are_there(two_gpus: None, name: str) -> None:
    assert check_device(name) == name


def test_a_number_beyond_the_gpus(two_gpus: None) -> None:
    with pytest.raises(InputError, match=r"'cuda:2' is not there; expected one of the 2 that torch sees"):
        check_device("cuda:2")


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="'cuda' is not there; expected a CUDA GPU that torch sees; use cpu"):
        check_device("cuda")
