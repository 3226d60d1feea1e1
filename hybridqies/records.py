"""Records: JSON files and files of JSON lines that carry a digest, which is checked whenever they are read.

The digest finds damage: a flipped bit, a changed digit, a lost line. It is no signature: whoever can
write the file can write the digest too. A record without a digest is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any

from hybridqies.errors import InputError, ModelFolderError
from hybridqies.files import write_bytes, write_json

_DIGEST = "digest"
_SUM_DIGITS = 16
_SUM_KEY = b', "sum": "'
Needed = Mapping[str, type | UnionType]


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` and its digest as JSON, whole or not at all.

    Raises
    ------
    InputError: it holds NaN, an infinity, or anything else that JSON has no form for.
    OSError: the file cannot be written.
    """
    try:
        # As it will be read: keys become words, tuples become lists.
        plain = json.loads(json.dumps(content, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be written as JSON: {error}") from None
    plain.pop(_DIGEST, None)
    write_json(path, plain | {_DIGEST: digest_of(plain)})


def read_record(
    path: Path, *, needed: Needed | None = None, what: str = "record", todo: str = "restore it or train again"
) -> dict[str, Any]:
    """The record at `path`, without its digest. `needed` gives keys that it must have, with their types.

    A whole number may stand where a float is needed. `what` and `todo` are for the error message.

    Raises
    ------
    ModelFolderError: the file is missing, truncated or altered, or lacks its digest or what is needed.
    """

    def refuse(problem: str) -> ModelFolderError:
        return ModelFolderError(f"{what} {str(path)!r} {problem}", todo=todo)

    try:
        content = parse_json(read_bytes(path))
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise refuse(f"is truncated or damaged ({error})") from None
    if not isinstance(content, dict):
        raise refuse("is damaged: it is no JSON object")
    recorded = content.pop(_DIGEST, None)
    if recorded is None:
        raise refuse("has no digest: it was altered, or written by an early version")
    if recorded != digest_of(content):
        raise refuse("was altered or damaged after it was written: its digest does not fit")
    problem = lacking(content, needed or {})
    if problem:
        raise refuse(f"is damaged: {problem}")
    return content


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes one JSON object a line, each with a checksum over it and all lines before it.

    Raises
    ------
    InputError: there are no lines, or one holds NaN, an infinity, or anything else that JSON has no form for.
    OSError: the file cannot be written.
    """
    seal, parts = LineSeal(), []
    for left, line in zip(range(len(lines) - 1, -1, -1), lines, strict=True):
        try:
            parts.append(seal.seal(line, last=left == 0))
        except (TypeError, ValueError) as error:
            raise InputError(f"{str(path)!r} cannot be written as JSON: {error}") from None
    if not parts:
        raise InputError(f"{str(path)!r} was to hold no lines", expected="at least one")
    write_bytes(path, b"".join(parts))


def read_lines(
    path: Path, *, needed: Needed | None = None, what: str = "record", todo: str = "restore it or train again"
) -> tuple[dict[str, Any], ...]:
    """The lines that `write_lines` wrote, without their checksums; `needed` is what each line must have.

    Raises
    ------
    ModelFolderError: the file is missing, empty or cut off, or a line is damaged, altered or lacks something;
        the message names the line.
    """
    try:
        lines = read_bytes(path).removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise ModelFolderError(
            f"{what} {str(path)!r} cannot be read: {error.strerror or error}", todo=todo
        ) from None
    seal, contents = LineSeal(all_sealed=True), []
    for number, line in enumerate(lines, 1):
        try:
            contents.append(seal.open(line + b"\n", last=number == len(lines)))
            problem = lacking(contents[-1], needed or {})
        except ValueError as error:
            problem = str(error)
        if problem:
            raise ModelFolderError(f"line {number} of {what} {str(path)!r} is damaged: {problem}", todo=todo)
    return tuple(contents)


class LineSeal:
    """Gives lines their checksums and checks them, one line after the other.

    A checksum covers its line and all that stand before it, so a line that is changed, lost or moved
    spoils all that follow. Lines without a checksum may only stand before the first that has one:
    earlier versions wrote them; with `all_sealed` there are none. `unchecked` counts them.
    """

    def __init__(self, start: bytes = b"", *, all_sealed: bool = False) -> None:
        self._chain = hashlib.sha256(start).digest()
        self._any_sealed = all_sealed
        self.unchecked = 0

    def copy(self) -> LineSeal:
        """One in the same state, for lines that may not come to be written."""
        twin = LineSeal()
        twin._chain, twin._any_sealed, twin.unchecked = self._chain, self._any_sealed, self.unchecked
        return twin

    def seal(self, content: Mapping[str, Any], *, last: bool = False) -> bytes:
        """The next line, with its checksum; TypeError or ValueError where JSON has no form for it."""
        if not content:
            raise ValueError("a line has no content")
        body = json.dumps(content, allow_nan=False).encode("ascii")
        self._any_sealed = True
        return body[:-1] + _SUM_KEY + self._advance(body, last) + b'"}\n'

    def open(self, line: bytes, *, last: bool = False) -> dict[str, Any]:
        """What the next line says; ValueError where it is damaged or does not follow the one before."""
        body, marked, rest = line.rpartition(_SUM_KEY)
        if marked and len(rest) == _SUM_DIGITS + len(b'"}\n'):
            body += b"}"
            if rest != self._advance(body, last) + b'"}\n':
                raise ValueError("its checksum does not fit")
            self._any_sealed = True
        elif self._any_sealed:
            raise ValueError("it has no checksum")
        else:
            body = line.removesuffix(b"\n")
            self._advance(body)
            self.unchecked += 1
        content = parse_json(body)
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        return content

    def _advance(self, body: bytes, last: bool = False) -> bytes:
        # The last line of a file is marked in its checksum, so that it is missed where the file was cut off.
        self._chain = hashlib.sha256(self._chain + body + (b"\0last" if last else b"")).digest()
        return self._chain.hex()[:_SUM_DIGITS].encode("ascii")


def read_bytes(path: Path) -> bytes:
    """The content of a regular file; OSError for anything else, such as a pipe that never ends."""
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    return path.read_bytes()


def parse_json(content: bytes) -> Any:
    """JSON in UTF-8 without NaN or infinities; ValueError for anything else, however deep or long."""
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 over the content of a record, in hex."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


def lacking(content: Mapping[str, Any], needed: Needed) -> str:
    """What is wrong with the needed keys; empty where nothing is. `read_record` asks this of its keys."""
    for name, kind in needed.items():
        if name not in content:
            return f"it has no {name!r}"
        if not _is_a(content[name], kind):
            return f"{name!r} is {content[name]!r:.60}"
    return ""


def _refuse_constant(word: str) -> None:
    raise ValueError(f"it holds {word}, which is no number")


def _finite(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise ValueError(f"it holds {word:.40}, which is too large")
    return value


def _is_a(value: object, kind: type | UnionType) -> bool:
    if isinstance(value, bool):
        return kind is object or (isinstance(value, kind) and not isinstance(0, kind))
    return isinstance(value, kind) or (isinstance(value, int) and isinstance(0.0, kind))
