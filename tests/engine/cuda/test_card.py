"""What a card refuses, and where its compiled kernels are kept."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from engine.cuda.emulation import GppCompiler, emulated_card, load_driver, read_number
from engine.kernel_runs import encoder

from hybridqies.engine import compile_plan, torch_kernels
from hybridqies.engine import kernels as table
from hybridqies.engine.cuda import CudaKernels, compiler
from hybridqies.engine.cuda.card import Card, Launch, Variant
from hybridqies.engine.cuda.driver import Driver
from hybridqies.engine.cuda.shapes import choose_shape
from hybridqies.engine.uncached import warn_uncached
from hybridqies.errors import CapabilityError, InputError, MissingExtraError

VARIANT = Variant(is_double=True, planes=1, held=1)
SMALL = torch.zeros(1, 1, dtype=torch.float64)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path))
    warn_uncached.cache_clear()
    return tmp_path / "kernels"


def run_once(card: Card) -> torch.Tensor:
    plan = compile_plan(encoder(1, 0))
    values, _ = CudaKernels(lambda device: card).forward(
        plan, SMALL, SMALL[0, :0], SMALL.new_ones(1, 2) * 0.5**0.5, keep=False
    )
    return values


# Refusals


def test_no_driver():
    with pytest.raises(CapabilityError, match=r"libnothing\.so.*install NVIDIA's driver, or run on the CPU"):
        Driver.load("libnothing.so")


def test_too_old_a_driver(built, monkeypatch):
    monkeypatch.setenv("EMULATED_DRIVER", "11040")
    with pytest.raises(
        CapabilityError, match=r"supports CUDA 11\.4; expected CUDA 12\.0 or later; update the driver$"
    ):
        emulated_card(built)


def test_a_compiler_that_is_newer_than_the_driver(built, monkeypatch):
    monkeypatch.setenv("EMULATED_DRIVER", "12040")
    monkeypatch.setattr(GppCompiler, "version", lambda self: (13, 0))
    with pytest.raises(
        CapabilityError, match=r"supports CUDA 12\.4; expected CUDA 13\.0.*nvidia-cuda-nvrtc-cu12"
    ):
        emulated_card(built)


def test_no_compiler(built, monkeypatch):
    monkeypatch.setattr(Driver, "load", lambda: Driver(load_driver(built)))
    monkeypatch.setattr(compiler.Nvrtc, "find", lambda driver: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hybridqies\[cuda\]'"):
        Card.open(torch.device("cuda", 0))


class Library:
    """An NVRTC of some version, under the name of its file."""

    def __init__(self, name: str) -> None:
        self.major = int(name.rpartition(".")[2])

    def nvrtcVersion(self, major, minor) -> int:
        major._obj.value, minor._obj.value = self.major, 0
        return 0


def test_the_newest_compiler_that_the_driver_runs(monkeypatch):
    monkeypatch.setattr(compiler, "_wheels", lambda: iter(["a/libnvrtc.so.13", "a/libnvrtc.so.12"]))
    monkeypatch.setattr("ctypes.CDLL", Library)
    for driver, version in ((None, 13), ((13, 1), 13), ((12, 4), 12), ((11, 8), 13)):
        assert compiler.Nvrtc.find(driver).version() == (version, 0)


def test_an_opened_card_runs_on_torchs_stream(built, cache, monkeypatch):
    streams = iter([SimpleNamespace(cuda_stream=5), SimpleNamespace(cuda_stream=6)])
    monkeypatch.setattr(Driver, "load", lambda: Driver(load_driver(built)))
    monkeypatch.setattr(compiler.Nvrtc, "find", lambda driver: GppCompiler(built))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda number: next(streams))
    card = Card.open(torch.device("cuda"))
    for stream in (5, 6):
        run_once(card)
        assert read_number(built, "emulated_stream") == stream


def test_a_card_that_is_not_there(built):
    with pytest.raises(CapabilityError, match=r"cuDeviceGet \(error 101"):
        Card(Driver(load_driver(built)), GppCompiler(built), 3, lambda: 0)


def test_more_shared_memory_than_a_launch_may_use(built, cache, monkeypatch):
    card = emulated_card(built)
    run_once(card)
    with pytest.raises(
        CapabilityError,
        match="refused cuLaunchKernel of 'forward', 1 x 1 blocks of 64 threads and 300000 bytes",
    ):
        card.launch(VARIANT, "forward", Launch((1, 1), 64, 300_000))


def test_more_qubits_than_can_be_counted():
    with pytest.raises(CapabilityError, match="31 qubits on a CUDA device; expected at most 30"):
        choose_shape(31, 2, is_double=False, shared_bytes=232448)
    with pytest.raises(CapabilityError, match="1024 bytes of shared memory"):
        choose_shape(20, 2, is_double=False, shared_bytes=1024)


def test_shapes_fit_into_shared_memory():
    # Of cards of capability 7.5, 8.6, 8.0 and 9.0.
    for shared_bytes in (64 * 1024, 99 * 1024, 163 * 1024, 227 * 1024):
        whole = 10 if shared_bytes == 64 * 1024 else 11
        for is_double in (False, True):
            for planes in (1, 2):
                widths = []
                for n_qubits in range(1, 31):
                    shape = choose_shape(n_qubits, planes, is_double=is_double, shared_bytes=shared_bytes)
                    assert shape.shared_bytes[2] <= shared_bytes
                    assert shape.threads % 32 == 0
                    widths.append(shape.width)
                assert widths[:whole] == list(range(1, whole + 1))
                assert min(widths[14:]) >= whole
    assert choose_shape(13, 2, is_double=False, shared_bytes=227 * 1024).is_whole
    assert choose_shape(14, 1, is_double=False, shared_bytes=227 * 1024).is_whole
    assert not choose_shape(14, 2, is_double=False, shared_bytes=227 * 1024).is_whole


# Which kernels a CUDA device gets


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.version, "cuda", "12.9")
    table.find_kernels.cache_clear()
    yield
    table.find_kernels.cache_clear()


def test_the_row_of_the_table(with_cuda, monkeypatch):
    monkeypatch.setattr("hybridqies.engine.cuda.is_compiler_installed", lambda: True)
    assert isinstance(table.find_kernels("cuda"), CudaKernels)


def test_torch_operations_are_used_where_the_extra_is_missing_and_say_so(with_cuda, monkeypatch):
    monkeypatch.setattr("hybridqies.engine.cuda.is_compiler_installed", lambda: False)
    with pytest.warns(UserWarning, match=r"run on torch's operations.*pip install 'hybridqies\[cuda\]'"):
        assert table.find_kernels("cuda") is torch_kernels


def test_amd_cards_run_torch_operations(with_cuda, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert table.find_kernels("cuda") is torch_kernels


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_torch_operations_by_name(with_cuda, monkeypatch, device):
    monkeypatch.setenv("HYBRIDQIES_KERNELS", "torch")
    assert table.find_kernels(device) is torch_kernels
    table.find_kernels.cache_clear()
    monkeypatch.setenv("HYBRIDQIES_KERNELS", "cuda")
    with pytest.raises(InputError, match="HYBRIDQIES_KERNELS is set to 'cuda'; expected torch"):
        table.find_kernels(device)


# The cache of compiled kernels


def test_kernels_are_compiled_once_and_kept(built, cache):
    first, second = GppCompiler(built), GppCompiler(built)
    values = run_once(emulated_card(built, first))
    assert torch.equal(run_once(emulated_card(built, second)), values)
    assert first.compiled == [tuple(VARIANT.definitions())]
    assert second.compiled == []
    assert len(list(cache.iterdir())) == 1


def test_another_driver_compiles_anew(built, cache, monkeypatch):
    run_once(emulated_card(built))
    monkeypatch.setenv("EMULATED_DRIVER", "13010")
    after = GppCompiler(built)
    run_once(emulated_card(built, after))
    assert len(after.compiled) == 1
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"x" * 20, None])
def test_damaged_files_are_replaced(built, cache, damage):
    run_once(emulated_card(built))
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-3] if damage is None else damage)
    after = GppCompiler(built)
    run_once(emulated_card(built, after))
    assert len(after.compiled) == 1
    assert kept.read_bytes() == whole


def test_a_folder_that_cannot_be_written(built, monkeypatch, tmp_path):
    warn_uncached.cache_clear()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be kept on disk .*set HYBRIDQIES_CACHE"):
        run_once(emulated_card(built))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_with_kept_kernels(built, cache):
    run_once(emulated_card(built))
    cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
    after = GppCompiler(built)
    run_once(emulated_card(built, after))
    assert after.compiled == []


def test_no_home_folder(built, monkeypatch):
    warn_uncached.cache_clear()
    monkeypatch.delenv("HYBRIDQIES_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    # What it gives where no home is known.
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.warns(UserWarning, match="home folder that doesn't exist"):
        run_once(emulated_card(built))
