"""The doctor: a self-test that can fail, extras by their metadata, caches with their sizes."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.program import Say

from hybridqies import doctor, engine
from hybridqies.cli.app import run


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "_SECONDS", 0.01)
    monkeypatch.setenv("HYBRIDQIES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HYBRIDQIES_JOBS", str(tmp_path / "jobs" / "jobs.jsonl"))


def test_json_says_what_the_tables_show(say: Say, tmp_path: Path) -> None:
    embeddings = tmp_path / "cache" / "embeddings" / "one"
    embeddings.mkdir(parents=True)
    (embeddings / "rows.bin").write_bytes(bytes(3000))
    (embeddings / "more.bin").write_bytes(bytes(72))
    (embeddings / "link").symlink_to(embeddings / "rows.bin")
    found = json.loads(say("doctor", "--json")[0])
    caches = {row["cache"]: row for row in found["caches"]}
    assert (caches["embeddings"]["files"], caches["embeddings"]["bytes"]) == (2, 3072)
    assert caches["models of the hub"]["files"] == 0
    assert found["packages"]["torch"] == torch.__version__
    (test,) = (row for row in found["self_tests"] if row["device"] == "cpu")
    assert test["passed"]
    assert test["error"] < 1e-12
    assert test["milliseconds"] > 0
    assert {"name": "statevector", "usable": True, "install": ""} in found["backends"]
    out = say("doctor")[0]
    assert "Usable backends: statevector" in out
    assert "3.0 KiB" in out
    assert "passed" in out


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({"HF_HUB_CACHE": "/models", "HF_HOME": "/home-of-hub", "XDG_CACHE_HOME": "/caches"}, "/models"),
        ({"HF_HOME": "/home-of-hub", "XDG_CACHE_HOME": "/caches"}, "/home-of-hub"),
        ({"XDG_CACHE_HOME": "/caches"}, "/caches/huggingface"),
        ({"HF_HOME": "~/hub", "HOME": "/home/me"}, "/home/me/hub"),
        ({"HOME": "/home/me"}, "/home/me/.cache/huggingface"),
    ],
)
def test_where_models_of_the_hub_are(
    given: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (found,) = (row for row in doctor.measure_caches() if row["cache"] == "models of the hub")
    assert found["folder"] == folder


@pytest.mark.parametrize("name", ["HYBRIDQIES_CACHE", "HF_HOME"])
def test_a_home_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv(name, "~nobody-of-that-name/cache")
    assert run(["doctor", "--json"]) == 2
    said, error = capsys.readouterr()
    assert not said
    assert error.startswith(
        "hybridqies: '~nobody-of-that-name/cache' names a home folder that doesn't exist;"
    )
    assert error.count("\n") == 1


def test_wrong_values_fail_the_test_and_the_command(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    right = engine.expectations

    def nearly_right(*given: Any) -> torch.Tensor:
        return right(*given) * 1.001

    monkeypatch.setattr(doctor, "expectations", nearly_right)
    assert run(["doctor"]) == 1
    assert "failed: values or gradients differ" in " ".join(capsys.readouterr().out.split())


def test_values_that_are_no_numbers_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    right = engine.expectations

    def spoilt(*given: Any) -> torch.Tensor:
        values = right(*given)
        return torch.where(torch.arange(values.shape[1]) == 0, torch.nan, values)

    monkeypatch.setattr(doctor, "expectations", spoilt)
    found = doctor.self_test("cpu")
    assert found.problem == "values or gradients differ by more than rounding"
    assert found.error is None


def test_a_device_that_raises_fails_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> torch.Tensor:
        raise RuntimeError("driver too old\nmore")

    monkeypatch.setattr(doctor, "expectations", broken)
    found = doctor.self_test("cpu")
    assert not found.passed
    assert found.problem == "RuntimeError: driver too old"
    assert found.error is None


def test_extras_say_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    class Facts:
        def get_all(self, name: str) -> list[str]:
            return ["one", "two", "dev"]

    required = [
        "torch>=2",
        'torch>=2; extra == "one"',
        'no-such-package>=3; extra == "two"',
        'torch>=9999; extra == "two"',
        'never; sys_platform == "none" and extra == "two"',
        'ruff; extra == "dev"',
    ]
    monkeypatch.setattr(metadata, "metadata", lambda name: Facts())
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    one, two = doctor.describe_extras()
    assert one == {"extra": "one", "packages": ["torch"], "missing": [], "install": ""}
    assert two["missing"] == ["no-such-package>=3", "torch>=9999"]
    assert two["install"] == "pip install 'hybridqies[two]'"


def test_a_copy_that_is_not_installed_has_no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert list(doctor.describe_extras()) == []
