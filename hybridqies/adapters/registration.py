"""The adapters of this package as methods of peft, in its public dictionaries."""

from __future__ import annotations

import enum

from hybridqies.errors import InputError, MissingExtraError

_SERIES = "0.21."
"""Versions of peft whose dictionaries and layers these adapters are written for."""


class TunerType(enum.StrEnum):
    """What a saved adapter gives as its `peft_type`; peft's own enum has no place for others."""

    QUANTA = "QUANTA"
    CIRCUIT = "CIRCUIT"


def register() -> None:
    """Makes the adapters known to peft, so that it finds the class of a saved one.

    Making a configuration does this, too. Call it before `PeftModel.from_pretrained` or
    `SentenceTransformer.load_adapter` in a program that makes none. Calling it again changes nothing.

    Raises
    ------
    MissingExtraError: peft is not installed.
    InputError: another version of peft is installed.
    """
    check_peft()
    from peft.mapping import (
        PEFT_TYPE_TO_CONFIG_MAPPING,
        PEFT_TYPE_TO_PREFIX_MAPPING,
        PEFT_TYPE_TO_TUNER_MAPPING,
    )

    from hybridqies.adapters.circuit import CircuitConfig, CircuitModel
    from hybridqies.adapters.quanta import QuantaConfig, QuantaModel

    for kind, config, model in (
        (TunerType.QUANTA, QuantaConfig, QuantaModel),
        (TunerType.CIRCUIT, CircuitConfig, CircuitModel),
    ):
        PEFT_TYPE_TO_CONFIG_MAPPING[kind] = config
        PEFT_TYPE_TO_TUNER_MAPPING[kind] = model
        PEFT_TYPE_TO_PREFIX_MAPPING[kind] = model.prefix


def check_peft() -> None:
    """Refuses a peft that is missing or of another series.

    Raises
    ------
    MissingExtraError: peft is not installed.
    InputError: another version is installed.
    """
    try:
        import peft
    except ImportError:
        raise MissingExtraError("an adapter", "adapters") from None
    if not peft.__version__.startswith(_SERIES):
        raise InputError(
            f"peft {peft.__version__} is installed",
            expected=f"{_SERIES}x",
            todo="install it with: pip install 'hybridqies[adapters]'",
        )
