"""Images of a text file: pixels, classes, a header, and every line that is none."""

import numpy as np
import pytest

from tinytx.data import DataError, read_images


def test_pixels_lie_row_by_row(tmp_path):
    """Catches columns for rows, and a header that is read as an image or costs the first one."""
    pixels = np.arange(18).reshape(2, 3, 3)
    lines = [",".join(map(str, [*image.ravel(), label])) for image, label in zip(pixels, (7, 3))]
    for header in ([], ["a,b,c,d,e,f,g,h,i,class"]):
        (tmp_path / "a.csv").write_text("\n".join(header + lines) + "\n\n")
        images, labels = read_images(tmp_path / "a.csv", largest=20)
        assert images.dtype == np.float32 and labels.tolist() == [7, 3]
        np.testing.assert_allclose(images[..., 0], pixels / 20, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,1,2,3,7\n0,1,x,3,7\n", "line 2 is 0,1,x,3,7, expected whole numbers"),
        ("0,1,2,3,7\n0,-1,2,3,7\n", "line 2 is 0,-1,2,3,7, expected whole numbers"),
        ("0,1,2,3,7\n0,1,2,3,9999999999999\n", "line 2 is"),
        ("0,1,2,3\n", "line 1 has 4 numbers, expected the pixels of a square and a class"),
        ("7\n", "line 1 has 1 numbers, expected the pixels of a square"),
        ("0,1,2,3,7\n5,7\n", "line 2 has 2 numbers, expected 5, as the first image"),
        ("0,1,2,300,7\n", "there is a pixel of 300, expected at most 255"),
        ("a,b\n", "has no image"),
        ("x,1,2,3,7\n0,1,2,3,7\n", "line 1 is x,1,2,3,7, expected whole numbers"),
        ("-1,1,2,3,7\n0,1,2,3,7\n", "line 1 is -1,1,2,3,7, expected whole numbers"),
        ("0.5,.1,.2,.3,seven\n0,1,2,3,7\n", "line 1 is 0.5,.1,.2,.3,seven, expected whole numbers"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, text, says):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=f"read_images: .*a.csv.*{says}"):
        read_images(tmp_path / "a.csv")
