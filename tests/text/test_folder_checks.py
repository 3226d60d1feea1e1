"""Encoder folders from strangers: no code of theirs runs, and none of their files keeps the reader busy."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridqies import folder_checks
from hybridqies.errors import InputError
from hybridqies.text.encoder import Encoder

CODE = """
from pathlib import Path
Path({mark!r}).write_text('ran')
from sentence_transformers.models import Normalize
class Evil(Normalize): pass
"""


@pytest.fixture
def folder(tiny_encoder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, copy)
    (copy / "strange.py").write_text(
        CODE.format(mark=str(tmp_path / "mark")) + "class Evil(Normalize): pass\n"
    )
    return copy


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    change(content)
    file.write_text(json.dumps(content))


MODULES = [
    "strange.Evil",
    "os.system",
    "sentence_transformers.models.Normalize.strange",
    "sentence_transformers.Evil",
    "xsentence_transformers.models.Normalize",
    "sentence_transformers.models.Asym",
    7,
]
CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("config.json", {"attn_implementation": "someone/kernel"}),
    ("config.json", {"_attn_implementation": "someone/kernel@main:flash"}),
    ("config.json", {"text_config": {"_attn_implementation_internal": "someone/kernel"}}),
    ("config.json", {"attn_implementation": {"": "someone/kernel"}}),
    ("config.json", {"use_kernels": True}),
    ("config.json", {"trust_remote_code": True}),
    ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
    ("sentence_bert_config.json", {"model_kwargs": {"attn_implementation": "someone/kernel"}}),
    ("adapter_config.json", {"auto_mapping": {"base_model_class": "Evil", "parent_library": "strange"}}),
    ("1_Pooling/config.json", {"activation_function": "strange.Evil"}),
    ("1_Pooling/config.json", {"tokenizer_class": "strange.Evil"}),
]


class TestCode:
    @pytest.mark.parametrize("kind", MODULES)
    def test_module_from_elsewhere(
        self, folder: Path, kind: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        edit(
            folder / "modules.json",
            lambda modules: modules.append({"idx": 2, "name": "2", "path": "", "type": kind}),
        )
        monkeypatch.syspath_prepend(str(folder))
        with pytest.raises(InputError, match=r"modules\.json names the module .* whose code is not run"):
            Encoder.load(folder)
        assert not (tmp_path / "mark").exists()
        assert "strange" not in sys.modules

    @pytest.mark.parametrize(("name", "content"), CONFIGS)
    def test_configuration_that_asks_for_code(self, folder: Path, name: str, content: dict[str, Any]) -> None:
        edit(folder / name, lambda config: config.update(content))
        with pytest.raises(InputError, match="asks for code from elsewhere"):
            Encoder.load(folder)

    def test_automatic_classes_of_the_folder_are_not_imported(self, folder: Path, tmp_path: Path) -> None:
        own = {
            "AutoConfig": "strange.Evil",
            "AutoModel": "strange.Evil",
            "AutoTokenizer": ["strange.Evil", None],
        }
        for name in ("config.json", "tokenizer_config.json"):
            edit(folder / name, lambda config: config.update(auto_map=own))
        edit(folder / "config.json", lambda config: config.update(model_type="strange"))
        with pytest.raises(InputError, match="cannot be loaded"):
            Encoder.load(folder).encode(["the sea"])
        assert not (tmp_path / "mark").exists()

    def test_usual_configurations_pass(self, folder: Path) -> None:
        edit(folder / "config.json", lambda config: config.update(_attn_implementation="sdpa", auto_map={}))
        edit(folder / "tokenizer_config.json", lambda config: config.update(tokenizer_class="BertTokenizer"))
        modules = [
            "sentence_transformers.models.Transformer",
            "sentence_transformers.base.modules.transformer.Transformer",
            "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
            "sentence_transformers.base.modules.dense.Dense",
        ]
        for kind in modules:
            folder_checks.check_module_type(kind, folder)
        for name in ("torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity"):
            folder_checks.check_config({"activation_function": name}, folder)
        assert Encoder.load(folder).encode(["the sea"]).shape == (1, 32)

    @pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b"])
    def test_module_outside_the_folder(self, folder: Path, path: str) -> None:
        edit(folder / "modules.json", lambda modules: modules[1].update(path=path))
        with pytest.raises(InputError, match=r"modules\.json cannot be read"):
            Encoder.load(folder)


def nest(file: Path) -> None:
    file.write_text("[" * 200_000)


class TestNeverEnding:
    def test_folder_linked_into_itself(self, folder: Path) -> None:
        for name in "ab":
            (folder / name).symlink_to(".")
        with pytest.raises(InputError, match="link to a folder above it"):
            _ = Encoder.load(folder).fingerprint

    def test_folders_that_double(self, folder: Path, tmp_path: Path) -> None:
        level = tmp_path / "level0"
        level.mkdir()
        for depth in range(1, 30):
            above = tmp_path / f"level{depth}"
            above.mkdir()
            for name in "ab":
                (above / name).symlink_to(level)
            level = above
        (folder / "deep").symlink_to(level)
        with pytest.raises(InputError, match="more than 1000 folders"):
            Encoder.load(folder)

    @pytest.mark.parametrize("name", ["x_config.json", "README.md", "1_Pooling/anything"])
    def test_pipe(self, folder: Path, name: str) -> None:
        os.mkfifo(folder / name)
        with pytest.raises(InputError, match="pipe, a socket or a device"):
            Encoder.load(folder)

    @pytest.mark.parametrize("name", ["x_config.json", "modules.json"])
    def test_device(self, folder: Path, name: str) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("/dev/zero")
        with pytest.raises(InputError, match=r"is a pipe, a socket or a device|is no regular file"):
            Encoder.load(folder)

    def test_link_to_nowhere_and_to_itself_are_left_alone(self, folder: Path) -> None:
        before = Encoder.load(folder).fingerprint
        (folder / "a_config.json").symlink_to("nowhere")
        (folder / "b_config.json").symlink_to("b_config.json")
        assert Encoder.load(folder).fingerprint == before

    @pytest.mark.parametrize("name", ["config.json", "modules.json", "sentence_bert_config.json"])
    def test_json_nested_deeply_or_huge(self, folder: Path, name: str) -> None:
        whole = (folder / name).read_bytes()
        nest(folder / name)
        with pytest.raises(InputError, match=f"{name} is not JSON: it is nested too deeply"):
            Encoder.load(folder)
        (folder / name).write_bytes(whole)
        os.truncate(folder / name, 2**40)
        with pytest.raises(InputError, match="more than any configuration"):
            Encoder.load(folder)

    def test_weights_with_a_nested_header(self, folder: Path) -> None:
        header = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(InputError, match="cannot be loaded"):
            Encoder.load(folder).encode(["the sea"])


def test_home_of_nobody() -> None:
    with pytest.raises(InputError, match="'~nosuchuser/x' names a home folder that doesn't exist"):
        Encoder.load("~nosuchuser/x")
