r"""Normalisations, but for the first, layer norm."""

from tinytx.derivations.scene import Row, Scene

TABLE = {
    "rms_norm": Row([
        Scene(
            {"x": "x rows i", "w": "weight i", "eps": "eps"}, {"y": "rows i"}, {"rows": 4, "i": 5}, {"rows": 2, "i": 3},
            "x w", counts={"D": "i"}, given={"eps": 0.1},
        ),
    ]),
}  # fmt: skip
