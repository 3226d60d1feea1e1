"""A backend in one string: `family:target,option=value,option=value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybridqies.errors import InputError
from hybridqies.options import parse_word


def label_of(family: str, target: str) -> str:
    """Family and target, as strings, messages and tables name them."""
    return f"{family}:{target}" if target else family


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """The parts of a backend's name: `aer:density_matrix,p2=0.01` is family, target and options."""

    family: str
    target: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> BackendSpec:
        """The parts of `text`.

        Raises
        ------
        InputError: an option without "=", or given twice.
        """
        head, *pairs = text.split(",")
        family, _, target = head.strip().partition(":")
        options: dict[str, Any] = {}
        for pair in pairs:
            key, equals, value = (part.strip() for part in pair.partition("="))
            if not (key and equals and value):
                raise InputError(
                    f"backend {text!r} has the option {pair!r}",
                    expected="key=value, as in aer,shots=4096",
                )
            if key in options:
                raise InputError(f"backend {text!r} gives {key!r} twice", expected="each option once")
            options[key] = parse_word(value)
        return cls(family, target, options)

    def __str__(self) -> str:
        return ",".join(
            [
                label_of(self.family, self.target),
                *(f"{key}={_word(value)}" for key, value in self.options.items()),
            ]
        )


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
