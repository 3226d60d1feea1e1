"""The table of study kinds. A new one is a file beside this and a row here; commands are made from it."""

from typing import Any

from hybridqies.study.kinds.ablate import ABLATION
from hybridqies.study.kinds.kind import StudyKind
from hybridqies.study.kinds.scale import SCALE
from hybridqies.study.kinds.screen import SCREEN
from hybridqies.study.kinds.sweep import SWEEP

STUDIES: dict[str, StudyKind[Any]] = {kind.name: kind for kind in (SWEEP, SCREEN, ABLATION, SCALE)}

__all__ = ["STUDIES", "StudyKind"]
