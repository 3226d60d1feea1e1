"""Events of a radiation detector: simulated runs, detectors, and their limits of detection."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.events.attention import (
        AttentionConfig,
        AttentionDetector,
        Readout,
        as_detector,
        count_windows,
        make_rows,
        train_detector,
    )
    from hybridqies.events.detectors import DETECTORS, Detector
    from hybridqies.events.limits import Limit, currie_limit, find_limits
    from hybridqies.events.runs import Runs, simulate
    from hybridqies.events.scene import EDGES, ROI, Scene

__all__ = [
    "DETECTORS",
    "EDGES",
    "ROI",
    "AttentionConfig",
    "AttentionDetector",
    "Detector",
    "Limit",
    "Readout",
    "Runs",
    "Scene",
    "as_detector",
    "count_windows",
    "currie_limit",
    "find_limits",
    "make_rows",
    "simulate",
    "train_detector",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("scene", "runs", "detectors", "limits", "attention"))
