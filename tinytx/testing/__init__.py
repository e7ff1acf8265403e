"""Testing: checks for hand-written gradients, the library's own and yours.

Strategies for hypothesis are in `tinytx.testing.strategies`, which is imported by its own name.
"""

from tinytx.testing.gradcheck import gradcheck
from tinytx.testing.invariances import batch_check, leak_check, padding_check, state_check
from tinytx.testing.layer_checks import check_layer, parametrize_with_checks
from tinytx.testing.promises import CHECKS
from tinytx.testing.report import Report, TensorReport
from tinytx.testing.walk import Finding, first_wrong_op

__all__ = [
    "CHECKS",
    "Finding",
    "Report",
    "TensorReport",
    "batch_check",
    "check_layer",
    "first_wrong_op",
    "gradcheck",
    "leak_check",
    "padding_check",
    "parametrize_with_checks",
    "state_check",
]
