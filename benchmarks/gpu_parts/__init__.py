"""The parts of benchmarks/gpu.py: what runs on a card, and the seconds that are set aside for it."""
