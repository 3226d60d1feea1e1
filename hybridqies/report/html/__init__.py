"""Reports: recorded runs and studies as one HTML file that needs no network."""

from hybridqies.report.html.page import build_report, render_page
from hybridqies.report.html.reading import read_record_of

__all__ = ["build_report", "read_record_of", "render_page"]
