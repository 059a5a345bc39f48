"""What a meta iteration costs, beside a plain step and the same through other libraries."""

from metaloss.bench.report import report
from metaloss.bench.results import Results, Row, check_place
from metaloss.bench.run import measure
from metaloss.bench.settings import Settings

__all__ = ["Results", "Row", "Settings", "check_place", "measure", "report"]
