"""IonQ's ideal simulator passes the contract, by the real client on the loopback interface."""

from __future__ import annotations

import pytest

pytest.importorskip("qiskit_ionq")

from backends.ionq_server import IonQServer
from backends.ionq_service import TOKEN

from hybridqies.backends import JobSettings, load_backend
from hybridqies.backends.jobs import Retry
from hybridqies.testing import BackendContract


@pytest.fixture(scope="module")
def server():
    with IonQServer(seed=5) as running:
        running.service.control({"polls": 0})
        yield running


class TestIonQ(BackendContract):
    @pytest.fixture(autouse=True)
    def _reached(self, server, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("IONQ_API_KEY", TOKEN)
        monkeypatch.setenv("IONQ_API_URL", server.url)
        self.jobs = JobSettings(tmp_path / "jobs.jsonl", retry=Retry(poll_seconds=0.01))

    def backend(self):
        return self.journalled(load_backend("ionq:simulator,shots=4096"))

    def having(self, **options):
        return self.journalled(super().having(**options))

    def is_sampled(self):
        return True

    def journalled(self, backend):
        backend.jobs = self.jobs
        return backend
