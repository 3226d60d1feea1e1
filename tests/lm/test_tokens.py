"""Vocabularies: texts come back, also from JSON, and what is not in them is named."""

from __future__ import annotations

import json

import pytest

from hybridqies.errors import DataError, InputError, ModelFolderError, UnknownNameError
from hybridqies.lm import make_tokens, read_tokens
from hybridqies.lm.texts import read_text

TEXT = "the cat sat on the mat. the hat, the rat — naïve 猫.\n" * 20


@pytest.mark.parametrize(("kind", "size"), [("characters", len(set(TEXT))), ("bpe", 280)])
def test_a_text_comes_back(kind, size):
    tokens = make_tokens(kind, TEXT, 280)
    assert tokens.size == size
    again = read_tokens(json.loads(json.dumps(tokens.to_mapping())))
    for each in (tokens, again):
        ids = each.encode(TEXT)
        assert each.decode(ids) == TEXT
        assert ids == tokens.encode(TEXT)
        assert max(ids) < size
    assert again.to_mapping() == tokens.to_mapping()


def test_byte_pairs_merge_and_encode_every_text():
    tokens = make_tokens("bpe", TEXT, 300)
    assert len(tokens.encode(TEXT)) < len(TEXT)
    other = "Ω 12 \x00 and more"
    assert tokens.decode(tokens.encode(other)) == other


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(DataError, match="'z'"):
        make_tokens("characters", "abc").encode("az")
    with pytest.raises(UnknownNameError, match="'bpe'"):
        make_tokens("bp", TEXT)
    with pytest.raises(InputError, match="at least 257"):
        make_tokens("bpe", TEXT, 100)
    with pytest.raises(DataError, match="empty"):
        make_tokens("characters", "")


@pytest.mark.parametrize("record", [{}, {"kind": "bpe"}, {"kind": "bpe", "tokenizer": "{}"}, {"kind": "x"}])
def test_a_record_without_a_vocabulary_is_refused(record):
    with pytest.raises(ModelFolderError):
        read_tokens(record)


def test_a_text_that_is_measured_on_gives_characters_and_no_byte_pairs():
    assert make_tokens("characters", "abc", also="xya").to_mapping()["characters"] == "abcxy"
    tokens = make_tokens("bpe", TEXT, 300, also="xyxy" * 200)
    assert tokens.to_mapping() == make_tokens("bpe", TEXT, 300).to_mapping()
    assert len(tokens.encode("xyxy")) == 4


def test_half_a_surrogate_pair_is_refused():
    """A byte of a command line that is no UTF-8 comes as one."""
    for kind in ("characters", "bpe"):
        with pytest.raises(DataError, match=r"'\\udcff', which is half a surrogate pair"):
            make_tokens(kind, TEXT + "\udcff", 280)
        with pytest.raises(DataError, match="udcff"):
            make_tokens(kind, TEXT, 280).encode("a\udcff")


def test_the_mark_of_the_byte_order_is_no_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfabc\r\n\xef\xbb\xbf")
    assert read_text(str(path)) == "abc\r\n\ufeff"
    path.write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(DataError, match="is empty"):
        read_text(str(path))
