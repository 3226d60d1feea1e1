"""Several workloads of a peer in one process, so that it is imported once: `python -m peers.series`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

from peers.worker import measure
from peers.workload import Prepared, Workload, write_result

GIVEN, FOUND, REFUSED = ".given.npz", ".found.npz", ".refused.txt"


def main() -> None:
    """Measures every workload of a folder, in the order of their names; whoever starts this may stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=2.0, help="for the steady steps of each")
    given = parser.parse_args()
    prepare: Callable[[Workload], Prepared] = importlib.import_module(given.module).prepare
    for path in sorted(given.folder.glob(f"*{GIVEN}")):
        name = path.name.removesuffix(GIVEN)
        try:
            timing, result = measure(prepare, Workload.read(path), given.threads, given.seconds)
        except Exception as error:
            # One that a peer cannot do leaves the others to be measured.
            said = (str(error).splitlines() or [""])[0]
            (given.folder / (name + REFUSED)).write_text(f"{type(error).__name__}: {said}"[:200])
            continue
        # Beside its name, then renamed: this process may be stopped at any moment.
        beside = given.folder / (name + ".part.npz")
        write_result(beside, timing, result)
        beside.replace(given.folder / (name + FOUND))


if __name__ == "__main__":
    main()
