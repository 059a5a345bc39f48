"""The type checker that checks the package's annotations while tests run."""

from beartype import BeartypeConf, beartype

# The numeric tower of PEP 484: a function that takes a float also takes an int.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
