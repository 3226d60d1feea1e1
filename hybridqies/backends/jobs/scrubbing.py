"""Credentials are removed from text that comes from outside before it is stored or shown."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

CREDENTIALS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "IBM_CLOUD_API_KEY",
    "IBMCLOUD_API_KEY",
    "IONQ_API_KEY",
    "IONQ_API_TOKEN",
    "QISKIT_IBM_TOKEN",
    "QISKIT_IONQ_API_TOKEN",
)
"""Environment variables whose values are secrets."""

_HEADER = re.compile(r"\b(apiKey|Bearer)(\s+)[^\s'\",;]+", re.IGNORECASE)
_HIDDEN = "***"
# So many letters and digits in a row are part of a secret: other text does not contain them by chance.
_TELLING = 8
# Shorter forms occur in ordinary words.
_LEAST = 4


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` on one line, without credentials: those of the environment, other `secrets`, and headers.

    A secret is found as it is, percent-encoded, in base64 wherever it begins, in hexadecimal; whole, or in
    parts of eight letters and digits; in one piece, or split by other characters. Case is ignored.
    """
    known = {each for each in (*map(_value, CREDENTIALS), *secrets) if each}
    # The longest first: one secret may begin with another.
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _hide(text, {form for secret in known for form in _forms(secret)})
    return " ".join(_HEADER.sub(rf"\1\2{_HIDDEN}", text).split())


def _hide(text: str, forms: set[str]) -> str:
    """`text` with every part of the `forms` hidden; only letters and digits are compared."""
    places = [at for at, letter in enumerate(text) if letter.isascii() and letter.isalnum()]
    compact = "".join(text[at] for at in places).lower()
    hidden: set[int] = set()
    for form in forms:
        length = min(len(form), _TELLING)
        parts = {form[at : at + length] for at in range(len(form) - length + 1)}
        for at in range(len(compact) - length + 1):
            if compact[at : at + length] in parts:
                hidden.update(places[at : at + length])
    shown = (letter if at not in hidden else "\0" for at, letter in enumerate(text))
    return re.sub("\0+", _HIDDEN, "".join(shown)) if hidden else text


def _forms(secret: str) -> Iterator[str]:
    """The secret in each encoding, in lower case, its letters and digits alone."""
    content = secret.encode("utf-8", "surrogatepass")
    spelled = [secret, quote(content, safe=""), "".join(f"%{byte:02x}" for byte in content), content.hex()]
    spelled += [_in_base64(content, shift) for shift in range(3)]
    for each in spelled:
        form = "".join(letter for letter in each if letter.isascii() and letter.isalnum()).lower()
        if len(form) >= _LEAST:
            yield form


def _in_base64(content: bytes, shift: int) -> str:
    """The characters of base64 that `content` alone decides, `shift` bytes after the start of a group."""
    encoded = base64.b64encode(bytes(shift) + content).decode()
    return encoded[-(-8 * shift // 6) : 8 * (shift + len(content)) // 6]


def _value(name: str) -> str:
    return os.environ.get(name, "").strip()
