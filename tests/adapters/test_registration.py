from __future__ import annotations

import json
import sys

import peft
import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.utils import PeftType

from hybridqies.adapters import QuantaConfig, register
from hybridqies.adapters.registration import TunerType
from hybridqies.errors import InputError, MissingExtraError


def test_registering_adds_rows_to_the_dictionaries_of_peft_and_changes_none():
    own = dict(PEFT_TYPE_TO_CONFIG_MAPPING)
    register()
    register()
    for kind in TunerType:
        assert PEFT_TYPE_TO_CONFIG_MAPPING[kind.value]().peft_type is kind
        assert PEFT_TYPE_TO_TUNER_MAPPING[kind].prefix == PEFT_TYPE_TO_PREFIX_MAPPING[kind]
        assert PEFT_TYPE_TO_PREFIX_MAPPING[kind] == f"{kind.value.lower()}_"
        assert kind.value not in list(PeftType)
    for kind, config in own.items():
        assert PEFT_TYPE_TO_CONFIG_MAPPING[kind] is config


def test_a_missing_peft_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hybridqies\[adapters\]'"):
        register()


def test_another_series_of_peft_is_refused(monkeypatch):
    monkeypatch.setattr(peft, "__version__", "0.22.0")
    with pytest.raises(InputError, match=r"peft 0.22.0 is installed; expected 0.21.x"):
        register()


def test_a_sentence_transformer_takes_trains_saves_and_reloads_an_adapter(tiny_encoder, tmp_path):
    from sentence_transformers import SentenceTransformer

    texts = ["good", "bad film", "a fine day"]
    model = SentenceTransformer(str(tiny_encoder), device="cpu")
    plain = model.encode(texts)
    model.add_adapter(QuantaConfig(target_modules=["query", "value"]))
    assert (model.encode(texts) == plain).all()
    trained = [each for each in model.parameters() if each.requires_grad]
    # 32 is 4, 4, 2: 16 x 16 and twice 8 x 8 numbers in each of two layers.
    assert sum(each.numel() for each in trained) == 2 * (16**2 + 2 * 8**2)
    with torch.no_grad():
        for each in trained:
            each += 0.05
    expected = model.encode(texts)
    assert abs(expected - plain).max() > 1e-3
    model.save_pretrained(str(tmp_path))
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    assert saved["peft_type"] == "QUANTA"
    loaded = SentenceTransformer(str(tmp_path), device="cpu")
    assert (loaded.encode(texts) == expected).all()
