"""An adjusted criterion in other libraries' trainers; each module needs the library it is for."""

import contextlib

from metaloss.shim import import_torchvision

with contextlib.suppress(ImportError):  # they import it, if there is one
    import_torchvision()
