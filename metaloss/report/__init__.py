"""A page about finished runs."""

from metaloss.report.again import write_again
from metaloss.report.page import write_report

__all__ = ["write_again", "write_report"]
