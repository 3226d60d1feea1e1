"""The contract of a backend: pytest classes that users subclass, and the dense reference behind them."""

import pytest

# Before the modules are imported: a failed comparison then shows both of its sides.
_PARTS = ("gradients", "honesty", "layer", "shots", "subject", "values")
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from hybridqies.testing.contract import (  # noqa: E402
    BackendContract,
    FamilyContract,
    RuleContract,
    SamplingContract,
)
from hybridqies.testing.values import GateContract  # noqa: E402

__all__ = ["BackendContract", "FamilyContract", "GateContract", "RuleContract", "SamplingContract"]
