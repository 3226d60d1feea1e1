"""What every backend promises, as one class of tests."""

from __future__ import annotations

from hybridqies.testing.gradients import GradientContract
from hybridqies.testing.honesty import HonestyContract
from hybridqies.testing.layer import LayerContract
from hybridqies.testing.shots import ShotContract
from hybridqies.testing.values import ValueContract


class BackendContract(ValueContract, GradientContract, ShotContract, HonestyContract, LayerContract):
    """Tests that prove a backend; a subclass fills in `backend`, and `atol` if it is not of double precision.

    >>> class TestMine(BackendContract):
    ...     def backend(self):
    ...         return MyBackend(shots=4096)

    Exact backends are held to the dense reference within `atol`. Sampled ones are held to it within five
    standard errors; their seed decides the samples, so that a test passes always or never. Noisy ones,
    and hardware, have no reference: they are compared with themselves. What a backend declares not to
    do has to be refused, and a test that does not apply is skipped with the reason.
    """
