"""Jobs at remote services: providers, the journal, and the runner, which neither loses nor repeats a job."""

from hybridqies.backends.jobs.journal import Journal, default_journal
from hybridqies.backends.jobs.lifecycle import JobRunner
from hybridqies.backends.jobs.limits import Limits
from hybridqies.backends.jobs.provider import (
    Counts,
    JobError,
    JobState,
    JobStatus,
    Provider,
    TransientError,
    UncertainError,
    Work,
)
from hybridqies.backends.jobs.record import JobRecord
from hybridqies.backends.jobs.retry import Retry
from hybridqies.backends.jobs.scrubbing import scrub

__all__ = [
    "Counts",
    "JobError",
    "JobRecord",
    "JobRunner",
    "JobState",
    "JobStatus",
    "Journal",
    "Limits",
    "Provider",
    "Retry",
    "TransientError",
    "UncertainError",
    "Work",
    "default_journal",
    "scrub",
]
