"""gradcheck: is this backward the derivative of this forward?

Every numeric derivative has an error bar (`tinytx.testing.numeric`), so there are four answers. FAIL: backward differs
from the finite difference by more than the error bars allow. PASS: the difference is allowed, and the bars are narrow.
INCONCLUSIVE: the difference is allowed, but the bars are too wide to decide. KINK: the function has different slopes
on both sides of the point, or jumps there.

An entry's allowed difference is

    rtol max(|a|, |n|, r) + 3 e + 10 w,

where a is the analytic value, n the numeric value, r the root mean square of the tensor's numeric gradient and e the
error bar of n. w is how much the analytic gradient changes when its inputs are rounded differently: it cannot be known
more exactly. There is no absolute tolerance, so a gradient of 1e-6 is checked as strictly as a gradient of 1. By default
rtol is 0 and the error bars alone decide. They are about 1e-12 of a gradient wide: an error of 1e-9 in a single entry
is found.
"""

import numpy as np

from tinytx.core import Tape
from tinytx.testing.compare import Comparison
from tinytx.testing.problem import Loss, as_layer, make_problem
from tinytx.testing.report import Report
from tinytx.testing.rounding import cotangent, rms

MODES = ("auto", "full", "sampled", "directional")
AUTO = "directions, and entries in doubt"  # the name of mode "auto" in a report
OTHERS = {  # keywords of other checkers, and why they do not exist here
    "eps": "steps of many sizes are tried, and the best is taken",
    "atol": "an absolute tolerance hides small gradients; every derivative has an error bar instead",
    "raise_exception": "use report.raise_for_failure(), or `assert gradcheck(...)`",
    "fast_mode": 'use mode="directional"',
    "nondet_tol": "forward and backward have to give the same bits twice",
    "check_batched_grad": "there are no batched gradients",
    "argnums": "all float inputs are checked; bind the others with functools.partial",
    "modes": "there is the reverse mode only",
    "order": "there are first derivatives only",
}


def gradcheck(
    target,
    *inputs,
    backward=None,
    options=None,
    mode="auto",
    rtol=0.0,
    samples=48,
    directions=3,
    seed=0,
    randomize=True,
    accept_kinks=False,
    tape=Tape,
    **others,
):
    """Check a backward against finite differences, in float64.

    Parameters
    ----------
    target : Layer, or function
        A layer or model, with ``forward(*inputs, tape)`` and ``backward(dy, tape)``; or ``model.loss``, whose backward
        is ``loss_backward``; or a function with ``y, saved = target(*inputs)``, together with ``backward``.
    *inputs : arrays, floats and other arguments
        Float arrays and Python floats are checked, in float64. Integers (token ids) and all other arguments are passed
        on unchanged. Bind a setting that is a float with `functools.partial`.
    backward : function (dy, saved) -> gradients of the inputs, in order
        For functions only.
    options : dict, optional
        Keyword arguments of a layer's forward that have no gradient: mask, count, ...
    mode : {"auto", "full", "sampled", "directional"}
        "auto": random directions through each tensor; where a direction does not agree, every entry of the tensor
        (some entries of a large tensor). "full": every entry. "sampled": ``samples`` entries of each tensor.
        "directional": ``directions`` directions, and entries only where a direction is wrong.
    rtol : float
        A relative difference that is allowed in addition to the error bars; see the top of this file.
    samples, directions, seed : int
    randomize : bool
        Move the parameters of a copy of the layer away from their initial values first: with gains of 1 and biases of 0
        many mistakes in a backward change nothing.
    accept_kinks : bool
        Let a kink pass if the analytic value lies between the slopes on its two sides.
    tape : function () -> Tape
        ``lambda: Tape(seed=0)`` checks with dropout.
    **others
        Keywords of other checkers (eps, atol, ...) are refused, with the reason.

    Returns
    -------
    Report
        INCONCLUSIVE if there is nothing to compare: no float input, or empty ones.

    Raises
    ------
    TypeError, ValueError
        If target, inputs and backward do not belong together; if an array is complex.

    Examples
    --------
    >>> from tinytx import ops
    >>> x = np.random.default_rng(0).normal(size=(3, 5))
    >>> bool(gradcheck(ops.gelu, x, backward=ops.gelu_backward))
    True
    """
    if others:
        advice = "; ".join(f"there is no {name}: {OTHERS.get(name, 'see help(gradcheck)')}" for name in others)
        raise TypeError(f"gradcheck: {advice}")
    if mode not in MODES:
        raise ValueError(f"gradcheck: mode is {mode!r}, expected one of {', '.join(MODES)}")
    target = as_layer(target)
    problem = make_problem(target, inputs, backward, options, tape)
    rng = np.random.default_rng(seed)
    if randomize:
        randomize_parameters(problem.parameters.values(), rng)
    report = Report(name_of(target), AUTO if mode == "auto" else mode, accept_kinks=accept_kinks)
    with np.errstate(all="ignore"):
        report.reason = no_float_input(problem)
        if report.reason:
            return report
        y = problem.forward()
        dy = weights(rng, y)
        report.reason = no_float_output(problem, y) or _not_repeatable(problem, y)
        if not report.reason:
            left_out = sum(int((~np.isfinite(part)).sum()) for part in y)
            check = Comparison(problem, dy, rtol, samples, directions, rng, finite=not left_out)
            report.tensors = [check.tensor(tensor, mode) for tensor in problem.tensors]
            if left_out:
                report.reason = f"the output is not finite in {left_out} entries: they were left out"
    return report


def name_of(target):
    """Return the name of a layer's class, or of a function."""
    named = getattr(target, "func", target)  # of functools.partial
    if isinstance(target, Loss):
        return f"{type(target.owner).__name__}.loss"
    return getattr(named, "__name__", type(named).__name__)


def randomize_parameters(parameters, rng):
    """Add noise of about half their size, at least 0.1, to parameters in place: gains are not 1 then, biases not 0."""
    for parameter in parameters:
        parameter.data += rng.normal(size=parameter.data.shape) * max(0.1, 0.5 * rms(parameter.data))


def weights(rng, y):
    """Return a dy for each output: a `cotangent`, with 0 for integers and for entries that are not finite."""
    return [cotangent(rng, part.shape) * np.isfinite(part) * (part.dtype.kind == "f") for part in y]


def no_float_input(problem):
    """Return the reason if no input has a derivative, or ""."""
    if not problem.tensors:
        return "no float input: nothing was compared (integers have no gradient: write 1.0 for 1, or x.astype(float))"
    if not any(tensor.size for tensor in problem.tensors.values()):
        shapes = ", ".join(f"{name} {tensor.shape}" for name, tensor in problem.tensors.items())
        return f"all inputs are empty ({shapes}): nothing was compared"
    return ""


def no_float_output(problem, y):
    """Return the reason if no output has a derivative, or "".

    Raises
    ------
    TypeError
        If an output is complex.
    """
    for part in y:
        if np.iscomplexobj(part):
            raise TypeError(
                f"{problem.place}: the output is {part.dtype} of shape {part.shape}: derivatives of complex numbers are "
                "not checked: return its real and its imaginary part"
            )
    floats = [part for part in y if part.dtype.kind == "f"]
    if not any(np.isfinite(part).any() for part in floats):
        shapes = ", ".join(f"{part.dtype} {part.shape}" for part in y)
        kind = "is not finite" if any(part.size for part in floats) else "has no float entry"
        return f"the output ({shapes}) {kind}: nothing was compared"
    return ""


def _not_repeatable(problem, y):
    """Return the reason if a second forward gives another result, or ""."""
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(y, problem.forward())):
        return "two forwards of the same input differ: unseeded randomness, or state kept between calls"
    return ""
