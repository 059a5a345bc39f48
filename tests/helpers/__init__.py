"""Shared helpers of the tests: reference computations, small tasks and test parameters."""
