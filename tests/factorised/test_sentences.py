"""Compressed sentence encoders: they reload as any encoder, and nothing in their folder chooses code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridqies.compression import compress
from hybridqies.errors import InputError
from hybridqies.factorised import CompressedLinear, is_compressed, keep_factors
from hybridqies.folder_checks import COMPRESSED_MODULE
from hybridqies.text import Encoder

TEXTS = ["good", "bad and good", "good bad"]


@pytest.fixture
def folder(tiny_encoder: Path, tmp_path: Path) -> Path:
    return write(Encoder.load(tiny_encoder), tmp_path / "small", "mpo")


def write(encoder: Encoder, folder: Path, method: str) -> Path:
    model: Any = encoder.copy_model()
    compress(model, method, 0.5, ["query", "*.intermediate.dense"])
    keep_factors(model)
    model.save(str(folder), create_model_card=False)
    return folder


@pytest.mark.parametrize("method", ["svd", "mpo", "disentangled"])
def test_factors_reload_as_an_encoder_with_the_same_bits(tiny_encoder, tmp_path, method):
    base = Encoder.load(tiny_encoder)
    folder = write(base, tmp_path / "small", method)
    found = Encoder.load(folder)
    model: Any = found.copy_model()
    assert sum(isinstance(each, CompressedLinear) for each in model.modules()) == 2
    assert (found.dimension, found.max_tokens) == (base.dimension, base.max_tokens)
    assert found.fingerprint != base.fingerprint
    assert torch.dist(found.encode(TEXTS), base.encode(TEXTS)) > 1e-4
    # Saved once more, it is the same encoder: tuned and exported ones are saved in this way.
    model.save(str(tmp_path / "again"), create_model_card=False)
    again = Encoder.load(tmp_path / "again")
    assert again.fingerprint == found.fingerprint
    assert torch.equal(again.encode(TEXTS), found.encode(TEXTS))


def test_sentence_transformers_reads_it_when_it_may_import_this_package(folder):
    from sentence_transformers import SentenceTransformer

    with pytest.raises(ValueError, match="trust_remote_code"):
        SentenceTransformer(str(folder), device="cpu")
    model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    found = model.encode(TEXTS, convert_to_tensor=True)
    assert torch.dist(found, Encoder.load(folder).encode(TEXTS)) < 1e-5


def test_the_class_is_ours_whatever_lies_in_the_folder(folder):
    code = folder / "hybridqies" / "factorised"
    code.mkdir(parents=True)
    (code / "transformer.py").write_text("raise SystemError('run')")
    (folder / "hybridqies.py").write_text("raise SystemError('run')")
    assert Encoder.load(folder).encode(TEXTS).shape == (3, 32)


@pytest.mark.parametrize("kind", [COMPRESSED_MODULE + "s", "hybridqies.factorised.files.load_compressed"])
def test_other_names_of_this_package_are_refused(folder, kind):
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match="whose code is not run"):
        Encoder.load(folder)


def test_damaged_factors_are_one_line(folder):
    weights = folder / "compressed.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        Encoder.load(folder).encode(TEXTS)
    assert "\n" not in str(caught.value)


def test_plain_encoders_hold_no_factors(tiny_encoder, folder):
    assert is_compressed(folder)
    assert not is_compressed(tiny_encoder)
