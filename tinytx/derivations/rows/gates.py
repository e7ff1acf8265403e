r"""Operations that let a share of an array through."""

from tinytx.derivations.scene import Row, Scene

TABLE = {
    "highway": Row([
        Scene({"x": "x numbers", "h": "h numbers", "a": "gate numbers"}, {"y": "numbers"}, {"numbers": 7}, {"numbers": 3}, "x h a"),
    ]),
}  # fmt: skip
