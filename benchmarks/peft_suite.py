"""Runs peft's own tests of its methods on the adapters of hybridqies.

    python benchmarks/peft_suite.py CHECKOUT [-k EXPRESSION]

CHECKOUT is a clone of peft's repository, of the version that is installed or one near to it. Its tables of
cases are replaced by ours, and its models by small ones that are made on the spot: nothing is downloaded.
Where a test asks for an adapter that changes something, its numbers are shaken, as training would do.
Exits with 1 if a test fails for which no reason is known.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import types
from collections import Counter, defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
)

from hybridqies.adapters import CircuitConfig, QuantaConfig
from hybridqies.adapters.circuit import CircuitLayer
from hybridqies.adapters.quanta import QuantaLayer

FILES = ("test_custom_models", "test_decoder_models", "test_feature_extraction_models")
FROZEN_COPY = "the frozen copy of the start is a parameter of the adapter and has no gradient"
MESSAGE = "the error of a merge that is not finite has another message than peft's"
EXPECTED = {
    ("test_merge_layers_nan", "quanta-frozen"): MESSAGE,
    ("test_merge_layers_nan", "quanta-zero"): MESSAGE,
    ("test_merge_layers_nan", "circuit"): MESSAGE,
    ("test_training_layer_indexing", "quanta-frozen"): FROZEN_COPY,
    ("test_training_gradient_checkpointing", "quanta-frozen"): FROZEN_COPY,
    ("test_training_decoders_layer_indexing", "quanta-frozen"): FROZEN_COPY,
    ("test_training_decoders_gradient_checkpointing", "quanta-frozen"): FROZEN_COPY,
}
"""Why a test fails with a method, where the reason lies in what the method is."""


@dataclass
class Quanta(QuantaConfig):
    """With peft's usual switch for an adapter that changes something from the start."""

    init_weights: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        PEFT_TYPE_TO_CONFIG_MAPPING[self.tuner_type] = type(self)


@dataclass
class Circuit(CircuitConfig):
    """As `Quanta`."""

    init_weights: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        PEFT_TYPE_TO_CONFIG_MAPPING[self.tuner_type] = type(self)


METHODS: dict[str, tuple[type, dict[str, Any]]] = {
    "quanta-frozen": (Quanta, {"n_axes": 2}),
    "quanta-zero": (Quanta, {"n_axes": 2, "start": "zero"}),
    "circuit": (Circuit, {}),
}
PLACES: list[tuple[str, dict[str, Any]]] = [
    ("MLP", {"target_modules": "lin0"}),
    ("MLP", {"target_modules": ["lin0"]}),
    ("MLP", {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("MLP2", {"target_modules": ["lin0"]}),
    ("MLP_LayerNorm", {"target_modules": ["lin0"]}),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("-k", default="", help="as pytest's")
    chosen = parser.parse_args()
    sys.path.insert(0, str(chosen.checkout))
    assert Trainer  # Imported first: it looks for datasets, of which there may be a stand-in below.
    stand_in("diffusers", "StableDiffusionPipeline")
    stand_in("datasets", "load_dataset")
    for layer in (QuantaLayer, CircuitLayer):
        shake(layer)
    counts = Counted()
    with tempfile.TemporaryDirectory() as folder:
        replace_tables(Path(folder))
        files = [str(chosen.checkout / "tests" / f"{name}.py") for name in FILES]
        options = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "-W", "ignore", "--tb=no"]
        pytest.main([*options, "-k", chosen.k, *files], plugins=[counts])
    return counts.tell()


def stand_in(name: str, attribute: str) -> None:
    """A package that peft's tests import for other methods than these."""
    try:
        importlib.import_module(name)
    except ImportError:
        module = types.ModuleType(name)
        setattr(module, attribute, type(attribute, (), {}))
        sys.modules[name] = module


def shake(layer: Any) -> None:
    """Adapters made with `init_weights=False` have other values than at their start."""
    add = layer._add_adapter

    def add_and_shake(self: Any, adapter_name: str, config: Any) -> None:
        add(self, adapter_name, config)
        if not config.init_weights:
            for each in getattr(self, self.adapter_layer_names[0])[adapter_name].parameters():
                each.data += 0.3 * torch.randn_like(each)

    layer._add_adapter = add_and_shake


def replace_tables(folder: Path) -> None:
    """Our cases in the tables that peft's tests are made from."""
    custom, decoders, encoders = (importlib.import_module(f"tests.{name}") for name in FILES)
    custom.TEST_CASES[:] = [
        (f"{model} {name} {at}", model, config, {**options, **place})
        for name, (config, options) in METHODS.items()
        for at, (model, place) in enumerate(PLACES)
    ]
    custom.MULTIPLE_ACTIVE_ADAPTERS_TEST_CASES[:] = [
        (f"{name} Same", name, config, *[{**options, "target_modules": ["lin0"], "init_weights": False}] * 2)
        for name, (config, options) in METHODS.items()
    ]
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2}
    models = {
        "llama": LlamaForCausalLM(LlamaConfig(vocab_size=40, tie_word_embeddings=False, **sizes)),
        "conv1d": GPT2LMHeadModel(
            GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1)
        ),
        "bert": BertModel(BertConfig(vocab_size=40, **sizes)),
    }
    for name, model in models.items():
        model.save_pretrained(folder / name)
    decoders.PEFT_DECODER_MODELS_TO_TEST[:] = [str(folder / name) for name in ("llama", "conv1d")]
    encoders.PEFT_FEATURE_EXTRACTION_MODELS_TO_TEST[:] = [str(folder / "bert")]
    for module, task in ((decoders, "CAUSAL_LM"), (encoders, "FEATURE_EXTRACTION")):
        module.ALL_CONFIGS[:] = [
            (config, {**options, "task_type": task, "target_modules": None})
            for config, options in METHODS.values()
        ]


class Counted:
    """Keeps the tests that our cases are in, and counts what becomes of them."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.failures: dict[tuple[str, str], list[str]] = defaultdict(list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if method_of(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        if report.when == "call" or not report.passed:
            self.outcomes[method_of(item), report.outcome] += 1
        if report.failed:
            why = str(getattr(report.longrepr, "reprcrash", report.longrepr))
            self.failures[item.name.partition("[")[0], method_of(item)].append(why)
        return report

    def tell(self) -> int:
        """Prints counts and reasons: 1 where a failure has none."""
        for method in METHODS:
            counts = {name: count for (of, name), count in self.outcomes.items() if of == method}
            print(f"{method}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
        for (test, method), found in sorted(self.failures.items()):
            print(f"{test}, {method}, {len(found)} times: {EXPECTED.get((test, method), found[0])}")
        return int(not self.outcomes or bool(self.failures.keys() - EXPECTED.keys()))


def method_of(item: pytest.Item) -> str:
    """The name of the method that a test is for: empty where it is for another."""
    values = (
        item.callspec.params.values()
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else ()
    )
    given = [each for each in values if isinstance(each, dict)]
    for name, (config, options) in METHODS.items():
        if config in values and all(options.get("start") == each.get("start") for each in given):
            return name
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
