"""The picture of a unit: both classes, the threshold, and texts in the colours of the unit's values."""

import numpy as np
import pytest

from tinytx.viz import unit_picture
from tinytx.viz.style import SCALE, SERIES
from tinytx.viz.unit_picture import COLUMNS, _lines

pytest.importorskip("matplotlib")
VALUES, LABELS = np.array([-2.0, -1.5, -1.8, 1, 2, -1.9]), np.array([0, 0, 0, 1, 1, 1])


def test_what_is_drawn(tmp_path, figures):
    texts = [[("bad", -2.0), ("$film", 2.0)], [("so", 0.0)] * 60]
    options = {"names": ("blame", "praise"), "threshold": 0.25, "title": "Unit 3"}
    unit_picture(VALUES, LABELS, texts, tmp_path / "unit.png", **options)
    assert (tmp_path / "unit.png").read_bytes().startswith(b"\x89PNG")
    (figure,) = figures
    top, below = figure.axes[:2]
    heights = [[bar.get_height() for bar in part] for part in top.containers]
    assert [sum(part) for part in heights] == [3, 3] and heights[0][0] == 1 and heights[1][-1] == 1
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["blame", "praise", "threshold"]
    assert top.lines[0].get_xdata()[0] == 0.25 and top.get_title(loc="left") == "Unit 3"
    written = [text for text in below.texts if text.get_text() in ("bad", "$film", "so")]
    assert [text.get_text() for text in written] == ["bad", "$film"] + ["so"] * 60
    from matplotlib.colors import to_hex

    assert [to_hex(text.get_color()) for text in written[:2]] == [SCALE[0], SCALE[-1]]
    assert {to_hex(bar.get_facecolor()) for part in top.containers for bar in part} == {SERIES[0], SERIES[3]}
    assert max(text.get_position()[0] for text in written) < COLUMNS
    assert {text.get_position()[1] for text in written} == {0, 2, 3}  # a line is empty between two texts


def test_lines_are_not_too_wide():
    pieces = [(word, 0.0) for word in "one of several words that are long".split() * 9] + [("w" * 200, 0.0)]
    lines = _lines(pieces)
    assert sum(lines, []) == pieces and all(lines)
    assert all(sum(len(piece) + 1 for piece, _ in line) <= COLUMNS for line in lines[:-1])


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, np.nan], [1.0]], ids=str)
def test_bad_input_is_named(values, tmp_path):
    with pytest.raises(ValueError, match="unit_picture: values have shape"):
        unit_picture(values, [0, 1], [], tmp_path / "unit.png")


def test_without_texts(tmp_path, figures):
    unit_picture([1.0, 1.0], [0, 1], [], tmp_path / "unit.png")
    assert len(figures[0].axes) == 1
