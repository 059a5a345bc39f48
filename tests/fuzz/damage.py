"""Ways to damage a file, as hypothesis strategies."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

ODD = [0, 1, 9, 10, 34, 44, 59, 127, 128, 255]
VALUES: list[Any] = [None, True, -1, 0, 2**63, 1e308, float("nan"), "", "x" * 50, [], {}, [[]]]


@st.composite
def damaged_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with some bytes changed, cut off, put in, moved or repeated."""
    found = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(found) - 1, 0)))
        to = draw(st.integers(at, min(len(found), at + 64)))
        way = draw(st.sampled_from(["change", "cut", "insert", "remove", "repeat", "flip"]))
        if way == "change" and found:
            found[at] = draw(st.sampled_from(ODD))
        elif way == "flip" and found:
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif way == "cut":
            del found[at:]
        elif way == "insert":
            found[at:at] = draw(st.binary(max_size=16))
        elif way == "remove":
            del found[at:to]
        else:
            found[at:at] = found[at:to] * draw(st.integers(1, 3))
    return bytes(found)


@st.composite
def damaged_json(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file of JSON that is JSON still, with a value replaced, an entry removed or one added."""
    found = json.loads(whole)
    for _ in range(draw(st.integers(1, 3))):
        found = _damaged_value(draw, found)
    return json.dumps(found).encode()


def _damaged_value(draw: st.DrawFn, value: Any) -> Any:
    inside = isinstance(value, dict | list) and len(value) > 0
    if not inside or draw(st.integers(0, 9)) == 0:
        return copy.deepcopy(draw(st.sampled_from(VALUES)))
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    way = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if way == "replace":
        value[key] = _damaged_value(draw, value[key])
    elif way == "remove":
        del value[key]
    elif isinstance(value, dict):
        value[draw(st.text(max_size=8))] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    else:
        value.append(copy.deepcopy(draw(st.sampled_from(VALUES))))
    return value
