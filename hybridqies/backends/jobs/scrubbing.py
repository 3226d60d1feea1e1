"""The second net for credentials: text from outside is rid of them before it is kept or shown."""

from __future__ import annotations

import os
import re

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


def scrub(text: str) -> str:
    """`text` on one line, without the value of any credential variable and without authorisation headers."""
    # The longest first: one secret may begin with another.
    for secret in sorted(filter(None, map(_value, CREDENTIALS)), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return " ".join(_HEADER.sub(rf"\1\2{_HIDDEN}", text).split())


def _value(name: str) -> str:
    return os.environ.get(name, "").strip()
