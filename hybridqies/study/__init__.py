"""Studies: many runs under one protocol, compared with intervals and corrected tests."""
