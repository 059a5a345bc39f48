"""Slow, obvious reference computations that the tests hold the package against."""
