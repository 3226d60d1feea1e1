"""What tests of several packages share: a real encoder that is small enough to be made on the spot."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hybridqies.text import Encoder

# Before torch is imported, and for processes that tests start: on small tensors and shared cores, threads of
# one process wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
TORCH_THREADS = int(os.environ["OMP_NUM_THREADS"].partition(",")[0])
# How long an example takes depends on what else the machine does.
settings.register_profile("hybridqies", parent=settings.default, deadline=None)
settings.load_profile("hybridqies")
# Lines of progress depend on the time that a test takes.
os.environ.setdefault("HYBRIDQIES_PROGRESS", "off")

POSITIVE = ("lovely", "bright", "superb", "warm", "brilliant", "joyful")
NEGATIVE = ("dull", "bleak", "awful", "cold", "dreadful", "tedious")
NEUTRAL = ("a", "film", "about", "the", "sea", "and", "two", "old", "friends", "in", "winter", "with", "long")


# Thousands of short tests: they fill the end of a run, when nothing long may be left.
SHORT_ONES = "backends/test_contract.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the short ones last."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0].endswith(SHORT_ONES))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each process whole files, so that what a module sets up is set up once; short ones go one by one.

    Marks of `xdist_group` would do, but pytest-xdist 3.8 loses them under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if file.endswith(SHORT_ONES) else file

    # Files stay in the order of their names: sorted by the number of their tests, long ones come last.
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Has each of several processes compile its share of the kernels, which most files of tests need.

    Otherwise all of them would compile the same ones at the same time. Compiled kernels stay on disk.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is not None:
        compile_share(int(worker["workerid"].removeprefix("gw")), int(worker["workercount"]))


def compile_share(worker: int, workers: int) -> None:
    """Compiles every `workers`-th kind of kernel that is common: precision, width of a batch, real or not."""
    import torch

    from hybridqies.circuit import Circuit, PauliString, Weight, gate
    from hybridqies.engine import compile_kernels

    kinds = [
        (dtype, width, name)
        for dtype, widths in ((torch.float64, (1, 8)), (torch.float32, (1, 8, 16)))
        for width in widths
        for name in ("RX", "RY")
    ]
    for dtype, width, name in kinds[worker::workers]:
        turn = Circuit.of(1, [gate(name, 0, Weight(0))], [PauliString(((0, "Z"),))])
        compile_kernels(turn, [width], dtype=dtype)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Starts every test with torch's number of threads, which tests and scripts change.

    So does the first parallel kernel of Numba, whose OpenMP is also that of torch. Two threads on the small
    tensors of tests take ten times as long as one, and fifty times where other processes want the cores.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != TORCH_THREADS:
        torch.set_num_threads(TORCH_THREADS)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder: a BERT of one layer and 32 numbers a word, untrained, mean pooling."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *POSITIVE, *NEGATIVE, *NEUTRAL]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.05,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    for name, content in {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
        "1_Pooling/config.json": pooling,
    }.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One embedding cache for the whole session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def encoder(tiny_encoder: Path) -> Encoder:
    """The tiny encoder, loaded once for each file of tests."""
    from hybridqies.text import Encoder

    return Encoder.load(tiny_encoder)


@pytest.fixture
def own_cache(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The session's cache as the default one, in this process and those it starts."""
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(cache_folder))
    return cache_folder


@pytest.fixture
def fake_trackers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`--log-to fake` tells the lists of the module `fake_tracker`, which end empty."""
    import fake_tracker

    from hybridqies.trackers import TRACKERS

    monkeypatch.setitem(TRACKERS, "fake", "fake_tracker:Fake")
    yield
    fake_tracker.TOLD.clear()
    fake_tracker.FAILS_AT.clear()


@pytest.fixture(scope="session")
def sentences() -> Callable[[int], tuple[list[str], list[str]]]:
    """Makes n different sentences of six words and their labels "bad" and "good", in turn."""

    def make(n: int) -> tuple[list[str], list[str]]:
        draw = np.random.default_rng(7)
        texts: list[str] = []
        labels: list[str] = []
        while len(texts) < n:
            good = len(texts) % 2 == 1
            telling = draw.choice(POSITIVE if good else NEGATIVE, 3, replace=False)
            text = " ".join(draw.permutation([*telling, *draw.choice(NEUTRAL, 3, replace=False)]))
            if text not in texts:
                texts.append(text)
                labels.append("good" if good else "bad")
        return texts, labels

    return make


@pytest.fixture(scope="session")
def reviews(
    tmp_path_factory: pytest.TempPathFactory, sentences: Callable[[int], tuple[list[str], list[str]]]
) -> Path:
    """A CSV file of 120 such sentences."""
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    rows = [f"{text},{label}\n" for text, label in zip(*sentences(120), strict=True)]
    file.write_text("text,label\n" + "".join(rows))
    return file
