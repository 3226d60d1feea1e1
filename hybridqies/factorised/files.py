"""Models of transformers with compressed layers as folders: their cores as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridqies.errors import ModelFolderError
from hybridqies.factorised.layer import CompressedLinear, replace_module
from hybridqies.folder_checks import check_configs
from hybridqies.tensors import check_finite, load_state, load_tensors, save_tensors

WEIGHTS = "compressed.safetensors"


def save_compressed(model: Any, folder: Path) -> None:
    """Writes a transformers model with compressed layers to a folder: its configuration and all weights.

    Raises
    ------
    InputError: it has NaN or infinite weights.
    """
    shared = _aliases(model)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in shared}
    check_finite(tensors, folder / WEIGHTS)
    record = {
        "class": type(model).__name__,
        "dtype": str(model.dtype).removeprefix("torch."),
        "layers": {
            name: layer.describe()
            for name, layer in model.named_modules()
            if isinstance(layer, CompressedLinear)
        },
    }
    model.config.save_pretrained(folder)
    save_tensors(folder / WEIGHTS, tensors, record)


def load_compressed(folder: str | Path) -> Any:
    """The model that `save_compressed` wrote, ready to evaluate; nothing but the folder is needed.

    Raises
    ------
    ModelFolderError: the folder is damaged, or holds no compressed model.
    InputError: a configuration asks for code from elsewhere.
    """
    import transformers

    path = Path(folder) / WEIGHTS
    tensors, record = load_tensors(path)
    check_configs(Path(folder))
    try:
        cls, dtype = getattr(transformers, record["class"]), getattr(torch, record["dtype"])
        if not (isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)):
            raise ValueError(f"{record['class']} is no model of transformers")
        config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True)
        model = cls(config).to(dtype)
        for name, layer in record["layers"].items():
            replace_module(model, name, CompressedLinear.from_description(layer, dtype))
    except (KeyError, AttributeError, TypeError, OSError, ValueError) as error:
        raise ModelFolderError(
            f"{str(folder)!r} cannot be loaded ({type(error).__name__}: {str(error)[:200]})",
            expected="a folder written by hybridqies compress",
        ) from error
    tied = {name: tensors[first] for name, first in _aliases(model).items() if first in tensors}
    load_state(model, {**tensors, **tied}, path)
    return model.eval()


def _aliases(model: nn.Module) -> dict[str, str]:
    """Names of weights that another name has already, such as a tied output layer: name → first name."""
    first: dict[tuple[int, torch.Size], str] = {}
    aliases = {}
    state: dict[str, Tensor] = model.state_dict()
    for name, tensor in state.items():
        owner = first.setdefault((tensor.data_ptr(), tensor.shape), name)
        if owner != name and tensor.numel():
            aliases[name] = owner
    return aliases
