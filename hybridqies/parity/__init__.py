"""The Quantization Model of scaling: multitask sparse parity."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.parity.net import ParityNet, count_parameters
    from hybridqies.parity.problem import ParityProblem, ParityRows
    from hybridqies.parity.scaling import (
        LearningOrder,
        ParityPlan,
        order_of_learning,
        read_parity,
        run_parity,
    )
    from hybridqies.parity.training import ParityTraining, QuantumLog, train_parity_net

__all__ = [
    "LearningOrder",
    "ParityNet",
    "ParityPlan",
    "ParityProblem",
    "ParityRows",
    "ParityTraining",
    "QuantumLog",
    "count_parameters",
    "order_of_learning",
    "read_parity",
    "run_parity",
    "train_parity_net",
]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("problem", "net", "training", "scaling"))
