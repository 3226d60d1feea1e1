"""The CUDA kernels, compiled for cards by NVRTC: it needs none."""

from __future__ import annotations

from itertools import cycle, product

import pytest

from hybridqies.engine.cuda.card import Variant
from hybridqies.engine.cuda.compiler import Nvrtc
from hybridqies.errors import CapabilityError

VARIANTS = [Variant(*each) for each in product((False, True), (1, 2), (1, 2, 3))]
# From Turing on; the machine code of 8.6 is that of its consumer cards.
CAPABILITIES = [(7, 5), (8, 0), (8, 6), (9, 0), (10, 0)]
# Each variant and each capability occurs; all pairs are compiled by the slow test.
PAIRS = list(zip(VARIANTS, cycle(CAPABILITIES), strict=False))


@pytest.fixture(scope="module")
def compiler() -> Nvrtc:
    found = Nvrtc.find()
    if found is None:
        pytest.skip("NVRTC is not installed; pip install 'hybridqies[cuda]'")
    return found


def assert_compiles(compiler: Nvrtc, variant: Variant, capability: tuple[int, int]) -> None:
    code = compiler.compile(variant.definitions(), capability)
    assert code.startswith(b"\x7fELF")
    for name in ("forward", "backward", "fill_matrices", "chain_slopes", "measure_pieces", "gather_inputs"):
        assert name.encode() in code


@pytest.mark.parametrize(("variant", "capability"), PAIRS)
def test_every_variant_compiles_for_one_of_the_cards(compiler, variant, capability):
    assert_compiles(compiler, variant, capability)


def test_every_variant_and_every_card_is_among_the_pairs():
    assert {variant for variant, _ in PAIRS} == set(VARIANTS)
    assert {capability for _, capability in PAIRS} == set(CAPABILITIES)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("capability", [*CAPABILITIES, (8, 9), (12, 0)])
def test_every_variant_compiles_for_every_card(compiler, variant, capability):
    assert_compiles(compiler, variant, capability)


def test_newer_cards_of_a_generation_run_its_older_code(compiler):
    known = compiler.capabilities()
    assert (9, 0) in known
    code = compiler.compile(Variant(False, 1, 1).definitions(), (9, 7))
    assert code.startswith(b"\x7fELF")


def test_a_card_that_nvrtc_does_not_know(compiler):
    with pytest.raises(CapabilityError, match=r"compute capability 2\.0, .*expected .*9\.0"):
        compiler.compile(Variant(False, 1, 1).definitions(), (2, 0))


def test_a_fault_in_the_source_shows_its_line(compiler):
    with pytest.raises(RuntimeError, match=r"amplitudes\.cuh"):
        compiler.compile(["REAL=half_a_float", "PLANES=1", "HELD=1", "MAX_THREADS=32"], (9, 0))
