"""IonQ's service on the loopback interface, and its client in a hurry."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from backends.ionq_server import IonQServer
from backends.ionq_service import TOKEN
from backends.ionq_work import VARIABLES


@pytest.fixture
def no_warning_escapes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def server(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with IonQServer(seed=5) as running:
        running.service.polls = 0
        monkeypatch.setenv("IONQ_API_URL", running.url)
        monkeypatch.setenv("IONQ_API_KEY", TOKEN)
        yield running


@pytest.fixture
def impatient(monkeypatch):
    """The real client with a clock that runs faster: its 30 seconds are a fifth of one."""
    import requests

    for verb in ("get", "post", "put"):
        sent: Callable[..., Any] = getattr(requests, verb)
        monkeypatch.setattr(requests, verb, functools.partial(_in_a_hurry, sent))


def _in_a_hurry(sent: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return sent(*args, **{**options, "timeout": 0.2})
