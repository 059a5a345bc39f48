"""Figure 1: cross entropy, the fixed loss and the adjusted loss, for single samples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metaloss.checks import require
from metaloss.diagnostics.figures.drawing import (
    FIXED,
    LEARNED,
    PLAIN,
    legend_below,
    panels,
    plain_text,
    save,
    symbol,
)
from metaloss.diagnostics.figures.reading import (
    Pair,
    at_the_end,
    column_of,
    fixed_values,
    learned,
    method_of,
)
from metaloss.losses import CrossEntropy, LossFamily

TOP = 6.0  # of the axis of the losses: cross entropy at a probability of 1/400

PLACES = {"first quartile": 0.25, "third quartile": 0.75}
"""Which samples of a group are shown, by their rank among the group's margins."""


def draw_figure1(pair: Pair, path: str | Path, components: Iterable[type] = ()) -> Figure:
    """Draw Figure 1: the losses of two samples with wrong labels and of two with right ones.

    Each panel is a sample, at the end of training. Its curves are cross entropy, the loss with
    fixed hyperparameters, and the loss with the hyperparameters that the adjuster predicts for this
    sample, over the probability that a network gives the label. Dots mark the probability that the
    trained network gives it; a triangle at the upper edge is a loss beyond it.

    The samples are chosen by rank: of those with wrong labels, and of those with right ones, the
    samples at the first and the third quartile of margins.

    Args:
        pair: a finished run with learned hyperparameters, and one with fixed ones, if there is one.
        path: the picture's, which ends in .png, .svg or .pdf.
        components: your own classes that the adjuster's card names.

    Returns:
        The figure, as written.

    Raises:
        InputError: A run is not finished or not of the right kind; it is not known which labels are
            wrong, or fewer than two of a group are there; the loss does not depend on the
            probability of the label alone; or matplotlib does not know the ending of ``path``.

    References:
        The paper, Figure 1.
    """
    loss = learned(pair.adjusted, components).loss
    samples = at_the_end(pair.adjusted)
    _check_of_label(loss)
    fixed = torch.tensor([fixed_values(pair, loss)], dtype=torch.float64)
    p_of_label = (-column_of(pair.adjusted, samples, "plain").double()).exp()
    name = plain_text(method_of(pair.adjusted))
    figure, axes = panels(4, 4, 3.6)
    for axis, (title, index) in zip(axes, _chosen(pair, samples), strict=True):
        own = samples["hparams"][index : index + 1].double()
        values = ", ".join(
            f"{symbol(h.name)} = {value:.2g}"
            for h, value in zip(loss.hyperparameters, own[0].tolist(), strict=True)
        )
        p = float(p_of_label[index])
        none = torch.zeros(1, 0, dtype=torch.float64)
        _curve(axis, CrossEntropy(), none, p, (PLAIN, "-", "cross entropy"))
        _curve(axis, loss, fixed, p, (FIXED, "--", f"{loss.family}, fixed"))
        _curve(axis, loss, own, p, (LEARNED, "-", f"{name}, for this sample"))
        place = "where the trained network is"
        axis.axvline(p, color="0.5", linestyle=":", linewidth=1.2, zorder=0, label=place)
        axis.set(xlim=(-0.03, 1.03), ylim=(0, TOP), xlabel="probability of the label")
        axis.set_title(f"{title} of margins\n{values}", fontsize="medium", linespacing=1.4)
    axes[0].set_ylabel("loss")
    legend_below(figure)
    save(figure, path)
    return figure


def _chosen(pair: Pair, samples: dict[str, Tensor]) -> list[tuple[str, int]]:
    """Return a title and a row for each of the four samples."""
    margin = column_of(pair.adjusted, samples, "margin")
    require(
        "flipped" in samples,
        f"{pair.adjusted.path}: expected a run that knows which labels are wrong, got one that "
        "does not; the figure needs noise that was made (gin: tasks/noise_symmetric.gin)",
    )
    chosen = []
    for what, members in (("wrong", samples["flipped"]), ("right", ~samples["flipped"])):
        rows = members.nonzero()[:, 0]
        require(
            len(rows) > 1,
            f"{pair.adjusted.path}: expected two {what} labels or more, got {len(rows)}",
        )
        ranked = rows[margin[rows].argsort(stable=True)]
        for place, rank in PLACES.items():
            title = f"{what.capitalize()} label\n{place}"
            chosen.append((title, int(ranked[round(rank * (len(ranked) - 1))])))
    return chosen


def _curve(
    axis: Axes, loss: LossFamily, hparams: Tensor, p: float, style: tuple[str, str, str]
) -> None:
    """Draw a loss over the probability of the label, and its value at ``p``."""
    colour, line, label = style
    steep = torch.logspace(-9, -3, 61, dtype=torch.float64)[:-1]
    grid = torch.cat([steep, torch.linspace(0, 1, 1001, dtype=torch.float64)[1:-1]])
    axis.plot(grid, _losses(loss, grid, hparams), color=colour, linestyle=line, label=label)
    value = float(_losses(loss, torch.tensor([p], dtype=torch.float64), hparams))
    beyond = value > TOP
    axis.plot(
        [p],
        [min(value, TOP)],
        color=colour,
        linestyle="",
        marker="^" if beyond else "o",
        clip_on=False,
        zorder=3,
    )


def _losses(
    loss: LossFamily, p: Float[Tensor, " n"], hparams: Tensor, rivals: int = 1
) -> Float[Tensor, " n"]:
    """Return a loss where the label has probability p, and the rest is spread over the rivals."""
    p = p.clamp(1e-300, 1 - 2**-53)
    rest = torch.log1p(-p)[:, None] - torch.tensor(float(rivals), dtype=p.dtype).log()
    outputs = torch.cat([p.log()[:, None], rest.expand(-1, rivals)], dim=1)
    labels = torch.zeros(len(p), dtype=torch.long)
    return loss(outputs, labels, hparams.expand(len(p), -1))


def _check_of_label(loss: LossFamily) -> None:
    """Raise an error if it matters how the other classes share the rest of the probability."""
    grid = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    hparams = loss.constant(1, like=grid)
    if loss.kind.name == "classification":
        one, nine = (_losses(loss, grid, hparams, rivals) for rivals in (1, 9))
        same = bool(torch.allclose(one, nine, rtol=1e-6, atol=1e-9))
    else:
        same = False
    require(
        same,
        "expected a loss of the probability of the label alone, such as GCE, SL, PolySoft or JS, "
        f"got {loss.family}",
    )
