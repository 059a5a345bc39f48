"""The command line."""

from metaloss.cli.program import app, main

__all__ = ["app", "main"]
