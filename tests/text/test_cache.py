"""The embedding cache: exact, without lost updates, and loud about damage."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from hybridqies.errors import DataError, InputError
from hybridqies.files import default_cache_folder
from hybridqies.text import cache as module
from hybridqies.text.cache import CacheWarning, EmbeddingCache, embed
from hybridqies.text.encoder import Progress


class StubEncoder:
    """Embeds a text as bits of its hash and remembers what it was asked."""

    dimension = 5

    def __init__(self, fingerprint: str = "f" * 64) -> None:
        self.fingerprint = fingerprint
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> torch.Tensor:
        self.asked.append(list(texts))
        if progress:
            progress(len(texts), len(texts))
        digests = [hashlib.sha256((self.fingerprint + text).encode()).digest()[:20] for text in texts]
        numbers = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.int32)
        return numbers.reshape(-1, 5).to(torch.float32) / 3e8


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache")


TEXTS = ["one", "two", "three", "two", "ünï", "one"]


class TestEmbed:
    def test_cached_is_the_same_as_fresh_bit_for_bit(self, cache: EmbeddingCache) -> None:
        fresh = embed(StubEncoder(), TEXTS, None)
        assert torch.equal(fresh, StubEncoder().encode(TEXTS))
        first, again = StubEncoder(), StubEncoder()
        assert torch.equal(embed(first, TEXTS, cache), fresh)
        assert torch.equal(embed(again, TEXTS, cache), fresh)
        assert [sorted(texts) for texts in first.asked] == [["one", "three", "two", "ünï"]]
        assert again.asked == []

    def test_only_the_missing_are_encoded(self, cache: EmbeddingCache) -> None:
        embed(StubEncoder(), ["one", "two"], cache)
        encoder = StubEncoder()
        vectors = embed(encoder, ["three", "one", "four!", "two"], cache)
        assert encoder.asked == [["three", "four!"]]
        assert torch.equal(vectors, StubEncoder().encode(["three", "one", "four!", "two"]))

    def test_encoders_do_not_share(self, cache: EmbeddingCache) -> None:
        embed(StubEncoder("a" * 64), ["one"], cache)
        other = StubEncoder("b" * 64)
        embed(other, ["one"], cache)
        assert other.asked == [["one"]]

    def test_no_texts(self, cache: EmbeddingCache) -> None:
        assert embed(StubEncoder(), [], cache).shape == (0, 5)
        assert not cache.folder.exists()

    def test_the_result_belongs_to_the_caller(self, cache: EmbeddingCache) -> None:
        embed(StubEncoder(), TEXTS, cache).zero_()
        assert torch.equal(embed(StubEncoder(), TEXTS, cache), StubEncoder().encode(TEXTS))

    @pytest.mark.parametrize(
        ("texts", "fault"), [(["a", " \n"], "text 2 of 2: .*empty"), (["a", 3], "text 2.*int 3")]
    )
    def test_unusable_text(self, cache: EmbeddingCache, texts: list[str], fault: str) -> None:
        with pytest.raises(DataError, match=fault):
            embed(StubEncoder(), texts, cache)

    def test_progress_counts_cached_texts_first(self, cache: EmbeddingCache) -> None:
        embed(StubEncoder(), ["one"], cache)
        seen: list[tuple[int, int]] = []
        embed(StubEncoder(), TEXTS, cache, lambda done, total: seen.append((done, total)))
        assert seen == [(1, 4), (4, 4)]

    def test_interruption_keeps_what_was_done(
        self, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_CHUNK", 10)
        texts = [f"text {i:02d}" for i in range(35)]

        class Interrupted(StubEncoder):
            def encode(self, texts: Sequence[str], progress: Progress | None = None) -> torch.Tensor:
                if len(self.asked) == 2:
                    raise KeyboardInterrupt
                return super().encode(texts, progress)

        with pytest.raises(KeyboardInterrupt):
            embed(Interrupted(), texts, cache)
        encoder = StubEncoder()
        assert torch.equal(embed(encoder, texts, cache), StubEncoder().encode(texts))
        assert [len(asked) for asked in encoder.asked] == [10, 5]


class TestShards:
    def test_many_small_shards_are_merged(
        self, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_MANY_SHARDS", 4)
        monkeypatch.setattr(module, "_CHUNK", 6)
        texts = [f"text {i}" for i in range(40)]
        for text in texts:
            embed(StubEncoder(), [text], cache)
        assert len(shards(cache.folder)) <= 4 + 40 // 6
        encoder = StubEncoder()
        assert torch.equal(embed(encoder, texts, cache), StubEncoder().encode(texts))
        assert encoder.asked == []

    def test_a_shard_merged_away_while_reading_is_no_miss(
        self, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for text in ("one", "two", "three"):
            embed(StubEncoder(), [text], cache)
        monkeypatch.setattr(module, "_MANY_SHARDS", 2)
        listed = module._shards

        def list_then_merge(folder: Path) -> list[Path]:
            paths = listed(folder)
            monkeypatch.setattr(module, "_shards", listed)
            module._merge_small(folder)
            return paths

        monkeypatch.setattr(module, "_shards", list_then_merge)
        encoder = StubEncoder()
        embed(encoder, ["one", "two", "three"], cache)
        assert encoder.asked == []
        assert len(shards(cache.folder)) == 1

    @pytest.mark.parametrize("damage", ["truncate", "empty", "flip", "text"])
    def test_damage_is_told_with_the_name_of_the_file(self, cache: EmbeddingCache, damage: str) -> None:
        embed(StubEncoder(), TEXTS, cache)
        (path,) = shards(cache.folder)
        content = path.read_bytes()
        flipped = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
        path.write_bytes(
            {"truncate": content[:-8], "empty": b"", "flip": flipped, "text": b"hello" * 9}[damage]
        )
        with pytest.raises(InputError, match=r"is damaged.*delete it") as caught:
            embed(StubEncoder(), TEXTS, cache)
        assert path.name in str(caught.value)
        path.unlink()
        assert torch.equal(embed(StubEncoder(), TEXTS, cache), StubEncoder().encode(TEXTS))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"U8"', b'"I8"'),
            (b'"U8"', b'"XX"'),
            (b'"F32"', b'"F00"'),
            (b'"shape":[4,32]', b'"shape":[2,64]'),
            (b'"embeddings"', b'"embeddingz"'),
            (b'"keys"', b'"kays"'),
            (b'"data_offsets":[80,208]', b'"data_offsets":[80,9e9]'),
        ],
    )
    def test_a_damaged_shard_under_the_name_of_its_content(
        self, cache: EmbeddingCache, old: bytes, new: bytes
    ) -> None:
        embed(StubEncoder(), TEXTS, cache)
        (path,) = shards(cache.folder)
        content = path.read_bytes()
        assert old in content
        content = content.replace(old, new)
        path.unlink()
        path.with_name(f"{hashlib.sha256(content).hexdigest()}.safetensors").write_bytes(content)
        with pytest.raises(InputError, match=r"is damaged.*delete it"):
            embed(StubEncoder(), TEXTS, cache)

    def test_half_written_files_are_not_read(self, cache: EmbeddingCache) -> None:
        embed(StubEncoder(), ["one"], cache)
        (path,) = shards(cache.folder)
        path.with_name(".half-0123456789ab.safetensors").write_bytes(b"half")
        encoder = StubEncoder()
        embed(encoder, ["one"], cache)
        assert encoder.asked == []

    def test_another_width_under_the_same_fingerprint(self, cache: EmbeddingCache) -> None:
        embed(StubEncoder(), ["one"], cache)
        wider = StubEncoder()
        wider.dimension = 6
        with pytest.raises(InputError, match="5 wide, the encoder's 6"):
            embed(wider, ["one"], cache)

    def test_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        cache, encoder = EmbeddingCache(tmp_path / "file"), StubEncoder()
        with pytest.warns(CacheWarning, match=r"cannot be written.*HYBRIDQIES_CACHE"):
            found = embed(encoder, ["one"], cache)
        # Said once, because warnings are errors here; and nothing is looked for in it any more.
        assert torch.equal(embed(encoder, ["one"], cache), found)
        assert len(encoder.asked) == 2

    def test_the_home_of_nobody(self) -> None:
        with pytest.raises(InputError, match="the embedding cache has no place"):
            EmbeddingCache("~nosuchuser/cache")

    def test_torchs_default_type_does_not_matter(self, cache: EmbeddingCache) -> None:
        torch.set_default_dtype(torch.float64)
        try:
            found = [embed(StubEncoder(), ["one"], cache) for _ in range(2)]
        finally:
            torch.set_default_dtype(torch.float32)
        assert [each.dtype for each in found] == [torch.float32] * 2

    def test_a_dangling_link_ends_in_an_error(self, cache: EmbeddingCache) -> None:
        embed(StubEncoder(), ["one"], cache)
        (path,) = shards(cache.folder)
        path.with_name("0.safetensors").symlink_to("nowhere")
        with pytest.raises(InputError, match="vanish"):
            embed(StubEncoder(), ["one"], cache)


WRITER = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("stub", sys.argv[1])
stub = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stub)
stub.module._MANY_SHARDS, stub.module._CHUNK = 3, 8
cache = stub.EmbeddingCache(sys.argv[2])
texts = [f"text {i}" for i in range(int(sys.argv[3]), int(sys.argv[4]))]
print("ready", flush=True)
sys.stdin.readline()
for at in range(0, len(texts), 3):
    some = texts[at : at + 3]
    assert stub.torch.equal(stub.embed(stub.StubEncoder(), some, cache), stub.StubEncoder().encode(some))
"""


def test_two_processes_at_once_lose_nothing(cache: EmbeddingCache) -> None:
    """Both write overlapping texts and merge all the time; every text must be there afterwards."""
    ranges = ((0, 90), (60, 150))
    command = [sys.executable, "-c", WRITER, __file__, str(cache.folder)]
    writers = [
        subprocess.Popen([*command, str(start), str(stop)], stdin=-1, stdout=-1, stderr=-1, text=True)
        for start, stop in ranges
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    encoder = StubEncoder()
    texts = [f"text {i}" for i in range(150)]
    assert torch.equal(embed(encoder, texts, cache), StubEncoder().encode(texts))
    assert encoder.asked == []
    assert len(shards(cache.folder)) < 40


class TestDefaultFolder:
    def test_order(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("HYBRIDQIES_CACHE", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert default_cache_folder() == tmp_path / ".cache" / "hybridqies"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        assert default_cache_folder() == tmp_path / ".cache" / "hybridqies"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert default_cache_folder() == tmp_path / "xdg" / "hybridqies"
        monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path / "own"))
        assert default_cache_folder() == tmp_path / "own"
        assert EmbeddingCache().folder == tmp_path / "own"
