"""What speaks against the results is said in plain words, with numbers."""

from __future__ import annotations

import re
from pathlib import Path

from metaloss.report.rows import gather
from metaloss.report.sections.warnings import warnings
from tests.report.conftest import ODD, RUN, changed, rewritten


def said(*runs: Path) -> list[str]:
    return re.findall("<li>(.*?)</li>", warnings(gather(runs)))


def falling(run: Path) -> None:
    """Give every run a meta loss that falls, and no other warning."""
    for path in run.glob("*/seed-*"):
        changed(path / "result.json", warnings=[], warned_before=[], accuracy=50.0)
        if (path / "adjuster").is_dir():
            rewritten(path, lambda line: line.update(meta_loss=1 / line["epoch"]))


def test_of_sound_runs_there_are_none(copied) -> None:
    run = copied("classes")
    falling(run)
    assert said(run) == []
    assert "None: every run is finished" in warnings(gather([run]))


def test_a_method_below_cross_entropy_is_named(copied) -> None:
    run = copied("classes")
    falling(run)
    for seed, accuracy in ((0, 60.0), (1, 62.0)):
        changed(run / f"CE/seed-{seed}/result.json", accuracy=accuracy)
        changed(run / f"A-GCE/seed-{seed}/result.json", accuracy=accuracy - 4)
    lines = [line for line in said(run) if "A-GCE" in line]
    assert [line.split(".")[0] for line in lines] == ["blobs, A-GCE: 4"]
    assert lines[0].startswith(
        "blobs, A-GCE: 4.0 points below cross entropy. Cross entropy is enou"
    )
    for seed, accuracy in ((0, 60.0), (1, 62.0)):
        changed(run / f"A-GCE/seed-{seed}/result.json", accuracy=accuracy - 1)  # seeds differ more
    assert not [line for line in said(run) if "A-GCE" in line]


def test_a_method_is_compared_with_the_cross_entropy_of_its_own_folder(copied) -> None:
    runs = [copied("classes", name) for name in ("low", "high")]
    for run, accuracy in zip(runs, (60.0, 70.0), strict=True):
        falling(run)
        for seed in (0, 1):
            changed(run / f"CE/seed-{seed}/result.json", accuracy=accuracy)
            changed(run / f"A-GCE/seed-{seed}/result.json", accuracy=66.0)
    (line,) = (line for line in said(*runs) if "A-GCE" in line)
    assert line.startswith("blobs, high: A-GCE: 4.0 points below cross entropy.")


def test_those_of_the_result_are_repeated_and_escaped(copied) -> None:
    run = copied("classes")
    falling(run)
    changed(run / "A-b-x/seed-1/result.json", warnings=["lam: is < than d"])
    (line,) = said(run)
    assert line == "A&lt;b&gt;&amp;&quot;$x$&quot; $, seed 1: lam: is &lt; than d"
    assert ODD not in line


def test_what_was_said_before_the_first_step_is_said_once_for_all_seeds(copied) -> None:
    run = copied("classes")
    falling(run)
    for seed in (0, 1):
        changed(run / f"A-GCE/seed-{seed}/result.json", warned_before=["A-GCE: too few"])
    assert said(run) == ["A-GCE: too few"]


def test_a_meta_loss_that_did_not_fall_is_told_with_its_means(copied) -> None:
    run = copied("classes")
    falling(run)
    losses = {1: 0.4, 2: 9.0, 3: 9.0, 4: 0.5}  # thirds of four epochs are of one
    rewritten(run / RUN, lambda line: line.update(meta_loss=losses[line["epoch"]]))
    assert said(run) == [
        "A-GCE, seed 0, blobs: the meta loss did not fall: its mean was 0.4 in the first third of "
        "the epochs and 0.5 in the last, +25%."
    ]


def test_skipped_meta_steps_are_summed(copied) -> None:
    run = copied("classes")
    falling(run)
    skipped = {2: {"number": 3, "step": 7, "tensor": "net.0.weight"}}
    skipped[3] = {"number": 2, "step": 13, "tensor": "net.0.bias"}

    def change(line: dict) -> None:
        if line["epoch"] in skipped:
            line["meta_steps_skipped"] = skipped[line["epoch"]]

    rewritten(run / RUN, change)
    assert said(run) == [
        "A-GCE, seed 0, blobs: 5 meta steps were skipped, because the hypergradient was not "
        "finite; the first was meta step 7, by net.0.weight."
    ]


def test_skipped_steps_are_summed(copied) -> None:
    run = copied("classes")
    falling(run)

    def change(line: dict) -> None:
        line["skipped_steps"] = {"number": 1, "step": line["step"], "tensor": "loss"}

    rewritten(run / "CE/seed-1", change)
    (line,) = said(run)
    pattern = (
        r"CE, seed 1, blobs: (\d+) steps were skipped, because the loss or a gradient was not "
    )
    pattern += r"finite; the first was step \d+, by loss\."
    found = re.fullmatch(pattern, line)
    assert found is not None and int(found[1]) > 1


def test_losses_that_were_not_finite_are_counted(copied) -> None:
    run = copied("classes")
    falling(run)

    def change(line: dict) -> None:
        line["train_loss"] = None if line["epoch"] == 2 else line["train_loss"]

    rewritten(run / "CE/seed-1", change)
    assert said(run) == ["CE, seed 1, blobs: the training loss was not finite in 1 epoch."]


def test_unchecked_labels_are_told_once_for_a_task(copied) -> None:
    run = copied("classes")
    falling(run)
    for seed in (0, 1):
        changed(
            run / f"A-GCE/seed-{seed}/result.json", test_unchecked=True, meta_unchecked=["blobs"]
        )
    test, meta = said(run)
    assert test.startswith("blobs: nobody checked the labels of the test samples")
    assert meta.startswith("blobs: nobody checked the labels of the meta samples")


def test_runs_that_are_not_finished_are_named(copied) -> None:
    run = copied("classes")
    falling(run)
    (run / RUN / "result.json").unlink()
    assert said(run) == ["A-GCE/seed-0 is not finished: 4 epochs so far. It is left out."]
    kept = gather([run]).runs["A-GCE", "blobs"]
    assert [each.seed for each in kept] == [1]
