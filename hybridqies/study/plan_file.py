"""Plans as TOML files: written, and read with every error in one line."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hybridqies.errors import InputError
from hybridqies.options import from_mapping, parse
from hybridqies.study.plan import StudyPlan

Plan = TypeVar("Plan", bound=StudyPlan)

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# A plan has tables of settings by arm, whose values may be tables of numbers; nothing goes deeper.
_DEEPEST, _LARGEST = 6, 1_000_000


def plan_to_toml(plan: StudyPlan) -> str:
    """The plan as a TOML file; `parse_plan` reads it back."""
    return to_toml(plan.to_mapping())


def parse_plan(text: str, name: str, kind: type[Plan]) -> Plan:
    """Reads the TOML `text` of the study called `name`.

    Raises
    ------
    InputError: it is no TOML, has what plans of that kind don't have, or is a plan of another kind.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"study {name!r} is no valid TOML: {_reason(error)}") from None
    if not _is_flat(content):
        raise InputError(
            f"study {name!r} nests tables more than {_DEEPEST} deep", expected="a plan of a study"
        )
    own = kind_of(kind)
    given = parse(content.get("kind", own), str, "study option 'kind'")
    if given != own:
        raise InputError(f"a study of kind {given!r} was given as a {own}", todo=f"use: hybridqies {given}")
    return from_mapping(kind, content, what="study option")


def read_plan(path: Path, kind: type[Plan]) -> Plan:
    """Reads the study file at `path`.

    Raises
    ------
    InputError: it cannot be read, or is no plan.
    """
    try:
        if not path.is_file():
            raise InputError(f"study file {str(path)!r} cannot be read: there is no such file")
        if path.stat().st_size > _LARGEST:
            raise InputError(f"study file {str(path)!r} is too large", expected=f"at most {_LARGEST:,} bytes")
        return parse_plan(path.read_text(encoding="utf-8"), str(path), kind)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"study file {str(path)!r} cannot be read: {error}") from None


def kind_of(plan: type[StudyPlan]) -> str:
    """The name of the kind that a plan's class is for."""
    return str(next(each.default for each in dataclasses.fields(plan) if each.name == "kind"))


def to_toml(content: Mapping[str, Any]) -> str:
    """JSON values as TOML, tables last; None is left out, because TOML has none."""
    return "\n".join(_lines(content, ())) + "\n"


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _is_flat(content: Any) -> bool:
    """Whether nothing is nested deeper than plans are; walks level by level, so that depth costs nothing."""
    level = [content]
    for _ in range(_DEEPEST):
        inner = [each.values() if isinstance(each, Mapping) else each for each in level]
        level = [each for values in inner for each in values if isinstance(each, Mapping | list)]
    return not level


def _lines(content: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    if path and (plain or not content):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        if value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _lines(value, (*path, key))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
