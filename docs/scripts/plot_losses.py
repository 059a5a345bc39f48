"""Draw ``_static/loss-*.svg``: each loss, and the weight of a sample's gradient, against ``p``.

    python docs/scripts/plot_losses.py

``p`` is the probability of the label. The weight is the loss's derivative by the cross entropy. The
pictures are written as SVG by hand, so that they are small, and so that text and axes have the
colour of the page, light or dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.losses import GCE, JS, SL, CrossEntropy, LossFamily, PolySoft, WeightedCE

STATIC = Path(__file__).parents[1] / "_static"
SHADES = ("#3d78c9", "#2f9aa0", "#5aa04a", "#cf9a1d", "#d1583d")  # of one lightness
WIDTH, HEIGHT = 300, 170  # of a panel's axes
LEFT, TOP, RIGHT, BOTTOM = 34, 30, 22, 44  # around them
LOSS_TOP = 4.0
POINTS = 81


class Row(NamedTuple):
    """A row of a picture: the loss and the weight for several values of one hyperparameter.

    Attributes:
        held: the label of the hyperparameter that does not vary.
        label: the format of one value's label.
        values: the values of the hyperparameter that varies.
        hparams: maps such a value to the loss's hyperparameters.
    """

    held: str
    label: str
    values: Sequence[float]
    hparams: Callable[[float], tuple[float, ...]]


QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
PICTURES: dict[str, tuple[LossFamily, Sequence[Row]]] = {
    "gce": (GCE(), [Row("", "q = {:g}", QUARTERS, lambda q: (q,))]),
    "sl": (
        SL(),
        [
            Row(", γ₂ = 0.2", "γ₁ = {:g}", QUARTERS, lambda gamma: (gamma, 0.2)),
            Row(", γ₁ = 0.2", "γ₂ = {:g}", QUARTERS, lambda gamma: (0.2, gamma)),
        ],
    ),
    "polysoft": (
        PolySoft(),
        [
            Row(", d = 2", "λ = {:g}", (1.0, 2.0, 4.0, 7.0, 10.0), lambda lam: (lam, 2.0)),
            Row(", λ = 4", "d = {:g}", (1.1, 1.5, 2.0, 3.0, 5.0), lambda d: (4.0, d)),
        ],
    ),
    "js": (JS(), [Row("", "π₁ = {:g}", (0.001, 0.1, 0.5, 0.9, 0.999), lambda pi: (pi,))]),
    "weighted-ce": (WeightedCE(), [Row("", "v = {:g}", QUARTERS, lambda v: (v,))]),
}


def loss_and_weight(
    family: LossFamily, p: Tensor, hparams: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """The loss at each probability of the label, and its derivative by the cross entropy."""
    logit = torch.logit(p).requires_grad_()
    outputs = torch.stack([logit, torch.zeros_like(logit)], dim=1)
    targets = torch.zeros(len(p), dtype=torch.int64)

    def slope(loss: Tensor) -> Tensor:
        return torch.autograd.grad(loss.sum(), logit, retain_graph=True)[0]

    loss = family(outputs, targets, family.constant(len(p), hparams, like=p))
    ce = CrossEntropy()(outputs, targets, p.new_empty(len(p), 0))
    return loss.detach(), slope(loss) / slope(ce)


class Panel(NamedTuple):
    """Axes from 0 to 1 and from 0 to ``top``.

    Attributes:
        x: of the left end.
        y: of the upper end.
        top: the value at the upper end.
    """

    x: float
    y: float
    top: float

    def frame(self, title: str, ticks: Sequence[float]) -> Iterator[str]:
        """The axes, their ticks and their names."""
        bottom = self.y + HEIGHT
        yield f'<path class="axis" d="M{self.x} {self.y}V{bottom}H{self.x + WIDTH}"/>'
        yield _text(self.x, self.y - 10, title, "start", size=13)
        yield _text(self.x + WIDTH / 2, bottom + 36, "probability of the label", "middle")
        for tick in QUARTERS:
            yield _text(self.x + tick * WIDTH, bottom + 17, f"{tick:g}", "middle")
        for tick in ticks:
            yield _text(self.x - 7, bottom - tick / self.top * HEIGHT + 4, f"{tick:g}", "end")

    def curve(self, p: Tensor, values: Tensor, style: str) -> str:
        """A line; what is above the upper end is cut off where it passes it."""
        inside = values <= self.top
        inside[:-1] |= inside[1:].clone()  # one point outside, for the line to reach the edge
        xs, ys = self.x + p[inside] * WIDTH, self.y + HEIGHT * (1 - values[inside] / self.top)
        corners = zip(*_cut(xs, ys, self.y), strict=True)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        return f'<polyline {style} points="{points}"/>'

    def legend(self, names: Sequence[str]) -> Iterator[str]:
        """Names and colours, from the upper right corner down."""
        for k, name in enumerate(names):
            y = self.y + 8 + 17 * k
            yield f'<path stroke="{SHADES[k]}" d="M{self.x + 214} {y}h18"/>'
            yield _text(self.x + 240, y + 4, name, "start")


def _cut(xs: Tensor, ys: Tensor, upper: float) -> tuple[list[float], list[float]]:
    """The points of a falling line, its first moved along it to the upper edge if above."""
    x, y = xs.tolist(), ys.tolist()
    if y[0] < upper:
        share = (upper - y[0]) / (y[1] - y[0])
        x[0], y[0] = x[0] + share * (x[1] - x[0]), upper
    return x, y


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}">{text}</text>'


def picture(family: LossFamily, rows: Sequence[Row]) -> str:
    """Two panels in each row: the loss and the weight."""
    p = torch.linspace(0.005, 0.995, POINTS, dtype=torch.float64)
    one, dotted = torch.ones_like(p), 'class="reference"'
    step = LEFT + WIDTH + RIGHT
    lines: list[str] = []
    for k, row in enumerate(rows):
        y = TOP + k * (TOP + HEIGHT + BOTTOM)
        curves = [loss_and_weight(family, p, row.hparams(value)) for value in row.values]
        highest = max(float(weight.max()) for _, weight in curves)
        left, right = Panel(LEFT, y, LOSS_TOP), Panel(LEFT + step, y, max(1.1, 1.05 * highest))
        lines += left.frame(f"loss{row.held}", (0, 1, 2, 3, 4))
        lines += right.frame(f"weight{row.held}", _ticks(right.top))
        lines += [left.curve(p, -p.log(), dotted), right.curve(p, one, dotted)]
        for (loss, weight), shade in zip(curves, SHADES, strict=True):
            lines += [
                left.curve(p, loss, f'stroke="{shade}"'),
                right.curve(p, weight, f'stroke="{shade}"'),
            ]
        lines += left.legend([row.label.format(value) for value in row.values])
    width, height = 2 * step, len(rows) * (TOP + HEIGHT + BOTTOM)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{type(family).__name__}: loss and weight against the probability '
        'of the label">'
    )
    return "\n".join([head, *lines, "</svg>\n"])


def _ticks(top: float) -> tuple[float, ...]:
    spacing = 0.5 if top < 2.5 else 1.0
    return tuple(spacing * k for k in range(int(top / spacing) + 1))


def main() -> None:
    """Draw them all."""
    for name, (family, rows) in PICTURES.items():
        (STATIC / f"loss-{name}.svg").write_text(picture(family, rows))


if __name__ == "__main__":
    main()
