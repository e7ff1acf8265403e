"""check_layer and parametrize_with_checks: all of `tinytx.testing.promises` at once, by hand or by pytest."""

import functools
from collections import Counter

import numpy as np

from tinytx.core import Tape
from tinytx.extras import require
from tinytx.testing.promises import CHECKS, check_size_one


def check_layer(layer, x, *, options=None, tape=Tape, checks=CHECKS):
    """Check everything that a layer owes.

    Parameters
    ----------
    layer : Layer
        Not touched: copies are checked, with their parameters moved away from their initial values.
    x : array
        Its input: floats (B, T, D) or (B, D), or token ids (B, T), for which backward returns None. Sizes above 1
        and pairwise distinct find most.
    options : dict, optional
        Keyword arguments of its forward. For float arrays among them (memory, ...) backward returns gradients after dx.
    tape : function () -> Tape
        ``lambda: Tape(seed=0)`` checks with dropout.
    checks : sequence of functions
        Some of `CHECKS`, or others that take ``(layer, x, options, tape)``.

    Returns
    -------
    list of str
        The names of the checks that ran. `check_size_one` is left out where there are options, whose axes are unknown.

    Raises
    ------
    AssertionError
        With the message of every check that failed.

    Examples
    --------
    >>> from tinytx.layers import LayerNorm
    >>> names = check_layer(LayerNorm(5), np.random.default_rng(0).normal(size=(2, 3, 5)))
    >>> names[:2]
    ['check_gradients', 'check_determinism']
    """
    ran, failed = [], {}
    for check in _applicable(checks, x, options):
        ran.append(check.__name__)
        try:
            check(layer, x, options, tape)
        except AssertionError as error:
            failed[check.__name__] = str(error)
        except Exception as error:  # a layer of the user's may raise anything
            failed[check.__name__] = f"{type(layer).__name__} raised {type(error).__name__}: {error}"
    if failed:
        listed = "\n".join(f"{name}: {message}" for name, message in failed.items())
        raise AssertionError(f"{type(layer).__name__} fails {len(failed)} of {len(ran)} checks\n{listed}")
    return ran


def parametrize_with_checks(cases, *, tape=Tape, checks=CHECKS):
    """Make one pytest test of every check of every layer.

    Parameters
    ----------
    cases : iterable of (layer, x) or (layer, x, options)
    tape, checks
        As for `check_layer`.

    Returns
    -------
    decorator
        For a test with the parameters ``layer`` and ``check``. Its ids read ``LayerNorm-check_determinism``; a second
        case of a class is ``LayerNorm#2``, and options are named: ``MultiHeadAttention(memory, mask)``.

    Raises
    ------
    MissingExtra
        If pytest is not installed.

    Examples
    --------
    ::

        @parametrize_with_checks([(LayerNorm(5), x), (Linear(5, 7, rng=rng), x)])
        def test_layer(layer, check):
            check(layer)
    """
    pytest = require("pytest", "test", "parametrize_with_checks")
    parameters, seen = [], Counter()
    for layer, x, *options in cases:
        options = options[0] if options else None
        name = type(layer).__name__ + (f"({', '.join(options)})" if options else "")
        seen[name] += 1
        name += f"#{seen[name]}" if seen[name] > 1 else ""
        for check in _applicable(checks, x, options):
            parameters.append(pytest.param(layer, _bound(check, x, options, tape), id=f"{name}-{check.__name__}"))
    return pytest.mark.parametrize(("layer", "check"), parameters)


def _applicable(checks, x, options):
    """Leave out `check_size_one` where it is not known which axes of what to cut."""
    x = np.asarray(x)
    can_cut = not options and x.ndim > (x.dtype.kind == "f")
    return [check for check in checks if check is not check_size_one or can_cut]


def _bound(check, x, options, tape):
    """Return the check of a layer alone."""

    @functools.wraps(check)
    def bound(layer):
        check(layer, x, options, tape)

    return bound
