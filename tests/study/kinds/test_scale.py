"""Scaling studies of language models: run, killed, resumed, on worker processes, refused in one line."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Ended, run_forked

from hybridqies.errors import DataError, InputError, UnknownNameError
from hybridqies.language_model import LanguageModel
from hybridqies.lm import count_flops, count_parameters
from hybridqies.lm.sizes import rate_of
from hybridqies.study.conduct import run_study
from hybridqies.study.decoders import protocol
from hybridqies.study.decoders.protocol import run_trial
from hybridqies.study.decoders.split import TextSource, TextSplit
from hybridqies.study.decoders.texts import split_text
from hybridqies.study.decoders.trial import DecoderJournal, DecoderRecord
from hybridqies.study.kinds.scale import SCALE, ScalePlan, scale_trials
from hybridqies.study.places.cluster import describe, run_on_node
from hybridqies.study.plan_file import parse_plan, plan_to_toml
from hybridqies.study.trials.kind import trial_kind

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "a", "dog", "saw", "it", "run", "far", "away", ""]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(" ".join(WORDS[(at * at + at // 7) % len(WORDS)] for at in range(1200)))
    return path


def plan_of(book: Path, **changes: Any) -> ScalePlan:
    base: dict[str, Any] = {
        "arms": ("real", "tap", "entangled@6k"),
        "sizes": ("4k", "6k"),
        "seeds": (0, 1),
        "texts": {"book": {"train": str(book)}},
        "n_tokens": (512,),
        "search_tokens": 128,
        "context": 16,
        "rates": (0.001, 0.01),
        "training": {"epochs": 2},
        "split": TextSplit(validation_fraction=0.05, test_characters=300),
    }
    return ScalePlan(**base | changes)


def numbers_of(record: DecoderRecord) -> DecoderRecord:
    """The record without times."""
    curve = tuple({**each, "seconds": 0.0} for each in record.curve)
    test = {**record.test, "tokens_per_second": 0.0}
    record = replace(record, seconds=0.0, training_seconds=0.0, processor_seconds=0.0)
    return replace(record, curve=curve, test=test)


def records_of(folder: Path) -> dict[str, DecoderRecord]:
    return {key: numbers_of(each) for key, each in DecoderJournal(folder).state().records.items()}


class TestPlan:
    def test_trials_are_every_combination_and_an_arm_at_one_size(self, book: Path) -> None:
        plan = plan_of(book, n_tokens=(512, 1024))
        trials = scale_trials(plan, plan.source.load())
        cells = Counter((each.arm, each.model.size, each.model.n_tokens) for each in trials)
        assert set(cells.values()) == {2}
        arms = {("real", "4k"), ("real", "6k"), ("tap", "4k"), ("tap", "6k"), ("entangled@6k", "6k")}
        assert set(cells) == {(*arm, count) for arm in arms for count in (512, 1024)}
        assert len({each.key for each in trials}) == len(trials) == 20
        assert [each.seed for each in trials] == [0] * 10 + [1] * 10
        assert {each.model.arm for each in trials} == {"real", "tap", "entangled"}

    def test_it_is_toml(self, book: Path) -> None:
        plan = plan_of(book, options={"tap": {"rank": 2}})
        assert parse_plan(plan_to_toml(plan), "x", ScalePlan) == plan
        assert plan.model_of("tap", "4k", 512, 3).settings == {"rank": 2}

    def test_objectives_belong_to_an_arm(self, book: Path) -> None:
        plan = plan_of(book, options={"entangled@6k": {"entanglement_weight": 0.1}})
        assert plan.model_of("entangled@6k", "6k", 512, 0).entanglement_weight == 0.1
        assert plan.model_of("real", "6k", 512, 0).entanglement_weight == 0

    def test_refusals(self, book: Path) -> None:
        for changes, said in (
            ({"arms": ("rael",)}, "did you mean 'real'"),
            ({"arms": ("real@9k",)}, "size of this study '9k'"),
            ({"reference": "swap"}, "arm of this study 'swap'"),
            ({"sizes": ("4k", "4000")}, "sizes were given"),
            ({"rates": (0.0,)}, "learning rates were given"),
            ({"n_tokens": (0,)}, "numbers of tokens were given"),
            ({"training": {"learning_rate": 0.1}}, "expected --rates"),
            ({"training": {"seed": 1}}, "expected --seeds"),
        ):
            with pytest.raises((InputError, UnknownNameError), match=said):
                plan_of(book, **changes)

    def test_what_cannot_be_built_is_refused_before_anything_is_trained(self, book: Path) -> None:
        plan = plan_of(book, sizes=("100", "6k"))
        with pytest.raises(InputError, match="a decoder of size 100 was asked for"):
            run_study(SCALE, plan, book.parent / "out")
        assert not (book.parent / "out").exists()


class TestSplit:
    def test_two_sizes_that_are_one_decoder_are_refused(self, book: Path) -> None:
        """Where both cost the same, the loss between them would be divided by 0."""
        plan = plan_of(book, sizes=("4k", "4001"), arms=("real",))
        with pytest.raises(InputError, match=r"sizes 4k and 4001 give arm 'real' [0-9,]+ parameters both"):
            scale_trials(plan, plan.source.load())

    @pytest.mark.parametrize(
        ("length", "said"),
        [(60, "train part of text 'book' has 5"), (200, "validation part of text 'book' has 9")],
    )
    def test_a_text_that_is_too_short_is_refused_before_anything_is_trained(
        self, book: Path, length: int, said: str
    ) -> None:
        book.write_text(book.read_text()[:length])
        plan = plan_of(book, context=64)
        with pytest.raises(DataError, match=said):
            scale_trials(plan, plan.source.load())

    def test_byte_pairs_are_learnt_from_the_training_part_alone(self, book: Path, tmp_path: Path) -> None:
        book.write_text("ab " * 600)
        other = tmp_path / "other.txt"
        other.write_text("xy " * 100)
        texts = {"book": {"train": str(book), "test": str(other)}}
        plan = plan_of(book, texts=texts, tokens="bpe", vocabulary=260, arms=("real",), sizes=("8k", "9k"))
        context = plan.source.load()
        trial = scale_trials(plan, context)[0]
        # "ab" and "ab" behind a space are all that there is to merge.
        assert context.shape("book", trial.model).vocabulary == 258
        assert (trial.protocol, scale_trials(plan_of(book), context)[0].protocol) == (2, 1)
        model = protocol._train(trial.model, 0.01, context.parts["book"])
        assert len(model.tokens.encode("xyxy")) == 4

    def test_parts_do_not_overlap(self, book: Path) -> None:
        text = book.read_text()
        parts = split_text(TextSource(str(book)), TextSplit())
        assert parts.train + parts.validation + parts.test == text
        assert len(parts.test) == round(len(text) * 0.1)

    def test_another_text_to_measure_on(self, book: Path, tmp_path: Path) -> None:
        (tmp_path / "other.txt").write_text("xyz" * 100)
        source = TextSource(str(book), str(tmp_path / "other.txt"))
        parts = split_text(source, TextSplit(test_characters=30))
        assert parts.train + parts.validation == book.read_text()
        assert parts.test == "xyz" * 10


class TestTrial:
    def test_the_search_is_the_same_for_all_and_the_test_text_has_no_part_in_it(self, book: Path) -> None:
        plan = plan_of(book, seeds=(0,), arms=("tap",), sizes=("6k",))
        context = plan.source.load()
        (trial,) = scale_trials(plan, context)
        record = run_trial(trial, context)
        tried = {each["learning_rate"]: each["validation_loss"] for each in record.candidates}
        assert set(tried) == {0.001, 0.01}
        assert record.chosen["learning_rate"] == min(tried, key=lambda rate: tried[rate])
        shape = context.shape("book", trial.model)
        assert (record.n_parameters, record.flops_per_token) == (count_parameters(shape), count_flops(shape))
        assert [each["tokens"] for each in record.curve] == [256, 512]
        assert record.n_tokens == 512

    def test_it_is_what_a_language_model_with_that_rate_gives(self, book: Path) -> None:
        plan = plan_of(book, seeds=(3,), arms=("entangled",), sizes=("6k",), rates=(0.02,))
        context = plan.source.load()
        (trial,) = scale_trials(plan, context)
        record = run_trial(trial, context)
        training = replace(trial.model.training, learning_rate=0.02)
        model, parts = LanguageModel(replace(trial.model, training=training)), context.parts["book"]
        model.prepare(parts.train, parts.held_out)
        model.fit(parts.train, parts.validation)
        assert record.candidates == ()
        assert record.test["loss"] == pytest.approx(model.score(parts.test).loss, rel=1e-6)

    def test_a_rate_that_fails_is_a_result_and_all_of_them_a_failure(self, book: Path) -> None:
        plan = plan_of(book, seeds=(0,), arms=("real",), sizes=("4k",), rates=(0.01, 99.0))
        plan = replace(plan, training={"epochs": 1, "clip_norm": 0.0, "weight_decay": 1e6})
        context = plan.source.load()
        (trial,) = scale_trials(plan, context)
        record = run_trial(replace(trial, rates=(1e-9, 99.0), search_tokens=1024), context)
        assert "the training loss became" in record.candidates[1]["error"]
        (failure,) = protocol.attempt([replace(trial, rates=(98.0, 99.0), search_tokens=1024)], context)
        assert "none of 2 rates could be trained with" in failure.to_mapping()["error"]

    def test_another_text_is_refused(self, book: Path) -> None:
        plan = plan_of(book)
        trial = scale_trials(plan, plan.source.load())[0]
        book.write_text(book.read_text() + "more")
        with pytest.raises(InputError, match="text 'book' is not what the study began with"):
            run_trial(trial, plan.source.load())


class TestStudy:
    def killed(self, plan: ScalePlan, folder: Path, after: int) -> Ended:
        """A study that dies in the middle of a trial once so many are recorded."""
        attempt, done = protocol.DECODER_TRIALS.attempt, list[object]()
        train = protocol._train

        def count(group: Any, context: Any) -> Any:
            done.extend(group)
            return attempt(group, context)

        def die(*given: Any) -> LanguageModel:
            model = train(*given)
            if len(done) > after:
                os.kill(os.getpid(), signal.SIGKILL)
            return model

        def act() -> int:
            protocol.DECODER_TRIALS = replace(protocol.DECODER_TRIALS, attempt=count)
            protocol._train = die  # type: ignore[assignment]
            run_study(SCALE, plan, folder, resume=folder.exists())
            return 0

        return run_forked(act, folder.parent)

    def test_kills_inside_trials_lose_none_and_repeat_none(self, book: Path, tmp_path: Path) -> None:
        plan = plan_of(book, arms=("real", "entangled"), sizes=("6k",))
        whole = run_study(SCALE, plan, tmp_path / "whole")
        cut = tmp_path / "cut"
        for after in (0, 1, 2):
            assert self.killed(plan, cut, after).code == -signal.SIGKILL
        assert run_study(SCALE, plan, cut, resume=True)["done"] == 4
        assert records_of(cut) == records_of(tmp_path / "whole")
        assert len(records_of(cut)) == whole["done"] == 4
        claims = DecoderJournal(cut).state().claims
        # The trial that was killed is begun again, and those before it never.
        assert sum(claims.values()) == 4 + 3

    @pytest.mark.slow
    def test_worker_processes_give_the_same_numbers(self, book: Path, tmp_path: Path) -> None:
        plan = plan_of(book, arms=("tap",), sizes=("6k",))
        run_study(SCALE, plan, tmp_path / "here")
        result = run_study(SCALE, plan, tmp_path / "there", workers=2)
        assert records_of(tmp_path / "there") == records_of(tmp_path / "here")
        (cell,) = result["cells"]
        assert cell["loss"]["mean"] == pytest.approx(sum(cell["losses"].values()) / 2)


class TestOnANode:
    """What a node of a cluster does with a trial, without a cluster."""

    @pytest.fixture(autouse=True)
    def unchanged(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        threads = torch.get_num_threads()
        monkeypatch.chdir(Path.cwd())
        yield
        torch.set_num_threads(threads)

    def test_the_numbers_are_those_of_here(self, book: Path) -> None:
        plan = plan_of(book, arms=("tap",), sizes=("6k",), seeds=(0,))
        context = plan.source.load()
        (trial,) = scale_trials(plan, context)
        answer = json.loads(run_on_node(describe(plan.source), json.dumps([trial.to_mapping()])))
        record = trial_kind("decoder").outcome(answer["outcomes"][0])
        assert isinstance(record, DecoderRecord)
        assert numbers_of(record) == numbers_of(run_trial(trial, context))

    def test_another_text_ends_the_study_in_one_line(self, book: Path) -> None:
        plan = plan_of(book, arms=("tap",), sizes=("6k",), seeds=(0,))
        (trial,) = scale_trials(plan, plan.source.load())
        other = replace(trial, text_fingerprint="0" * 64)
        answer = json.loads(run_on_node(describe(plan.source), json.dumps([other.to_mapping()])))
        assert "text 'book' is not what the study began with" in answer["error"]

    def test_a_kind_of_trial_that_there_is_not(self) -> None:
        with pytest.raises(UnknownNameError, match=r"kind of trial 'decodr'.*did you mean 'decoder'"):
            trial_kind("decodr")


def test_without_rates_each_size_has_one_of_its_own(book: Path) -> None:
    plan = plan_of(book, rates=())
    trials = scale_trials(plan, plan.source.load())
    assert {trial.model.size: trial.rates for trial in trials} == {"4k": (0.005,), "6k": (0.005,)}
    sizes = ("65k", "246k", "812k", "2.25M", "50M")
    assert [rate_of(size) for size in sizes] == [0.005, 0.0029, 0.0017, 0.0011, 0.00031]
    assert parse_plan(plan_to_toml(plan), "x", ScalePlan) == plan
