"""Testing: checks for hand-written gradients, the library's own and yours."""

from tinytx.testing.gradcheck import gradcheck
from tinytx.testing.report import Report, TensorReport
from tinytx.testing.walk import Finding, first_wrong_op

__all__ = ["Finding", "Report", "TensorReport", "first_wrong_op", "gradcheck"]
