"""What a tensor network leaves out of a state, and the warning where that is much."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

from torch import Tensor


class TruncationWarning(UserWarning):
    """A tensor network discarded so much that its values may be wrong."""


@dataclass(frozen=True, eq=False, slots=True)
class Truncation:
    """What was discarded of each sample's state.

    `discarded` (B,) adds up the squares of the discarded singular values over all updates, `largest` (B,) is
    the largest of them. `drift` (B, M) is how far each value moves when χ is halved: zero where nothing is
    discarded, None where it was not computed. `bond` is the largest bond, and `swaps` are the SWAP gates that
    were added.
    """

    discarded: Tensor
    largest: Tensor
    bond: int
    swaps: int
    drift: Tensor | None = None

    def to(self, like: Tensor) -> Truncation:
        """In the precision and on the device of `like`."""
        drift = None if self.drift is None else self.drift.to(like)
        return replace(self, discarded=self.discarded.to(like), largest=self.largest.to(like), drift=drift)

    def warn(self, spec: str, threshold: float) -> None:
        """Warns where the discarded weight or the drift of any sample is larger than `threshold`."""
        discarded = float(self.discarded.max())
        drift = 0.0 if self.drift is None else float(self.drift.max())
        if max(discarded, drift) > threshold:
            moved = f", and half its chi moves a value by {drift:.1e}" if drift else ""
            warnings.warn(
                f"backend {spec!r} discarded a weight of {discarded:.1e}{moved}: "
                f"values may be wrong; compare them with those of a larger chi",
                TruncationWarning,
                stacklevel=2,
            )
