"""What `verbose` shows: the progress of work that Python code started."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from hybridqies.bars import NotebookBars, is_notebook
from hybridqies.progress import ProgressLines

LOGGER = logging.getLogger("hybridqies")


@contextlib.contextmanager
def log_progress(verbose: bool) -> Iterator[ProgressLines | NotebookBars]:
    """Progress of work that Python code started, to the logger "hybridqies" at level INFO.

    With `verbose` it is shown even where logging was never set up: as bars in a notebook, as lines on stderr
    elsewhere.
    """
    if verbose and not LOGGER.hasHandlers() and is_notebook():
        with NotebookBars() as bars:
            yield bars
        return
    handler: logging.Handler | None = None
    if verbose and not LOGGER.hasHandlers():
        handler = logging.StreamHandler()
        LOGGER.addHandler(handler)
    level = LOGGER.level
    if verbose and not LOGGER.isEnabledFor(logging.INFO):
        LOGGER.setLevel(logging.INFO)
    lines = ProgressLines(LOGGER.info)
    try:
        if LOGGER.isEnabledFor(logging.INFO):
            with lines:
                yield lines
        else:
            yield lines
    finally:
        LOGGER.setLevel(level)
        if handler is not None:
            LOGGER.removeHandler(handler)
