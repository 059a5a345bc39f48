"""Change the code at random places, and see whether the tests notice it."""
