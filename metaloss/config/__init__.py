"""Configurations from gin files."""

from metaloss.config.reading import Config, configuration
from metaloss.gin_files import find, shipped

__all__ = ["Config", "configuration", "find", "shipped"]
