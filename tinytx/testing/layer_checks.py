"""check_layer and parametrize_with_checks run all checks of `tinytx.testing.promises`, in one call or as pytest tests."""

import functools
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from tinytx.core import Tape
from tinytx.extras import require
from tinytx.testing.gradcheck import name_of
from tinytx.testing.problem import as_layer, refuse_class
from tinytx.testing.promises import CHECKS, check_size_one
from tinytx.testing.report import NothingCompared

HERE = str(Path(__file__).parents[1])


def check_layer(layer, *inputs, options=None, tape=Tape, checks=CHECKS, expected_failed_checks=None):
    """Check everything that a layer promises.

    Parameters
    ----------
    layer : Layer
        It is not changed: copies are checked, with their parameters moved away from their initial values.
    *inputs : arrays
        Its inputs: floats (B, T, D) or (B, D), or token ids (B, T), for which backward returns None. Most mistakes are
        found if all sizes are above 1 and different from each other.
    options : dict, optional
        Keyword arguments of its forward that have no gradient: mask, ...
    tape : function () -> Tape
        ``lambda: Tape(seed=0)`` checks with dropout.
    checks : sequence of functions
        Some of `CHECKS`, or others that take ``(layer, *inputs, options=options, tape=tape)``.
    expected_failed_checks : dict of str to str, optional
        {name of a check: why the layer fails it}. If the layer passes such a check, that is a failure too.

    Returns
    -------
    list of str
        The names of the checks that ran. `check_size_one` does not run with options or several inputs, because it does
        not know their axes.

    Raises
    ------
    AssertionError
        With the message of every check that failed; a message of several checks is printed once. For an error that the
        layer raised, it names file and line.
    TypeError, ValueError
        If the layer is a class, if there is nothing to compare, if an expected failure names no check.

    Examples
    --------
    >>> from tinytx.layers import LayerNorm
    >>> names = check_layer(LayerNorm(5), np.random.default_rng(0).normal(size=(2, 3, 5)))
    >>> names[:2]
    ['check_gradients', 'check_determinism']
    """
    refuse_class(layer, "check_layer")
    layer = as_layer(layer)
    expected = _expected(expected_failed_checks or {}, checks)
    ran, failed = [], {}  # failed: message -> the checks that gave it
    for check in _applicable(checks, inputs, options):
        ran.append(check.__name__)
        try:
            check(layer, *inputs, options=options, tape=tape)
        except NothingCompared:
            raise
        except Exception as error:  # a user's layer may raise any exception
            if check.__name__ not in expected:
                failed.setdefault(_message(layer, error), []).append((check.__name__, error))
        else:
            if check.__name__ in expected:
                why = f"passes, and was expected to fail ({expected[check.__name__]}): take it out of the list"
                failed.setdefault(why, []).append((check.__name__, None))
    if failed:
        count = sum(map(len, failed.values()))
        listed = "\n".join(f"{', '.join(name for name, _ in those)}: {text}" for text, those in failed.items())
        cause = next((error for those in failed.values() for _, error in those if error), None)
        raise AssertionError(f"{name_of(layer)} fails {count} of {len(ran)} checks\n{listed}") from cause
    if checks and not ran:
        shapes = ", ".join(str(np.shape(x)) for x in inputs)
        raise NothingCompared(f"{name_of(layer)}: none of the checks applies to inputs of shape {shapes}: nothing was compared")
    return ran


def _message(layer, error):
    """Return a check's message, or the error that the layer raised with its file and line."""
    if isinstance(error, AssertionError) and error.args:
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith(HERE) and "site-packages" not in f.filename]
    frame = (theirs or frames)[-1]
    return f"{name_of(layer)} raised {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def _expected(expected, checks):
    """Return {name: reason} of expected failures; raise ValueError if a name is not the name of a check."""
    names = [check.__name__ for check in checks]
    unknown = [name for name in expected if name not in names]
    if unknown:
        raise ValueError(f"expected_failed_checks: there is no {', '.join(unknown)}: the checks are {', '.join(names)}")
    return dict(expected)


def parametrize_with_checks(cases, *, tape=Tape, checks=CHECKS, expected_failed_checks=None):
    """Make one pytest test of every check of every layer.

    Parameters
    ----------
    cases : iterable of (layer, *inputs) or (layer, *inputs, options)
        ``options`` is a dict. Or ``pytest.param(layer, x, id=..., marks=...)``, whose id and marks all checks of that
        layer get.
    tape, checks
        As for `check_layer`.
    expected_failed_checks : function (layer) -> dict of str to str, or such a dict for all, optional
        {name of a check: why the layer fails it}. These tests are marked as ``xfail(strict=True)``.

    Returns
    -------
    decorator
        For a test with the parameters ``layer`` and ``check``. Its ids read ``LayerNorm-check_determinism``; a second
        case of a class is ``LayerNorm#2``, and options are named: ``MultiHeadAttention(mask)``.

    Raises
    ------
    MissingExtra
        If pytest is not installed.
    TypeError, ValueError
        If a case is no layer with its inputs; if there is no test; if an expected failure names no
        check.

    Examples
    --------
    ::

        @parametrize_with_checks([(LayerNorm(5), x), (Linear(5, 7, rng=rng), x)])
        def test_layer(layer, check):
            check(layer)
    """
    pytest = require("pytest", "test", "parametrize_with_checks")
    parameters, seen = [], Counter()
    for case in cases:
        layer, inputs, options, given_id, marks = _case(case)
        name = name_of(layer) + (f"({', '.join(options)})" if options else "") if given_id is None else given_id
        seen[name] += 1
        name += f"#{seen[name]}" if seen[name] > 1 else ""
        expected = expected_failed_checks(layer) if callable(expected_failed_checks) else expected_failed_checks
        expected = _expected(expected or {}, checks)
        for check in _applicable(checks, inputs, options):
            reason = expected.get(check.__name__)
            xfail = [] if reason is None else [pytest.mark.xfail(strict=True, reason=reason)]
            bound = _bound(check, inputs, options, tape)
            parameters.append(pytest.param(layer, bound, id=f"{name}-{check.__name__}", marks=[*marks, *xfail]))
    if not parameters:
        raise NothingCompared("parametrize_with_checks: no case, or no check that applies: nothing would be compared")
    return pytest.mark.parametrize(("layer", "check"), parameters)


def _case(case):
    """Return layer, inputs, options, id and marks of a case: a tuple, or the result of pytest.param."""
    values, given_id, marks = getattr(case, "values", case), getattr(case, "id", None), getattr(case, "marks", ())
    if callable(values) or not isinstance(values, (tuple, list)) or len(values) < 2 or isinstance(values[1], dict):
        kind = f"{case.__name__}, a class" if isinstance(case, type) else f"a {type(case).__name__}"
        raise TypeError(f"parametrize_with_checks: a case is {kind}, expected (layer, *inputs) or (layer, *inputs, options)")
    layer, *inputs = values
    refuse_class(layer, "parametrize_with_checks")
    options = inputs.pop() if isinstance(inputs[-1], dict) or inputs[-1] is None else None
    return as_layer(layer), inputs, options, given_id, marks


def _applicable(checks, inputs, options):
    """Return the checks, without `check_size_one` if it is unknown which axes to cut."""
    x = np.asarray(inputs[0]) if inputs else np.empty(())
    can_cut = not options and len(inputs) == 1 and x.ndim > (x.dtype.kind == "f")
    return [check for check in checks if check is not check_size_one or can_cut]


def _bound(check, inputs, options, tape):
    """Return a check as a function of the layer alone."""

    @functools.wraps(check)
    def bound(layer):
        check(layer, *inputs, options=options, tape=tape)

    return bound
