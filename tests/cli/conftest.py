"""The program as tests of its commands call it."""

from __future__ import annotations

import pytest
from cli.program import Say

from hybridqies.cli.app import run


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the program, expects success, and gives stdout and stderr."""

    def call(*arguments: object) -> tuple[str, str]:
        assert run([str(argument) for argument in arguments]) == 0
        return capsys.readouterr()

    return call
