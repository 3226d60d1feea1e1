"""Tables and pictures, from recorded results alone."""

from hybridqies.report.pictures import write_pictures
from hybridqies.report.tables import comparison_table, dry_run_table, evaluation_tables

__all__ = ["comparison_table", "dry_run_table", "evaluation_tables", "write_pictures"]
