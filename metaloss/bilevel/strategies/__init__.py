"""The ways to compute a hypergradient."""
