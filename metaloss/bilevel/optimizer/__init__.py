"""Optimizers as pure functions, and what may be done to their gradients."""
