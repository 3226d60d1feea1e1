"""The peers of the speed comparison: one small file each, run in an environment of its own."""
