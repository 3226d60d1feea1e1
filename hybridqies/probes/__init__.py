"""Synthetic probes of what a decoder can learn: copying, induction, brackets, recall."""

from typing import TYPE_CHECKING

from hybridqies.lazily import import_lazily

if TYPE_CHECKING:
    from hybridqies.probes.measure import ProbePlan, run_probes, wilson
    from hybridqies.probes.tasks import KINDS, Probe, make_probe

__all__ = ["KINDS", "Probe", "ProbePlan", "make_probe", "run_probes", "wilson"]

__getattr__, __dir__ = import_lazily(__name__, __all__, ("tasks", "measure"))
