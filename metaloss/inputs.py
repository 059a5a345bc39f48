"""How a network's inputs are made from images or arrays, as the folder of a run keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from metaloss.checks import InputError, check_at_least, check_one_of, is_number, require

FORMAT = 1
"""The version of the file's format."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "images": ("resize", "mean", "std"),
    "files": ("resize", "scale", "mean", "std"),
    "features": ("dtype",),
    "unknown": ("reason",),
}
"""The kinds of inputs, and what each has to say beside the classes and the shape."""

OPTIONAL: Mapping[str, tuple[str, ...]] = {"features": ("mean", "std", "columns")}
"""What inputs of a kind may say, too."""

DTYPES = ("float16", "bfloat16", "float32", "float64")
"""The types that features can have."""

RESIZE = {"images": ("cover",), "files": ("shorter-side", "square")}
"""How images of each kind are brought to their size."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """How the inputs of a classification are made, without the data that it was trained on.

    Attributes:
        kind: ``"images"`` for uint8 images in memory; ``"files"`` for image files that are read
            when they are needed, with a default transform of :mod:`metaloss.tasks`; ``"features"``
            for floating-point arrays; ``"unknown"`` for what cannot be described.
        class_names: a name for each class.
        sample_shape: the shape of one input, ``[channels, height, width]`` for images; ``None`` if
            it is not known.
        resize: how an image is brought to its size. ``"cover"``: cropped at its centre to the
            ratio of the sides, and scaled. ``"shorter-side"``: scaled until its shorter side is
            ``scale``, and cropped at its centre. ``"square"``: scaled to a square of that side
            without regard to the ratio, and cropped at its centre. Always bilinear.
        scale: the side in pixels that an image is scaled to before it is cropped.
        mean: the mean of each channel, with pixels in [0, 1], or of each column of features, that
            is subtracted.
        std: the standard deviation of each channel or column that is then divided by.
        dtype: the floating-point type of features, such as ``"float32"``.
        columns: the names of the columns of features, for tables that have some.
        reason: why inputs of an unknown kind cannot be described.

    Raises:
        InputError: the kind is another, or does not go with what is given.

    Example:
        >>> from metaloss.inputs import Inputs
        >>> inputs = Inputs(
        ...     kind="features", class_names=("cat", "dog"), sample_shape=(4,), dtype="float32"
        ... )
        >>> Inputs.from_json(inputs.to_json()) == inputs
        True
    """

    kind: str
    class_names: tuple[str, ...]
    sample_shape: tuple[int, ...] | None
    resize: str | None = None
    scale: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    dtype: str | None = None
    columns: tuple[str, ...] | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        """Check that all that the kind needs is there, and fits."""
        check_one_of("kind", self.kind, KINDS)
        needed, allowed = KINDS[self.kind], OPTIONAL.get(self.kind, ())
        parts = (*KINDS.values(), *OPTIONAL.values())
        for name in {each for some in parts for each in some} - set(allowed):
            require(
                (getattr(self, name) is not None) == (name in needed),
                f"{name}: expected {'a value' if name in needed else 'none'} for inputs of the "
                f"kind {self.kind!r}, got {getattr(self, name)!r}",
            )
        require(
            len(self.class_names) >= 1 and all(isinstance(name, str) for name in self.class_names),
            f"class_names: expected names, got {self.class_names!r}",
        )
        if self.dtype is not None:
            check_one_of("dtype", self.dtype, DTYPES)
        for side in self.sample_shape or ():
            check_at_least("sample_shape", side, 1)
        require(
            self.sample_shape is not None or self.kind == "unknown",
            f"sample_shape: expected one for inputs of the kind {self.kind!r}, got none",
        )
        if self.kind in RESIZE:
            self._check_images()

    def _check_images(self) -> None:
        shape, (mean, std) = self.sample_shape or (), (self.mean or (), self.std or ())
        require(
            len(shape) == 3,
            f"sample_shape: expected [channels, height, width], got {list(shape)}",
        )
        for name, values in (("mean", mean), ("std", std)):
            require(
                len(values) == shape[0] and all(map(is_number, values)),
                f"{name}: expected a number for each of {shape[0]} channels, got {list(values)}",
            )
        require(min(std) > 0, f"std: expected positive numbers, got {list(std)}")
        check_one_of("resize", self.resize, RESIZE[self.kind])
        if self.scale is not None:
            check_at_least("scale", self.scale, max(shape[1:]))

    def to_json(self) -> str:
        """Return the text of the file ``inputs.json``; what is not given is left out."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in own.items() if value is not None}
        return json.dumps({"format": FORMAT, **given}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Inputs:
        """Return what :meth:`to_json` wrote.

        Raises:
            InputError: it is not such a text, or one of a later version of metaloss.
        """
        try:
            said: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"expected JSON, got {error}") from None
        require(isinstance(said, dict), f"expected a JSON object, got {' '.join(text.split()):.60}")
        require(
            said.pop("format", None) == FORMAT,
            f"expected format {FORMAT}, got another: made by another version of metaloss",
        )
        unknown = [name for name in said if name not in _TYPES]
        require(
            not unknown,
            f"expected the keys {', '.join(_TYPES)}, got also {', '.join(unknown)}: made by a "
            "later version of metaloss",
        )
        for name, expected in _TYPES.items():
            require(
                isinstance(said.get(name), (expected, type(None))),
                f"{name}: expected a JSON {expected.__name__}, got {said.get(name)!r}",
            )
        lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
        needed = {"kind": "", "class_names": (), "sample_shape": None}
        return cls(**{**needed, **said, **lists})


_TYPES: Mapping[str, type] = {
    "kind": str,
    "class_names": list,
    "sample_shape": list,
    "resize": str,
    "scale": int,
    "mean": list,
    "std": list,
    "dtype": str,
    "columns": list,
    "reason": str,
}
