"""What a circuit costs: gates, operations, memory, and its energy on a GPU and on a quantum processor."""

from hybridqies.energy.constants import Constant, Constants
from hybridqies.energy.crossover import PUBLISHED, Crossover, Row, compare_energy, find_crossover
from hybridqies.energy.work import Work, count_flops, count_work

__all__ = [
    "PUBLISHED",
    "Constant",
    "Constants",
    "Crossover",
    "Row",
    "Work",
    "compare_energy",
    "count_flops",
    "count_work",
    "find_crossover",
]
