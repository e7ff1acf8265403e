"""Compares the gradients of a problem with finite differences, one tensor after the other."""

import numpy as np

from tinytx.testing.judge import Judge
from tinytx.testing.problem import broadcast_axes
from tinytx.testing.report import FAIL, INCONCLUSIVE, TensorReport
from tinytx.testing.rounding import backward_wobble, forward_noise, natural_sizes
from tinytx.testing.tensor_comparison import TensorComparison


class Comparison:
    """Everything that the comparison of a problem's tensors needs; `tensor` compares one of them.

    Attributes
    ----------
    analytic : dict of str to array or None
        The gradients that backward returned.
    left : int
        The number of entries that backward left on the tape.
    judges : dict of str to Judge
    middle, size : float
        The objective sum(dy * y), and the sum of the absolute values of its terms.
    like : dict of str to array
        The output, for hints: a missing term of a gradient may be a multiple of it.
    """

    def __init__(self, problem, dy, rtol, samples, directions, rng, finite=True):
        self.problem, self.dy, self.rng = problem, dy, rng
        self.samples, self.directions = samples, directions
        self.analytic = problem.gradients([part.copy() for part in dy])  # a backward may write to what it gets
        self.left = problem.left
        noise, wobble = forward_noise(problem, dy, rng), backward_wobble(problem, dy, self.analytic, rng)
        natural = natural_sizes(problem, dy)
        self.middle, self.size = problem.value(dy)
        self.judges = {
            name: Judge(rtol, noise[name], wobble[name], natural[name], finite and np.isfinite(tensor).all())
            for name, tensor in problem.tensors.items()
        }
        self.like = {"the output": problem.forward()[0]}
        self.sizes = {n for t in (*problem.tensors.values(), *dy) for n in t.shape}

    def tensor(self, name, mode):
        """Return the `TensorReport` of one tensor."""
        tensor = self.problem.tensors[name]
        report = TensorReport(name, tensor.shape)
        a = np.asarray(np.zeros(tensor.shape) if self.analytic[name] is None else self.analytic[name])
        if a.shape != tensor.shape:
            advice = broadcast_axes(a.shape, tensor.shape)
            report.verdict, report.reason = FAIL, f"the gradient has shape {a.shape}, expected {tensor.shape}{advice}"
            return report
        if np.iscomplexobj(a):
            report.verdict, report.reason = FAIL, f"the gradient is {a.dtype}, expected float64"
            return report
        comparison = TensorComparison(self, report, tensor, a)
        if comparison.entries.size:
            report.norm = float(np.linalg.norm(a))
            comparison.run(mode)
        elif tensor.size:
            report.verdict, report.reason = INCONCLUSIVE, "no entry is finite: nothing was compared"
        if self.analytic[name] is None and report.verdict == FAIL:
            report.reason = "backward returned no gradient"
        return report
