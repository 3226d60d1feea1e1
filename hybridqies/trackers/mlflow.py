"""MLflow: a run in an experiment, on a server, in a database or wherever its client writes to."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from hybridqies.errors import MissingExtraError
from hybridqies.trackers.base import Scalar, Tracker

_LONGEST = 500
"""Characters of a parameter that every version of MLflow takes."""
_MOST = 100
"""Parameters that MLflow takes in one request."""


class MLflow(Tracker):
    """Writes to the tracking URI `target`; by default to where MLflow's own settings point.

    MLFLOW_EXPERIMENT_NAME names the experiment. MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD have the credentials.
    """

    def __init__(self, target: str | None, run: Path) -> None:  # noqa: ARG002
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise MissingExtraError("tracker 'mlflow'", "mlflow") from None
        self._client = MlflowClient(tracking_uri=target)
        self._experiment, self._run, self._step = "", "", 0

    def connect(self) -> None:
        """Finds the experiment, or makes it."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "hybridqies"
        found = self._client.get_experiment_by_name(name)
        self._experiment = self._make(name) if found is None else found.experiment_id

    def begin(self, name: str, config: Mapping[str, Scalar], known: str | None) -> str:
        """A run of MLflow, named by its id."""
        from mlflow.entities import Param

        self._step = 0
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            self._run = known
            return known
        self._run = self._client.create_run(self._experiment, run_name=name).info.run_id
        params = [Param(key, str(value)[:_LONGEST]) for key, value in config.items()]
        for first in range(0, len(params), _MOST):
            self._client.log_batch(self._run, params=params[first : first + _MOST], synchronous=True)
        return self._run

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One request with all metrics of an epoch."""
        from mlflow.entities import Metric

        self._step = step
        now = int(time.time() * 1000)
        points = [Metric(name, value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self._run, metrics=points, synchronous=True)

    def end(self, result: Mapping[str, float] | None) -> None:
        """The run's status becomes FINISHED, or KILLED."""
        if result is not None:
            self.log(result, self._step)
        self._client.set_terminated(self._run, "KILLED" if result is None else "FINISHED")

    def _make(self, name: str) -> str:
        """A new experiment; that of another command where one has made it meanwhile."""
        try:
            return str(self._client.create_experiment(name))
        except Exception:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)
