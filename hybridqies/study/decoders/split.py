"""Which texts, and how they are split. Light, because commands read it."""

from __future__ import annotations

from dataclasses import dataclass

from hybridqies.options import within


@dataclass(frozen=True, slots=True)
class TextSource:
    """A text to train on, and one to measure on; without it the end of the first is left for that."""

    train: str
    test: str | None = None


@dataclass(frozen=True, slots=True)
class TextSplit:
    """How texts are split.

    `test_fraction` of the end of a text is for the test where no other text is, and `validation_fraction`
    of the end of the rest for validation. Of a test text the first `test_characters` are read.
    """

    validation_fraction: float = 0.02
    test_fraction: float = 0.1
    test_characters: int = 100_000

    def __post_init__(self) -> None:
        fractions = dict.fromkeys(("validation_fraction", "test_fraction"), (0.001, 0.9))
        within(self, "option of the split", **fractions, test_characters=(2, 1e12))
