"""What a parameter is for, declared by the module that holds it; training makes its groups from this."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class Role(enum.Enum):
    """What a parameter is for.

    CIRCUIT angles of the circuit that is read, ENCODING angles of circuits that bring an embedding into it,
    READOUT the layer behind a circuit, ENCODER weights of a text encoder, ADAPTER what is added to frozen
    weights, BODY everything else.
    """

    CIRCUIT = "circuit"
    ENCODING = "encoding"
    READOUT = "readout"
    ENCODER = "encoder"
    ADAPTER = "adapter"
    BODY = "body"


def roles_of(model: nn.Module) -> dict[str, Role]:
    """The role of every parameter of `model`, by its name.

    A module declares roles in an attribute `roles` that maps the names of its own parameters and children to
    a `Role`. The innermost declaration wins; what nobody declares is BODY.

    Raises
    ------
    TypeError: a declaration that is no mapping, or names something that its module doesn't have.
    """
    found = {name: Role.BODY for name, _ in model.named_parameters()}
    for prefix, module in model.named_modules():
        for member, role in _declared(module).items():
            path = f"{prefix}.{member}" if prefix else member
            for name in found:
                if name == path or name.startswith(path + "."):
                    found[name] = role
    return found


def _declared(module: nn.Module) -> Mapping[str, Role]:
    declared: Any = getattr(module, "roles", {})
    if not isinstance(declared, Mapping):
        raise TypeError(
            f"{type(module).__name__}.roles is {declared!r}; expected a mapping of names to roles"
        )
    for member in declared:
        if not hasattr(module, member):
            raise TypeError(f"{type(module).__name__} declares a role for {member!r}, which it doesn't have")
    return declared
