"""Adjusted losses in other libraries' trainers; each module imports its library."""
