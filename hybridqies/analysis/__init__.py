"""What mixing layers of a language model do and cost: entanglement by token, correlations, ablations."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.analysis.ablation import Ablated, Replacement, ablate_mixers
    from hybridqies.analysis.correlation import Correlation, correlate
    from hybridqies.analysis.costs import measure_costs, measure_peak
    from hybridqies.analysis.maps import SentenceMap, map_sentence, map_windows, window_losses

__all__ = [
    "Ablated",
    "Correlation",
    "Replacement",
    "SentenceMap",
    "ablate_mixers",
    "correlate",
    "map_sentence",
    "map_windows",
    "measure_costs",
    "measure_peak",
    "window_losses",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("ablation", "correlation", "costs", "maps"))
