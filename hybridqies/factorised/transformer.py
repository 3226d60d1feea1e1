"""The transformer of a compressed sentence encoder, as a module of sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentence_transformers.base.modules import Transformer
from sentence_transformers.util import load_dir_path

from hybridqies.factorised.files import load_compressed, save_compressed


class CompressedTransformer(Transformer):
    """A `Transformer` with the weights of `save_compressed`; tokens and options are as in any other."""

    @classmethod
    def adopt(cls, module: Transformer) -> CompressedTransformer:
        """The same module with the same model, which is saved with its factors."""
        new = cls.__new__(cls)
        new.__dict__.update(module.__dict__)
        return new

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Writes weights, tokenizer and options to a folder."""
        save_compressed(self.model, Path(output_path))
        self.processor.save_pretrained(output_path)
        self.save_config(output_path)

    def _load_model(self, model_name_or_path: str, *_: Any, **options: Any) -> Any:
        folder = load_dir_path(
            model_name_or_path,
            subfolder=options.get("subfolder", ""),
            token=options.get("token"),
            cache_folder=options.get("cache_dir"),
            revision=options.get("revision"),
            local_files_only=options.get("local_files_only", False),
        )
        return load_compressed(folder)
