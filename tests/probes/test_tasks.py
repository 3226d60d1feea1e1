"""Sequences of probes: readers who know the rule are always right, those who do not are right by chance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hybridqies.errors import InputError
from hybridqies.probes import KINDS, Probe, make_probe
from hybridqies.probes.measure import measure_probe

NAMES = ["copy-3", "copy-9", "induction-8", "recall-4", "recall-16", "brackets-3"]


def follow(row: list[int]) -> int:
    """What came behind the last token when it was there before."""
    known = [at for at in range(len(row) - 1) if row[at] == row[-1]]
    return row[known[-1] + 1] if known else 0


def close(row: list[int], types: int) -> int:
    stack: list[int] = []
    for token in row:
        if token < types:
            stack.append(token)
        else:
            assert stack.pop() == token - types
    return types + stack[-1] if stack else 0


class Reader(nn.Module):
    """Logits of one answer for each prefix, which is all that it reads."""

    def __init__(self, probe: Probe, answer: object) -> None:
        super().__init__()
        self.probe, self.answer = probe, answer
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, ids: Tensor) -> Tensor:
        logits = torch.zeros(*ids.shape, self.probe.vocabulary)
        for at, row in enumerate(ids.tolist()):
            for stop in range(1, len(row)):
                logits[at, stop - 1, self.answer(row[:stop])] = 1.0  # type: ignore[operator]
        return logits


@pytest.mark.parametrize("name", NAMES)
def test_the_rule_gives_every_scored_token(name):
    probe = make_probe(name)
    kind, number = name.split("-")
    answers = {
        "copy": lambda row: row[-int(number)] if len(row) >= int(number) else 0,
        "brackets": lambda row: close(row, int(number)),
    }
    assert measure_probe(Reader(probe, answers.get(kind, follow)), probe, 20) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_chance_is_what_a_reader_without_the_rule_gets(name):
    probe = make_probe(name)
    generator = torch.Generator().manual_seed(1)

    def guess(row: list[int]) -> int:
        if name == "brackets-3":
            left = [row.count(kind) - row.count(3 + kind) for kind in range(3)]
            return 3 + left.index(max(left))
        answers = range(probe.first, probe.vocabulary)
        seen = sorted(set(row[:-1]) & set(answers) - {row[-1]}) or [0]
        return seen[int(torch.randint(len(seen), (1,), generator=generator))]

    # 200 sequences of about 10 to 60 scored tokens: a standard error of 0.01 at most.
    assert measure_probe(Reader(probe, guess), probe, 200) == pytest.approx(probe.chance, abs=0.04)


def test_chance_in_brackets_is_that_of_counting_and_not_of_guessing_a_kind():
    chances = [make_probe(f"brackets-{types}").chance for types in (2, 4, 8)]
    # With a single bracket open its kind is certain: by counting, more than half is right.
    assert chances == pytest.approx([0.765, 0.630, 0.551], abs=0.01)


def test_brackets_are_balanced_and_those_just_opened_not_scored():
    ids, scored = make_probe("brackets-2").draw(50, torch.Generator().manual_seed(0))
    depths = torch.where(ids < 2, 1, -1).cumsum(1)
    assert int(depths.min()) == 0
    assert not depths[:, -1].any()
    assert (ids[scored] >= 2).all()
    assert (ids[:, :-1][scored[:, 1:]] >= 2).all()
    assert torch.equal(scored[:, 1:], (ids[:, 1:] >= 2) & (ids[:, :-1] >= 2))


def test_an_untrained_guess_of_any_token_is_worse_than_chance_where_tokens_are_seen():
    for kind, row in KINDS.items():
        probe = make_probe(f"{kind}-{row.least}")
        assert 1 / (probe.vocabulary - probe.first) <= probe.chance < 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("copies-3", "did you mean 'copy'"),
        ("copy", "copy-N with a distance N from 3 to 32"),
        ("copy-2", "from 3 to 32"),
        ("recall-17", "from 2 to 16"),
        ("brackets-x", "from 2 to 64"),
        ("copy-\u0969", "from 3 to 32"),
    ],
)
def test_unknown_probes_are_refused(name, words):
    with pytest.raises(InputError, match=words):
        make_probe(name)
