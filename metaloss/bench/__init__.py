"""What a meta iteration costs, beside a plain step and the same through other libraries."""

from metaloss.bench.results import Results, Row
from metaloss.bench.run import measure
from metaloss.bench.settings import Settings

__all__ = ["Results", "Row", "Settings", "measure"]
