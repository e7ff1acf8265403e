"""gradcheck: is this backward the derivative of this forward?

Every derivative comes with an error bar (`tinytx.testing.numeric`), so there are four answers. FAIL: the backward is
further from the finite difference than the error bars allow. PASS: it is not, and the bars are narrow. INCONCLUSIVE:
it is not, but the bars are too wide to tell. KINK: the function has different slopes on both sides.

An entry's allowed difference is

    rtol max(|a|, |n|, r) + 3 e + 10 w,

a the analytic and n the numeric value, r the root mean square of the tensor's numeric gradient, e the error bar of n,
and w how far the analytic gradient itself moves when its inputs are rounded anew: neither side can be known better.
There is no absolute tolerance: a gradient of 1e-6 is checked as a gradient of 1 is.
"""

import numpy as np

from tinytx.core import Tape
from tinytx.testing.compare import FULL, Comparison, cotangent, rms
from tinytx.testing.problem import make_problem
from tinytx.testing.report import Report

MODES = ("auto", "full", "sampled", "directional", "complex")


def gradcheck(
    target,
    *inputs,
    backward=None,
    options=None,
    mode="auto",
    rtol=1e-8,
    samples=48,
    directions=3,
    seed=0,
    randomize=True,
    accept_kinks=False,
    tape=Tape,
):
    """Check a backward against finite differences, in float64.

    Parameters
    ----------
    target : Layer, or function
        A layer or model, with ``forward(x, tape)`` and ``backward(dy, tape)``; or a function with
        ``y, saved = target(*inputs)``, whose ``backward`` is handed in.
    *inputs : arrays and other arguments
        Float arrays are checked, integers (token ids) and everything else are passed on. float32 becomes float64.
    backward : function (dy, saved) -> gradients of the inputs, in order
        For functions only.
    options : dict, optional
        Keyword arguments of a layer's forward (mask, memory, ...). Float arrays among them are checked too, if the
        layer's backward returns their gradients after dx.
    mode : {"auto", "full", "sampled", "directional", "complex"}
        Every entry; ``samples`` entries of each tensor; ``directions`` random directions through each tensor, with a
        bisection to the entry where one fails; or every entry by the complex step, for functions that accept complex
        input. "auto" is full for small problems, and otherwise sampled and directional.
    rtol : float
        Relative difference allowed; see the top of this file.
    samples, directions, seed : int
    randomize : bool
        Move a layer's parameters away from their initial values first: with a gain of 1 and a bias of 0 many a wrong
        backward is right. The layer itself is not touched.
    accept_kinks : bool
        Let a kink pass if the analytic value lies between the slopes on its two sides.
    tape : function () -> Tape
        ``lambda: Tape(seed=0)`` checks with dropout.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If target, inputs and backward do not belong together.

    Examples
    --------
    >>> from tinytx import ops
    >>> x = np.random.default_rng(0).normal(size=(3, 5))
    >>> bool(gradcheck(ops.gelu, x, backward=ops.gelu_backward))
    True
    """
    if mode not in MODES:
        raise ValueError(f"gradcheck: mode is {mode!r}, expected one of {', '.join(MODES)}")
    problem = make_problem(target, inputs, backward, options, tape)
    rng = np.random.default_rng(seed)
    if randomize and hasattr(problem, "parameters"):
        randomize_parameters(problem.parameters.values(), rng)
    named = getattr(target, "func", target)  # of functools.partial
    name = getattr(named, "__name__", type(named).__name__)
    total = sum(tensor.size for tensor in problem.tensors.values())
    if mode == "auto":
        mode = "full" if total <= FULL else "sampled"
        report = Report(name, mode if mode == "full" else "sampled and directional", accept_kinks=accept_kinks)
        modes = (mode,) if mode == "full" else ("sampled", "directional")
    else:
        report, modes = Report(name, mode, accept_kinks=accept_kinks), (mode,)
    with np.errstate(all="ignore"):
        y = problem.forward()
        dy = [cotangent(rng, part.shape) for part in y]
        report.reason = _unfit(problem, y)
        if not report.reason:
            check = Comparison(problem, dy, rtol, samples, directions, rng)
            report.tensors = [check.tensor(tensor, modes) for tensor in problem.tensors]
    return report


def randomize_parameters(parameters, rng):
    """Move parameters by about half their size, and by at least 0.1, in place: away from gains of 1 and biases of 0."""
    for parameter in parameters:
        parameter.data += rng.normal(size=parameter.data.shape) * max(0.1, 0.5 * rms(parameter.data))


def _unfit(problem, y):
    """Return why no check is possible, or ""."""
    if not all(np.isfinite(part).all() for part in y):
        return "the output is not finite: nothing can be compared"
    again = problem.forward()
    if not all(np.array_equal(a, b) for a, b in zip(y, again)):
        return "two forwards of the same input differ: unseeded randomness, or state kept between calls"
    return ""
