"""Trials: named by their content, claimed, recorded and shared between processes."""
