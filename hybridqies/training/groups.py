"""Parameters by how they are trained: one group of the optimiser for each role."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hybridqies.roles import Role, roles_of
from hybridqies.training.config import TrainingConfig

# The order of the groups is part of a checkpoint. An angle is not made simpler by making it smaller.
_DECAYS = {
    Role.ENCODING: False,
    Role.CIRCUIT: False,
    Role.READOUT: True,
    Role.ENCODER: True,
    Role.ADAPTER: True,
    Role.BODY: True,
}


def make_optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the groups of `parameter_groups`."""
    return torch.optim.AdamW(parameter_groups(model, config))


def parameter_groups(model: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """The parameters of every role that `model` has, with their learning rate and weight decay."""
    roles = roles_of(model)
    groups = []
    for role, decays in _DECAYS.items():
        members = [value for name, value in model.named_parameters() if roles[name] is role]
        if members:
            decay = config.weight_decay if decays else 0.0
            groups.append({"params": members, "lr": learning_rate(config, role), "weight_decay": decay})
    return groups


def learning_rate(config: TrainingConfig, role: Role) -> float:
    """The rate of parameters of that role."""
    own: float | None = getattr(config.rates, role.value, None)
    return config.learning_rate if own is None else own
