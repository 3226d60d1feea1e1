"""Counters of energy, with files and a library that stand in for those of a machine."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hybridqies.energy.meters import Consumption, Nvml, Rapl, find_meters


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two processors, a part of the first, and the whole platform, which would count them twice."""
    for folder, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:2", "psys"),
    ):
        place = tmp_path / folder
        place.mkdir()
        (place / "name").write_text(f"{name}\n")
        (place / "energy_uj").write_text("1000000\n")
        (place / "max_energy_range_uj").write_text("10000000\n")
    return tmp_path


def spend(powercap: Path, package: int, microjoules: int) -> None:
    (powercap / f"intel-rapl:{package}" / "energy_uj").write_text(str(microjoules))


def test_processors_are_counted_once(powercap: Path) -> None:
    found, lacking = find_meters(gpus=False, powercap=powercap)
    assert [meter.name for meter in found] == ["RAPL package-0", "RAPL package-1"]
    assert lacking == ""
    used = Consumption(found)
    spend(powercap, 0, 3_500_000)
    used.sample()
    assert used.joules == pytest.approx({"RAPL package-0": 2.5, "RAPL package-1": 0.0})


def test_a_counter_that_begins_again(powercap: Path) -> None:
    used = Consumption([Rapl(powercap / "intel-rapl:0")])
    for microjoules in (9_000_000, 2_000_000, 2_000_000, 5_000_000):
        spend(powercap, 0, microjoules)
        used.sample()
    assert used.joules == pytest.approx({"RAPL package-0": 8 + 3 + 0 + 3})


def test_a_counter_that_fails_is_left_out(powercap: Path) -> None:
    used = Consumption(find_meters(gpus=False, powercap=powercap)[0])
    spend(powercap, 1, 2_000_000)
    used.sample()
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    used.sample()
    assert used.joules == pytest.approx({"RAPL package-1": 1.0})


@pytest.mark.parametrize("content", ["", "many"])
def test_a_counter_without_a_number_fails(content: str, powercap: Path) -> None:
    """It must not end the training that is measured."""
    used = Consumption(find_meters(gpus=False, powercap=powercap)[0])
    (powercap / "intel-rapl:0" / "energy_uj").write_text(content)
    used.sample()
    assert list(used.joules) == ["RAPL package-1"]
    found, lacking = find_meters(gpus=False, powercap=powercap)
    assert "energy_uj holds no number" in lacking
    assert found == []
    assert list(Consumption([Rapl(powercap / "intel-rapl:0"), Rapl(powercap / "intel-rapl:1")]).joules) == [
        "RAPL package-1"
    ]


def test_a_driver_without_the_counter(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old ones know no total of energy."""
    names = ("nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2")
    old = SimpleNamespace(**dict.fromkeys(names))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: old)
    found, lacking = find_meters(gpus=True, powercap=powercap)
    assert len(found) == 2
    assert lacking == "libnvidia-ml.so.1 of this driver has no nvmlDeviceGetTotalEnergyConsumption"


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    found, lacking = find_meters(gpus=True, powercap=tmp_path / "nothing", library="libno-such-library.so")
    assert found == []
    assert "no RAPL counters in" in lacking
    assert "libno-such-library.so" in lacking


def test_counters_that_may_not_be_read(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> float:
        raise PermissionError(13, "Permission denied", "energy_uj")

    monkeypatch.setattr(Rapl, "read", refuse)
    found, lacking = find_meters(gpus=False, powercap=powercap)
    assert (found, "Permission denied" in lacking) == ([], True)


class Library:
    """NVIDIA's library as far as it is called: two GPUs, the second of which does not count."""

    def __init__(self) -> None:
        self.millijoules = 1_000

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:
        handle._obj.value = index + 7
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: ctypes.c_void_p, found: Any) -> int:
        if handle.value != 7:
            return 3
        found._obj.value = self.millijoules
        return 0


def test_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    found, lacking = find_meters(gpus=True, powercap=tmp_path)
    assert [meter.name for meter in found] == ["NVML GPU 0"]
    assert "RAPL" in lacking
    used = Consumption(found)
    library.millijoules = 4_500
    used.sample()
    assert used.joules == {"NVML GPU 0": 3.5}
    with pytest.raises(OSError, match="error 3"):
        Nvml(library, 1).read()
