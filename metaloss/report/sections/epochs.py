"""The sections with metrics over the epochs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from metaloss.diagnostics.figures.drawing import symbol
from metaloss.report.charts import Chart, chart, legend, over_seeds
from metaloss.report.html import escaped, gallery, paragraph, section, table
from metaloss.report.rows import Report, by_task
from metaloss.report.sections.learned import ranges


def over_epochs(report: Report) -> str:
    """Return the section: accuracy and losses, and how many wrong labels were learned by heart."""
    name = report.metric.name
    top = 100.0 if name == "accuracy" else None
    title, unit = ("Accuracy", "%") if name == "accuracy" else ("Mean absolute error", name)
    test = [
        Chart(f"test_{name}", f"{title} on test samples", unit),
        Chart(f"validation_{name}", f"{title} on validation samples", unit),
        Chart("test_loss", "Test loss", "loss", low=0.0),
        Chart("meta_loss", "Meta loss", "loss", low=0.0),
    ]
    heart, right = (
        (
            f"Wrong {report.targets} learned by heart",
            f"Right {report.targets} learned",
        )
        if name == "accuracy"
        else (f"Error by wrong {report.targets}", f"Error by right {report.targets}")
    )
    train = [
        Chart(f"train_{name}_flipped", heart, unit, 0.0, top),
        Chart(f"train_{name}_clean", right, unit, 0.0, top),
        Chart(f"train_{name}", f"{title} by the {report.targets} trained on", unit, 0.0, top),
    ]

    def on(task: str) -> str:
        hidden = [chart(report, task, each) for each in train]
        # Where right and wrong labels are told apart, what they have together says no more.
        hidden = hidden[:2] if hidden[0] else hidden[2:]
        body = _charts(report, task, test) + gallery(each for each in hidden if each)
        return body + (_by_heart(report, task) if name == "accuracy" else "")

    head = legend(report, first=True) + paragraph(
        "A line is the mean over seeds, the band one standard deviation. Training metrics are "
        "means over an epoch, while the network learns."
    )
    return section("epochs", "Over the epochs", head + by_task(report, on))


def hyperparameter_means(report: Report) -> str:
    """Return the section: the means of hyperparameters, of right and of wrong labels."""

    def on(task: str) -> str:
        charts = []
        for name, (low, high) in ranges(report, task).items():
            apart = [
                Chart(f"{name}_{key}", f"{name}, {which} {report.targets}", name)
                for key, which in (("clean", "right"), ("flipped", "wrong"))
            ]
            every = [Chart(f"{name}_mean", f"{name}, all samples", name)]
            told = any(
                run.over_epochs(apart[0].key) for runs in report.on(task).values() for run in runs
            )
            charts += [
                each._replace(low=low, high=high, symbol=symbol(name))
                for each in (apart if told else every)
            ]
        return _charts(report, task, charts)

    body = by_task(report, on)
    return section("means", "Mean hyperparameters", body and legend(report, first=False) + body)


def training_loss(report: Report) -> str:
    """Return the section: the training loss, of all samples and of right and wrong labels."""
    charts = [
        Chart("train_loss", "Training loss", "loss", low=0.0),
        Chart("train_loss_clean", f"Training loss of right {report.targets}", "loss", low=0.0),
        Chart("train_loss_flipped", f"Training loss of wrong {report.targets}", "loss", low=0.0),
    ]
    head = legend(report, first=False) + paragraph(
        "Each method by its own loss, so that only the courses of the lines can be compared, not "
        "their heights."
    )
    body = by_task(report, lambda task: _charts(report, task, charts))
    return section("loss", "Training loss", body and head + body)


def _charts(report: Report, task: str, charts: Sequence[Chart]) -> str:
    return gallery(drawn for each in charts if (drawn := chart(report, task, each)))


def _by_heart(report: Report, task: str) -> str:
    """Return the percentages of right and wrong labels that the networks predict at the end."""
    rows = []
    for row, runs in report.on(task).items():
        cells = []
        for group in ("clean", "flipped"):
            values = over_seeds(runs, f"train_accuracy_{group}")
            if values:
                cells.append(f"{statistics.fmean(values[max(values)]):.1f}%")
        if len(cells) == 2:
            rows.append([escaped(row), *cells])
    if not rows:
        return ""
    head = ["method", "right labels learned", "wrong labels learned by heart"]
    return table(head, rows, "Training labels that the networks predict in the last epoch")
