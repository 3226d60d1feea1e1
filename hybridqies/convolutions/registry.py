"""The table of methods. A method is one class and one row here."""

from __future__ import annotations

from hybridqies.convolutions.base import Method
from hybridqies.convolutions.cp import CP
from hybridqies.convolutions.cuts import InCut, OutCut, OutHighCut, OutWideCut
from hybridqies.convolutions.mps import MPS
from hybridqies.convolutions.tucker import Tucker
from hybridqies.errors import UnknownNameError

METHODS: dict[str, Method] = {
    method.name: method for method in (Tucker(), CP(), MPS(), OutHighCut(), OutWideCut(), OutCut(), InCut())
}


def find_method(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    UnknownNameError: nothing has that name; the nearest is offered.
    """
    if name not in METHODS:
        raise UnknownNameError("method of factorising a kernel", name, METHODS)
    return METHODS[name]
