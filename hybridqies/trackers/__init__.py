"""Trackers: where the epochs and results of a run are also shown, such as TensorBoard and MLflow."""

from hybridqies.trackers.base import Tracker
from hybridqies.trackers.registry import TRACKERS, Destination, read_destinations, tracker_names

__all__ = ["TRACKERS", "Destination", "Tracker", "read_destinations", "tracker_names"]
