"""Testing: checks for hand-written gradients, the library's own and yours."""

from tinytx.testing.gradcheck import gradcheck
from tinytx.testing.report import Report, TensorReport

__all__ = ["Report", "TensorReport", "gradcheck"]
