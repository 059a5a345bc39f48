"""The paper's tables, figures and theorems, beside its own numbers."""

from metaloss.reproduce.published_table import PublishedTable

__all__ = ["PublishedTable"]
