"""One worker process of a local study: groups of trials in on stdin, their outcomes out, JSON lines both.

    python -m hybridqies.study.places.worker

The first line in names what trials read, the first out says that they are loaded. A worker ends when its
stdin does, in the middle of a trial too: nobody is left to take the result.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from queue import SimpleQueue
from typing import Any, TextIO

from hybridqies.progress import COMPILING


def main() -> None:
    """Serves trials until stdin ends."""
    # Whatever libraries print must not get between the lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()

    import torch

    from hybridqies.engine import watch_compilation
    from hybridqies.errors import HybridqiesError
    from hybridqies.study.trials.kind import trial_kind
    from hybridqies.study.trials.outcome import outcome_to_mapping

    torch.set_num_threads(1)
    about = json.loads(lines.get())
    try:
        kind = trial_kind(about["kind"])
        context = kind.source(about["source"]).load()
        context.compute_rows(about["seed"])
    except (HybridqiesError, OSError) as error:
        _write(out, {"error": str(error)})
        return
    _write(out, {"error": None})
    with watch_compilation(_tell_of_compilation if about["tells"] else None):
        while True:
            trials = [kind.trial(each) for each in json.loads(lines.get())]
            _write(out, [outcome_to_mapping(each) for each in kind.attempt(trials, context)])


def _read(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _tell_of_compilation() -> None:
    sys.stderr.write(f"hybridqies: {COMPILING}\n")
    sys.stderr.flush()


def _write(out: TextIO, content: Any) -> None:
    try:
        out.write(json.dumps(content, allow_nan=False) + "\n")
        out.flush()
    except BrokenPipeError:
        # The parent is gone; the end of stdin may not have been met yet.
        os._exit(0)


if __name__ == "__main__":
    main()
