"""The samples with their labels and scores, as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metaloss.checked_labels import CHECKED
from metaloss.checks import require
from metaloss.files import csv_text
from metaloss.labels.assessment import Assessment

COLUMNS = ("given_label", "suggested_label", "score", "held_out", CHECKED)
"""The columns after that of the samples' names."""


def labels_csv(
    assessment: Assessment,
    class_names: Sequence[str],
    ids: Sequence[object],
    *,
    column: str = "id",
    score: str | None = None,
    checked: Mapping[str, str] | None = None,
) -> str:
    """Return the text of ``labels.csv``: a line for each sample, the most doubtful first.

    The last column, ``checked_label``, is for the right labels of samples that somebody looked at.
    With some filled in, the file is one of checked labels for ``metaloss fit --clean``.

    Names with commas, quotes or line ends are quoted, as the module ``csv`` reads them back.

    Args:
        assessment: the judged labels.
        class_names: a name for each class.
        ids: the positions or the files of the samples, in the order of ``assessment.labels``.
        column: the heading of ``ids``, such as ``"path"``.
        score: the name of the score; the preferred one by default.
        checked: the right labels by the names of their samples, in the last column. Samples that
            are not judged, as they are clean samples by now, have lines of their own at the end.

    Raises:
        InputError: there is no such score, or not one id for each sample.

    Example:
        >>> import torch
        >>> from metaloss.labels import assess, labels_csv
        >>> p = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> print(labels_csv(assess(p, torch.tensor([0, 0])), ["cat", "dog, wet"], range(2)))
        id,given_label,suggested_label,score,held_out,checked_label
        1,cat,"dog, wet",0.25,no,
        0,cat,cat,0.75,no,
        <BLANKLINE>
    """
    require(
        len(ids) == len(assessment.labels),
        f"ids: expected {len(assessment.labels)}, one for each label, got {len(ids)}",
    )
    scores = assessment.score(score).tolist()
    given, suggested = assessment.labels.tolist(), assessment.suggested.tolist()
    rights = dict(checked or {})
    held_out = [False] * len(given) if assessment.held_out is None else assessment.held_out.tolist()
    rows: list[list[object]] = [[column, *COLUMNS]]
    for i in assessment.order(score).tolist():
        names = class_names[given[i]], class_names[suggested[i]]
        seen = "yes" if held_out[i] else "no"
        right = rights.pop(str(ids[i]), "")
        rows.append([ids[i], *names, f"{scores[i]:.6g}", seen, right])
    rows += [[name, "", "", "", "", right] for name, right in rights.items()]
    return csv_text(rows)
