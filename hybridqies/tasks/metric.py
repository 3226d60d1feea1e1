"""A metric: what a task calls a number that it measures, and how reports write it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a task measures; `name` is its key in a measurement.

    `plural` is the key of the values of all seeds in a summary, and `words` is what reports call it, where
    that is not the name. A metric that `is_share` lies between 0 and 1: reports write it in percent, and
    differences of it in percentage points.
    """

    name: str
    plural: str
    higher_is_better: bool = True
    is_share: bool = False
    words: str = ""

    @property
    def label(self) -> str:
        """The name in words."""
        return self.words or self.name.replace("_", " ")

    @property
    def scale(self) -> int:
        """What a value is multiplied by to be written."""
        return 100 if self.is_share else 1

    @property
    def unit(self) -> str:
        """The unit of a written value; empty where it has none."""
        return "%" if self.is_share else ""

    @property
    def unit_of_differences(self) -> str:
        """The unit of a written difference; empty where it has none."""
        return "points" if self.is_share else ""

    def name_with_unit(self, part: str) -> str:
        """As an axis of a picture says it, measured on that part of the data."""
        return f"{part} {self.label} ({self.unit})" if self.unit else f"{part} {self.label}"

    def write(self, value: float) -> str:
        """A value without its unit."""
        return f"{self.scale * value:.2f}" if self.is_share else f"{value:.4g}"

    def write_with_unit(self, value: float) -> str:
        """A value with its unit, where it has one."""
        return f"{self.write(value)} {self.unit}".rstrip()

    def write_difference(self, value: float) -> str:
        """A difference with its sign and without its unit."""
        return f"{self.scale * value:+.2f}" if self.is_share else f"{value:+.3g}"

    def orient(self, value: float) -> float:
        """The value, or its negative, so that more is better."""
        return value if self.higher_is_better else -value


ACCURACY = Metric("accuracy", "accuracies", is_share=True)
MACRO_F1 = Metric("macro_f1", "macro_f1s", is_share=True, words="macro-F1")
