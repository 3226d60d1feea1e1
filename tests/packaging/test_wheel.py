"""The wheel, installed into an empty environment away from the checkout, lists the circuits and trains."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT))
    (built,) = out.glob("hybridqies-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin folder of a new environment that holds the wheel, its dependencies and nothing else.

    `make wheel-test` has pip install the dependencies; elsewhere the same set is
    linked from the running environment, which needs no network.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    if os.environ.get("FRESH_WHEEL"):
        pins = ("-c", str(ROOT / "constraints.txt"))
        run(*pip, "install", "--no-input", "--no-compile", "-q", *pins, f"{wheel}[offline]")
    else:
        run(*pip, "install", "--no-index", "--no-deps", "-q", str(wheel))
        link_dependencies(home)
        copy_kernels(home)
    run(*pip, "check")
    yield python.parent
    shutil.rmtree(home)


def test_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    recipes = {path.name for path in (ROOT / "circuits").glob("*.toml")}
    folder = ROOT / "hybridqies" / "text" / "data"
    data = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    kernels = {path.name for path in (ROOT / "hybridqies" / "engine" / "cuda" / "source").iterdir()}
    tops = {name.split("/")[0] for name in names}
    assert "hybridqies/py.typed" in names
    assert recipes
    assert {f"hybridqies/_recipes/{name}" for name in recipes} <= set(names)
    assert "kernels.cu" in kernels
    assert {f"hybridqies/engine/cuda/source/{name}" for name in kernels} <= set(names)
    assert len(data) >= 4
    assert {f"hybridqies/text/data/{name}" for name in data} <= set(names)
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hybridqies"}
    assert not [name for name in names if "__pycache__" in name or "/test_" in name]


def test_installed_wheel_is_the_one_that_runs(environment: Path, tmp_path: Path) -> None:
    where = run(
        str(environment / "python"), "-c", "import hybridqies; print(hybridqies.__file__)", cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(environment.parent)


def test_installed_wheel_lists_the_circuits(environment: Path, tmp_path: Path) -> None:
    listing = run(str(environment / "hybridqies"), "circuits", "list", "--json", cwd=tmp_path)
    for recipe in (ROOT / "circuits").glob("*.toml"):
        assert recipe.stem in listing


def test_installed_wheel_trains(environment: Path, tmp_path: Path) -> None:
    table = tmp_path / "tiny.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        for i in range(30):
            writer.writerow((f"the parcel number {i} arrived in good order", "fine"))
            writer.writerow((f"you win prize {i}, call now to claim cash", "junk"))
    # With one circuit and one width of batches few kernels are needed.
    options = ["--head", "dressed", "--circuit", "long-range-reupload", "--qubits", "4", "--compare", "none"]
    options += ["--epochs", "2", "--batch-size", "13"]
    program = str(environment / "hybridqies")
    run(program, "train", "--data", str(table), *options, "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert 0 <= result["accuracy"] <= 1
    assert result["circuit"] == "long-range-reupload"
    # As many as need no other kernels.
    texts = [f"call now for a cash prize of {i}" for i in range(9)]
    answer = run(program, "predict", "run", *texts, "--json", cwd=tmp_path)
    labels = [json.loads(line)["label"] for line in answer.splitlines()]
    assert len(labels) == 9
    assert set(labels) <= {"fine", "junk"}


def run(*command: str, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed, run without this environment's paths and caches."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "COV_"))}
    if cwd is not None:
        environ |= {"HOME": str(cwd), "XDG_CACHE_HOME": str(cwd / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def link_dependencies(home: Path) -> None:
    """Links into an environment exactly the distributions that the installed wheel asks for."""
    (site,) = (home / "lib").glob("python*/site-packages")
    (info,) = site.glob("hybridqies-*.dist-info")
    for found in closure(Distribution.at(info), "offline").values():
        folder = Path(str(found.locate_file("")))
        for top in {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(folder / top)


def copy_kernels(home: Path) -> None:
    """Puts the checkout's compiled kernels beside the installed sources, which are the same."""
    (folder,) = (home / "lib").glob("python*/site-packages/hybridqies/engine/__pycache__")
    for compiled in (ROOT / "hybridqies" / "engine" / "__pycache__").glob("*.nb[ci]"):
        shutil.copy2(compiled, folder)


def closure(root: Distribution, extra: str) -> dict[str, Distribution]:
    """Every distribution that `root` with one extra needs, and what those need, by name."""
    found: dict[str, Distribution] = {}
    waiting = [(root, extra)]
    seen = set()
    while waiting:
        current, wanted = waiting.pop()
        for line in current.requires or ():
            need = Requirement(line)
            if need.marker is not None and not need.marker.evaluate({"extra": wanted}):
                continue
            found[need.name] = distribution(need.name)
            for each in ("", *need.extras):
                if (need.name, each) not in seen:
                    seen.add((need.name, each))
                    waiting.append((found[need.name], each))
    return found
