"""An adjusted criterion in other libraries' trainers; each module needs the library it is for."""
