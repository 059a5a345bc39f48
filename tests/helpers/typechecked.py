"""The checker that holds every annotation of the package while tests run."""

from beartype import BeartypeConf, beartype

# PEP 484: a function that takes a float takes an int.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
