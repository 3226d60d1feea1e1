"""What all pictures share: names letter by letter in fonts that have them, files whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridqies.errors import InputError
from hybridqies.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart by people who are colour-blind, too (Okabe and Ito); white and black come last.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
SUFFIXES = (".png", ".svg", ".pdf")
# It has a box for every letter that there is.
_BOXES = "Last Resort"


def check_picture(path: str | Path) -> Path:
    """The path of a picture, if its suffix says of which kind it is.

    Raises
    ------
    InputError: the suffix is none of SUFFIXES.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"a picture was asked for as {target.name!r}", expected=f"a name in {', '.join(SUFFIXES)}"
        )
    return target


def plain(name: str, longest: int) -> str:
    """A name as matplotlib shows it letter by letter, cut where it would fill the picture.

    Control characters, and letters that no installed font has, are written as escapes.
    """
    short = name if len(name) <= longest else name[: longest - 1] + "…"
    undrawable = missing_letters(short)
    escaped = "".join(ascii(letter)[1:-1] if letter in undrawable else letter for letter in short)
    return escaped.replace("$", r"\$")


def missing_letters(text: str) -> set[str]:
    """The letters of the text that no installed font can draw, control characters among them."""
    unsafe = {letter for letter in text if not letter.isprintable()}
    return unsafe | {letter for letter in _beyond_standard(text) - unsafe if _font_with(letter) is None}


def save(figure: Figure, path: Path, dots_per_inch: float = 150.0) -> Path:
    """Writes the figure, whole or not at all, in fonts that have its letters; returns the path."""
    write_bytes(path, render(figure, path.suffix[1:] or "png", dots_per_inch))
    return path


def render(figure: Figure, format_: str, dots_per_inch: float = 150.0) -> bytes:
    """The figure as a file of that format, in fonts that have its letters. An SVG has no date and no salt."""
    import matplotlib as mpl

    _choose_fonts(figure)
    drawn = io.BytesIO()
    undated: dict[str, Any] = {"metadata": {"Date": None}} if format_ == "svg" else {}
    with mpl.rc_context({"svg.hashsalt": "hybridqies"}):
        figure.savefig(drawn, format=format_, dpi=dots_per_inch, **undated)
    return drawn.getvalue()


def _choose_fonts(figure: Figure) -> None:
    """Gives each text of the figure fonts that have all its letters, the standard one first."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        fonts = map(_font_with, _beyond_standard(text.get_text()))
        others = {name for name in fonts if name is not None}
        if others:
            text.set_fontfamily([*text.get_fontfamily(), *sorted(others)])


def _beyond_standard(text: str) -> set[str]:
    """The letters that the standard font lacks."""
    from matplotlib import font_manager

    known = _letters_of(font_manager.findfont(font_manager.FontProperties()))
    return {letter for letter in text if ord(letter) not in known}


@lru_cache(maxsize=4096)
def _font_with(letter: str) -> str | None:
    """The family of the first installed font that has the letter."""
    return next((name for name, path in _fonts() if ord(letter) in _letters_of(path)), None)


def _fonts() -> Iterator[tuple[str, str]]:
    from matplotlib import font_manager

    fonts = font_manager.fontManager.ttflist
    return ((font.name, font.fname) for font in fonts if not font.name.startswith(_BOXES))


@lru_cache(maxsize=256)
def _letters_of(path: str) -> frozenset[int]:
    from matplotlib import font_manager

    if not Path(path).is_file():
        return frozenset()
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):
        # Listed and unusable: a font of coloured pictures, or one that was deleted meanwhile.
        return frozenset()
