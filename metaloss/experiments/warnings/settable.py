"""How settings are named in advice: in gin files, and by ``metaloss fit``."""

from __future__ import annotations

_OPTIONS = {"EPOCHS": "--epochs", "META_EVERY": "--meta-every"}


def settable(*names: str) -> str:
    """Return where settings are set, in brackets.

    Args:
        names: the names of gin macros, with or without a value.

    Example:
        >>> from metaloss.experiments.warnings.settable import settable
        >>> settable("META_EVERY", "EPOCHS")
        '(gin: META_EVERY, EPOCHS; metaloss fit: --meta-every, --epochs)'
        >>> settable("HOLD_NORM = 0.9")
        "(gin: HOLD_NORM = 0.9; metaloss fit: --gin_param 'HOLD_NORM = 0.9')"
    """
    options = [
        _OPTIONS.get(name) or f"--gin_param '{name if '=' in name else f'{name} = ...'}'"
        for name in names
    ]
    return f"(gin: {', '.join(names)}; metaloss fit: {', '.join(options)})"
