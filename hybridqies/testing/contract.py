"""What every backend promises, as classes of tests."""

from __future__ import annotations

from hybridqies.testing.gradients import GradientContract
from hybridqies.testing.honesty import HonestyContract, RefusalContract
from hybridqies.testing.layer import LayerContract
from hybridqies.testing.shots import ShotContract
from hybridqies.testing.values import GateContract, ValueContract


class FamilyContract(RefusalContract, LayerContract):
    """What depends on the family alone: refusals, and the layer that holds a backend."""


class SamplingContract(ValueContract, ShotContract):
    """What the target, shots and noise change: values, errors and seeds."""


class RuleContract(GradientContract, HonestyContract):
    """What every option may change: gradients, and what the backend says of itself."""


class BackendContract(FamilyContract, GateContract, SamplingContract, RuleContract):
    """All tests of a backend; a subclass fills in `backend`, and `atol` if its precision is not double.

    >>> class TestMine(BackendContract):
    ...     def backend(self):
    ...         return MyBackend(shots=4096)

    Exact backends are compared with the dense reference within `atol`, sampled ones within five standard
    errors; the seed decides the samples, so a test always passes or always fails. Noisy backends and hardware
    have no reference and are compared with themselves. What a backend declares not to do has to be refused.
    Tests that do not apply are skipped with the reason.

    A family with many targets and options can save time: `FamilyContract` once, `GateContract` for each
    target, `SamplingContract` for each choice of shots and noise, `RuleContract` for all options.
    """
