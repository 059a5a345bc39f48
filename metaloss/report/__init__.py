"""A page about finished runs."""

from metaloss.report.page import write_again, write_report

__all__ = ["write_again", "write_report"]
