"""lm-eval on language models of this package, and on those of transformers with inserted mixing layers."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.harness.benchmarks import benchmark, benchmark_language_model, load_tasks
    from hybridqies.harness.scorers import DecoderScorer, Scorer, TransformerScorer

__all__ = [
    "DecoderScorer",
    "Scorer",
    "TransformerScorer",
    "benchmark",
    "benchmark_language_model",
    "load_tasks",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("scorers", "benchmarks"))
