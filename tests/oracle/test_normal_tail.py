"""Where the coefficients of `tinytx.kernel.normal_cdf` come from: made again with 60 digits."""

import numpy as np
import pytest

from tinytx.kernel import TAIL32, TAIL64

mpmath = pytest.importorskip("mpmath")


def interpolated(degree, k, longest):
    """Return R / u as a polynomial of t = 1 - u at the Chebyshev points of 0 <= a <= longest, highest power first."""

    def scaled_tail(t):
        a = k * (1 + t) / (1 - t)
        return mpmath.exp(a * a / 2) * mpmath.erfc(a / mpmath.sqrt(2)) / 2 / (1 - t)

    end = 1 - mpmath.mpf(2 * k) / (longest + k)
    n = degree + 1
    points = [(end - 1 + (end + 1) * mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * n))) / 2 for i in range(n)]
    powers = mpmath.matrix([[point**j for j in range(n)] for point in points])
    return list(mpmath.lu_solve(powers, mpmath.matrix([scaled_tail(point) for point in points])))[::-1]


@pytest.mark.parametrize(("table", "k", "longest", "digits"), [(TAIL32, 3, 14, 1e-8), (TAIL64, 4, 38, 1e-15)])
def test_coefficients_are_those_of_the_interpolation(table, k, longest, digits):
    with mpmath.workdps(60):
        expected = [float(c) for c in interpolated(len(table) - 1, k, longest)]
    np.testing.assert_allclose(table, expected, rtol=digits)
