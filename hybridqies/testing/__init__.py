"""The contract of a backend: a pytest class that users subclass, and the dense reference behind it."""

import pytest

# Before the modules are imported: a failed comparison then shows both of its sides.
_PARTS = ("gradients", "honesty", "layer", "shots", "subject", "values")
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from hybridqies.testing.contract import BackendContract  # noqa: E402

__all__ = ["BackendContract"]
