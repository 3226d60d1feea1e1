"""How often and how long a request to a service is repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

from hybridqies.options import within


@dataclass(frozen=True, slots=True)
class Retry:
    """Bounds of retries, polling and waiting for lost requests, in seconds but for `tries` and `seed`.

    A refused request is made at most `tries` times within `total_seconds`. A job whose request got no answer
    is looked for until `settle_seconds` have passed, in which the service may still accept it.
    """

    tries: int = 8
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    total_seconds: float = 900.0
    settle_seconds: float = 10.0
    poll_seconds: float = 1.0
    longest_poll_seconds: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        seconds = [each.name for each in fields(self) if each.name.endswith("_seconds")]
        within(self, "retry option", tries=(1, 1e6), seed=(0, 2**63 - 1), **dict.fromkeys(seconds, (0, 1e9)))

    def pause(self, tried: int, generator: random.Random) -> float:
        """Seconds to wait after `tried` refused requests: doubled each time, half of it random."""
        # Beyond 2**60 a float would only overflow.
        longest = min(self.longest_seconds, self.first_seconds * 2.0 ** min(tried - 1, 60))
        return longest * (0.5 + 0.5 * generator.random())
