"""What all pictures share: names as they are written, files whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hybridqies.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plain(name: str, longest: int) -> str:
    """A user's name as matplotlib shows it letter by letter, cut where it would fill the picture."""
    short = name if len(name) <= longest else name[: longest - 1] + "…"
    return short.replace("$", r"\$")


def save(figure: Figure, path: Path) -> Path:
    """Writes the figure, whole or not at all; returns the path."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path
