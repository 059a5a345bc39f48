"""The paper's theory: which losses are robust, and the bounds of Theorems 1 to 4."""

from metaloss.theory.class_sums import ClassSums, class_sum_bounds, class_sums, is_symmetric
from metaloss.theory.of_probability import at_probability
from metaloss.theory.oracle import oracle_coefficient, oracle_values, theorem_3, theorem_4
from metaloss.theory.polysoft_sums import lemma_1
from metaloss.theory.shared import RiskBounds, coefficient, theorem_1, theorem_2
from metaloss.theory.transitions import Lost, lost_classes, symmetric_transition

__all__ = [
    "ClassSums",
    "Lost",
    "RiskBounds",
    "at_probability",
    "class_sum_bounds",
    "class_sums",
    "coefficient",
    "is_symmetric",
    "lemma_1",
    "lost_classes",
    "oracle_coefficient",
    "oracle_values",
    "symmetric_transition",
    "theorem_1",
    "theorem_2",
    "theorem_3",
    "theorem_4",
]
