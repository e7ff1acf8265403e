r"""Operations that work on each number by itself."""

from tinytx.derivations.scene import Row, Scene

EXAMPLE = {"numbers": 4}


def _row(**options):
    """Return the row of an operation from x to y; "numbers" is the axis that equations leave out."""
    return Row([Scene({"x": "x numbers"}, {"y": "numbers"}, {"numbers": 7}, EXAMPLE, "x", **options)])


TABLE = {
    "relu": _row(),
    "silu": _row(),
    "tanh": _row(),
    "scale": Row([
        Scene({"x": "x numbers", "c": "factor"}, {"y": "numbers"}, {"numbers": 7}, EXAMPLE, "x", given={"c": 1.7}),
    ]),
}  # fmt: skip
