"""Makes the environments of the peers: one folder each, below a folder that git ignores."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from peers.table import ENVIRONMENTS, PEERS

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"


def install(names: Iterable[str], peers_dir: Path) -> None:
    """Makes the environments of the peers called `names`; one that is already there is brought up to date."""
    peers_dir.mkdir(parents=True, exist_ok=True)
    (peers_dir / ".gitignore").write_text("*\n")
    wanted = [PEERS[name].environment for name in names]
    for environment in dict.fromkeys(each for each in wanted if each is not None):
        _make(environment, peers_dir / environment)


def _make(environment: str, folder: Path) -> None:
    print(f"{environment}: {' '.join(ENVIRONMENTS[environment])}", file=sys.stderr, flush=True)
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*command, "-c", str(CONSTRAINTS), *ENVIRONMENTS[environment]], check=True)
