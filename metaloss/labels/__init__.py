"""Finding wrong labels: scores of each label, and what is estimated of the noise."""

from metaloss.experiments.records.finished import Choice
from metaloss.labels.assessment import PREFERRED, SCORES, Assessment, assess, by_heart
from metaloss.labels.confident import (
    LabelNoise,
    class_thresholds,
    confident_joint,
    estimated_noise,
    suggested_labels,
)
from metaloss.labels.crosscheck import cleanlab_scores
from metaloss.labels.detection import Detection, detection
from metaloss.labels.listing import labels_csv
from metaloss.labels.run_reader import FinishedRun, judge, read_run
from metaloss.labels.scores import (
    adjuster_weight,
    area_under_margin,
    combined,
    normalized_margin,
    self_confidence,
)

__all__ = [
    "PREFERRED",
    "SCORES",
    "Assessment",
    "Choice",
    "Detection",
    "FinishedRun",
    "LabelNoise",
    "adjuster_weight",
    "area_under_margin",
    "assess",
    "by_heart",
    "class_thresholds",
    "cleanlab_scores",
    "combined",
    "confident_joint",
    "detection",
    "estimated_noise",
    "judge",
    "labels_csv",
    "normalized_margin",
    "read_run",
    "self_confidence",
    "suggested_labels",
]
