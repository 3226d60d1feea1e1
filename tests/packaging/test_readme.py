"""The README's Python example runs as written, and what the pages beside it point at exists."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path

import pytest
from forked import run_forked

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_example_runs_as_written(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")

    def act() -> None:
        os.environ |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
        os.chdir(tmp_path)
        runpy.run_path(str(script), run_name="__main__")

    done = run_forked(act, tmp_path)
    assert done.code == 0, done.err
    assert len(example.splitlines()) <= 15


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_and_named_files_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    targets += re.findall(r"\b((?:tests|benchmarks)/[\w/]+(?:\.py)?)", text)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
