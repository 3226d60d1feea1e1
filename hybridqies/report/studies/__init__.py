"""Tables and pictures of studies, from their recorded results alone."""

from hybridqies.report.studies.report import StudyReport, report_of

__all__ = ["StudyReport", "report_of"]
