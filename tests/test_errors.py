"""Errors: one line that says what was given, what was expected and what to do."""

from __future__ import annotations

import pytest

from hybridqies.errors import (
    CircuitError,
    DataError,
    HybridqiesError,
    InputError,
    MissingExtraError,
    ModelFolderError,
    UnknownNameError,
    nearest,
)


class TestErrors:
    def test_one_line_of_three_parts(self) -> None:
        error = InputError("it was\n given 3", expected="at most  2", todo="give less")
        assert str(error) == "it was given 3; expected at most 2; give less"

    @pytest.mark.parametrize("kind", [CircuitError, DataError, ModelFolderError, MissingExtraError])
    def test_one_base(self, kind: type[Exception]) -> None:
        assert issubclass(kind, HybridqiesError)

    def test_bad_input_is_a_value_error(self) -> None:
        assert issubclass(InputError, ValueError)
        assert issubclass(MissingExtraError, ImportError)

    def test_unknown_names(self) -> None:
        error = UnknownNameError("fruit", "appel", ["pear", "apple"], todo="or bring your own")
        assert str(error) == (
            "unknown fruit 'appel'; expected one of apple, pear; did you mean 'apple'? Or bring your own"
        )
        assert UnknownNameError("fruit", "zzz", []).nearest is None
        assert str(UnknownNameError("fruit", "zzz", ["pear"], todo="or bring your own")) == (
            "unknown fruit 'zzz'; expected one of pear; or bring your own"
        )
        assert str(UnknownNameError("fruit", "peer", ["pear"])).endswith("; did you mean 'pear'?")

    def test_nearest_ignores_case(self) -> None:
        assert nearest("ALL-MINILM", ["all-MiniLM-L6-v2", "iqp"]) == "all-MiniLM-L6-v2"
        assert nearest("x", ["long-range-reupload"]) is None

    def test_a_missing_extra_says_how_to_get_it(self) -> None:
        assert "pip install 'hybridqies[data]'" in str(MissingExtraError("reading Parquet", "data"))
