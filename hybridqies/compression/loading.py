"""Language models from folders and the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hybridqies.errors import InputError
from hybridqies.files import expand_home
from hybridqies.folder_checks import check_config, check_configs, is_path
from hybridqies.quiet import quiet_transformers


def load_causal_model(name: str) -> tuple[Any, Any]:
    """A causal language model in float32 and its tokenizer, from a folder or the hub.

    Raises
    ------
    InputError: there is none of that name, it asks for code from elsewhere, it is of another kind,
        or its weights are quantised.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

    path = str(expand_home(name))
    if Path(path).is_dir():
        check_configs(Path(path))
    elif is_path(name) and not Path(path).exists():
        # The hub would be asked for it, again and again where there is no network.
        raise InputError(
            f"model {name!r} cannot be loaded (there is no such folder)",
            expected="a folder or hub name of a causal language model",
        )
    try:
        check_config(PretrainedConfig.get_config_dict(path)[0], Path(name) / "config.json")
        config = AutoConfig.from_pretrained(path)
        kinds = list(config.architectures or ["unknown"])
        if not any(kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in kinds):
            raise InputError(
                f"model {name!r} is a {', '.join(kinds)}",
                expected="a causal language model",
                todo="compress other models in Python with hybridqies.compression.compress",
            )
        if getattr(config, "quantization_config", None):
            raise InputError(
                f"model {name!r} is quantised",
                expected="weights of 16 or 32 bits",
                todo="dequantise it first",
            )
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        return model.eval(), AutoTokenizer.from_pretrained(path)
    except InputError:
        raise
    except (OSError, ValueError, KeyError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise InputError(
            f"model {name!r} cannot be loaded ({first[:200]})",
            expected="a folder or hub name of a causal language model",
        ) from error
