"""`python -m hybridqies`: the same as the command `hybridqies`."""

from hybridqies.cli import main

main()
