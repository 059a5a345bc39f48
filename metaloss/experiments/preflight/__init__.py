"""Checks of data, networks and methods before a run begins."""
