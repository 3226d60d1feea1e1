"""Loading and saving models of transformers, and lm-eval, without their bars and reports."""

from __future__ import annotations

import contextlib
import importlib
import logging as python_logging
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No loading bars and load reports from transformers in here; afterwards everything is as before."""
    bars: Any = importlib.import_module("huggingface_hub.utils")
    logging: Any = importlib.import_module("transformers.utils.logging")
    verbosity, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_shown = not bars.are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
        # The two calls of transformers switch the hub's bars as well.
        if hub_shown:
            bars.enable_progress_bars()
        elif shown:
            bars.disable_progress_bars()


@contextlib.contextmanager
def quiet_harness() -> Iterator[None]:
    """No bars of data sets and no remarks of lm-eval and of the hub in here; afterwards as before."""
    bars: Any = importlib.import_module("datasets.utils.logging")
    loggers = [python_logging.getLogger(name) for name in ("lm_eval", "datasets", "huggingface_hub")]
    levels, shown = [logger.level for logger in loggers], bars.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(python_logging.ERROR)
    bars.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()
