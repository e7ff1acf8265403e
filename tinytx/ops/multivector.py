r"""Multivectors: points, directions, planes, rotations and translations as 16 numbers each (Brehmer et al. 2023, arXiv:2305.18415).

The projective geometric algebra G(3,0,1) has four vectors e0, e1, e2, e3, which are multiplied freely, with three rules:

    e_i e_j = -e_j e_i for i != j,   e1^2 = e2^2 = e3^2 = 1,   e0^2 = 0.  (1)

So each product of them is, but for its sign, one of 16 *blades*, those with ascending indices, or 0. A *multivector* is a
sum of blades times numbers, x = sum_i x_i b_i, and this is their order everywhere in the package:

    grade 0   1                                a number that no motion changes
    grade 1   e0  e1  e2  e3                   a plane: the normal (e1, e2, e3) and the distance from the origin
    grade 2   e01 e02 e03 e12 e13 e23          a line; a rotation about it, without the scalar part
    grade 3   e012 e013 e023 e123              a point
    grade 4   e0123                            a volume, with a sign

The point (x, y, z) is -x e023 + y e013 - z e012 + e123. Without e123 it is a direction, a point at infinity. A motion is
itself a multivector u, a product of planes (reflections); it moves whatever kind of thing x is by the same formula,

    x -> u x u^-1,   or u x^ u^-1 for an odd number of reflections,      (2)

where x^ is x with the signs of its odd grades changed. Rotations and translations are even. A translation changes only the
numbers of blades that contain e0, so the other eight say what something is like, and not where it is.

This module makes the tables of the algebra from (1). A vector of width 16 C, as layers pass it on, holds C multivectors side
by side, its *channels*.
"""

from itertools import combinations

import numpy as np

from tinytx.shapes import check_axes, check_float

BLADES = [blade for grade in range(5) for blade in combinations(range(4), grade)]
EUCLIDEAN = np.array([i for i, blade in enumerate(BLADES) if 0 not in blade])  # the 8 without e0
DIRECTION = np.zeros((3, len(BLADES)))  # row: a coordinate x, y or z
for _row, _blade, _sign in ((0, (0, 2, 3), -1), (1, (0, 1, 3), 1), (2, (0, 1, 2), -1)):
    DIRECTION[_row, BLADES.index(_blade)] = _sign
SCALAR, POINT_WEIGHT, VOLUME = (BLADES.index(blade) for blade in ((), (1, 2, 3), (0, 1, 2, 3)))


def blade_product(a, b):
    """Return (index of a blade, sign) of the product of two blades; the sign is 0 if e0 is in both.

    >>> index, sign = blade_product((1, 2), (0, 1))  # e12 e01 = e0 e1 e2 e1 = -e0 e2
    >>> BLADES[index], sign
    ((0, 2), -1)
    """
    swaps = sum(i > j for i in a for j in b)  # each brings one vector of b past a larger one of a
    rest = tuple(sorted(set(a) ^ set(b)))  # equal vectors are side by side now, and squared
    return BLADES.index(rest), 0 if 0 in a and 0 in b else (-1) ** swaps


def product_table():
    """Return the geometric product: rows (k, i, j, sign) of all products b_i b_j = sign b_k that are not 0."""
    pairs = [(i, j, *blade_product(a, b)) for i, a in enumerate(BLADES) for j, b in enumerate(BLADES)]
    return np.array([(k, i, j, sign) for i, j, k, sign in pairs if sign])


def join_table():
    """Return the join (x* ^ y*)*, such as the line through two points, as rows like those of `product_table`.

    The outer product ^ leaves only products of blades without a common vector. The dual * turns b_i into the blade of the
    other vectors, which is number 15 - i, with the sign s of b_(15-i) b_i = s e0123.
    """
    dual = [blade_product(BLADES[VOLUME - i], blade)[1] for i, blade in enumerate(BLADES)]
    outer = [row for row in product_table() if not set(BLADES[row[1]]) & set(BLADES[row[2]])]
    return np.array([(*(VOLUME - row[:3]), row[3] * dual[row[0]] * dual[VOLUME - row[1]] * dual[VOLUME - row[2]]) for row in outer])


def check_multivectors(place, **arrays):
    """Raise TypeError or ValueError unless all arrays are (..., 16 C), of float32 or all of float64."""
    check_float(place, **arrays)
    for name, array in arrays.items():
        check_axes(place, name, array, "(..., 16 C)")
        if array.shape[-1] % len(BLADES):
            raise ValueError(f"{place}: {name} has shape {array.shape}, expected (..., 16 C), 16 numbers for each multivector")
