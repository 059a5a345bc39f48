"""What runs show on a terminal."""

from metaloss.console.progress import Bars, Lines, observer, say, summary
from metaloss.console.tables import across_table, results_table, score_table

__all__ = [
    "Bars",
    "Lines",
    "across_table",
    "observer",
    "results_table",
    "say",
    "score_table",
    "summary",
]
