"""The cost of a meta iteration, beside a plain step and the same iteration in other libraries."""

from metaloss.bench.results import Results, Row
from metaloss.bench.run import measure
from metaloss.bench.settings import Settings

__all__ = ["Results", "Row", "Settings", "measure"]
