"""Our engine inside other frameworks; a framework loads its plug-in itself, by an entry point."""

from hybridqies.plugins.device import StateVectorDevice

__all__ = ["StateVectorDevice"]
