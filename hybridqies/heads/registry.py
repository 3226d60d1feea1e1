"""The table of heads. A new one is a file beside this and a row here; the table drives tests and docs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hybridqies.errors import UnknownNameError
from hybridqies.options import from_mapping

if TYPE_CHECKING:
    from hybridqies.heads.base import Head, HeadContext

HEADS: dict[str, str] = {
    "two-module": "hybridqies.heads.two_module:TwoModuleHead",
    "dressed": "hybridqies.heads.dressed:DressedHead",
    "reupload": "hybridqies.heads.reupload:ReuploadHead",
    "logistic": "hybridqies.heads.logistic:LogisticHead",
    "mlp": "hybridqies.heads.mlp:MLPHead",
    "matched-mlp": "hybridqies.heads.mlp:MatchedMLPHead",
    "svc": "hybridqies.heads.svc:SVCHead",
}

QUANTUM_HEADS = ("two-module", "dressed", "reupload")


def head_class(name: str) -> type[Head]:
    """The class behind a head's name.

    Raises
    ------
    UnknownNameError: no head has that name; the nearest is offered.
    """
    if name not in HEADS:
        raise UnknownNameError("head", name, HEADS)
    module, _, attribute = HEADS[name].partition(":")
    found: type[Head] = getattr(importlib.import_module(module), attribute)
    return found


def build_head(name: str, options: Mapping[str, Any], context: HeadContext) -> Head:
    """The head called `name` with `options`, unknown ones refused by name."""
    found = head_class(name)
    return found(from_mapping(found.Config, options, what=f"option of head {name!r}:"), context)
