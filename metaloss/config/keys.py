"""Dicts in gin files that have a key twice, of which gin silently keeps the last value."""

from __future__ import annotations

import tokenize
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import IO

from metaloss.checks import InputError

_NO_CODE = {tokenize.COMMENT, tokenize.NL}


def open_checked(path: str) -> IO[str]:
    """Open a gin file whose dicts have each key once.

    Raises:
        InputError: a key is there twice.
    """
    check_keys(Path(path).read_text(), path)
    return open(path)  # noqa: PTH123 - gin closes it


def check_keys(text: str, name: str) -> None:
    """Raise an error if a dict in a gin file's text has a key twice.

    Args:
        text: the text. What gin cannot parse is not looked at, for gin complains about it.
        name: the name of the file in the message.

    Raises:
        InputError: a key is there twice.

    Example:
        >>> from metaloss.config.keys import check_keys
        >>> check_keys("VALUES = {'q': 0.7, 'q': 0.8}", "a.gin")
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: a.gin, line 1: expected each key of a dict once, got 'q' twice
    """
    keys: list[set[str]] = []  # of each bracket that is open
    try:
        for token, following in _with_following(text):
            if token.string in {"{", "[", "("}:
                keys.append(set())
            elif token.string in {"}", "]", ")"} and keys:
                keys.pop()
            elif keys and following == ":" and token.type in {tokenize.STRING, tokenize.NUMBER}:
                if token.string in keys[-1]:
                    raise InputError(
                        f"{name}, line {token.start[0]}: expected each key of a dict once, "
                        f"got {token.string} twice"
                    )
                keys[-1].add(token.string)
    except (tokenize.TokenError, SyntaxError):
        return


def _with_following(text: str) -> Iterator[tuple[tokenize.TokenInfo, str]]:
    """Yield each token with the text of the next one."""
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    for token, following in pairwise(t for t in tokens if t.type not in _NO_CODE):
        yield token, following.string
