"""How the guide is built: Sphinx, Furo, MyST. A warning is an error."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

from gallery import write_gallery

project = "hybridqies"
author = "The hybridqies contributors"
copyright = "2026, The hybridqies contributors"
release = version = version_of("hybridqies")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_use_ivar = True

# Names of other projects and of the standard library have no page here, nor have types inside a floor.
# Public names of ours must resolve.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!hybridqies\.).*"), ("py:.*", r"hybridqies\.\w+\.\w+\.[\w.]+")]

html_theme = "furo"
html_title = f"hybridqies {release}"
html_static_path = ["_static"]
html_copy_source = False


def escape_kets(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keeps the bar of a ket such as |0…0⟩ in a docstring from starting a substitution."""
    lines[:] = [re.sub(r"\|(?=[^|⟩]*⟩)", r"\\|", line) for line in lines]


def make_gallery(app: Sphinx) -> None:
    """Writes the page of all recipes before pages are read."""
    write_gallery(Path(app.srcdir) / "concepts", Path(app.srcdir) / "_build" / "gallery")


def setup(app: Sphinx) -> None:
    """Registers what this file adds to Sphinx."""
    app.connect("builder-inited", make_gallery)
    app.connect("autodoc-process-docstring", escape_kets)
