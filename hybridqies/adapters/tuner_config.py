"""What the configurations of the adapters share: which layers of a model get one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from peft.config import PeftConfig

from hybridqies.adapters.registration import TunerType, register


@dataclass
class AdapterConfig(PeftConfig):
    """Where adapters go, as peft asks for it; the base of one class for each kind.

    `base_signs` is filled in when an adapter is saved: see `hybridqies.adapters.checkpoints`.
    """

    tuner_type: ClassVar[TunerType]

    target_modules: list[str] | set[str] | str | None = None
    exclude_modules: list[str] | set[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    base_signs: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        register()
        self.peft_type = self.tuner_type
        for names in ("target_modules", "exclude_modules"):
            given = getattr(self, names)
            setattr(self, names, set(given) if isinstance(given, list) else given)
