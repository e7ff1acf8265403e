"""Reads images from a text file of their pixels."""

import math

import numpy as np

from tinytx.data.reading import DataError, read_lines


def read_images(path, *, largest=255):
    """Return the images of a CSV file, and their classes.

    Parameters
    ----------
    path : str or Path
        A line for each image: the pixels of a square grey picture, row by row, and its class; whole numbers from 0 on, with
        commas between them. The first line may hold names of columns: it does if nothing in it is a number.
    largest : int
        What a white pixel is: pixels are divided by it.

    Returns
    -------
    images : array (N, H, H, 1), float32, from 0 to 1
    labels : integers (N,)

    Raises
    ------
    DataError
        If the file cannot be read, a line is no image, or images have several sizes: the message names the line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.csv"
    ...     characters = path.write_text("0,16,16,0,7\\n16,0,0,8,3\\n")
    ...     images, labels = read_images(path, largest=16)
    >>> images.shape, images[1, :, :, 0].tolist(), labels.tolist()
    ((2, 2, 2, 1), [[1.0, 0.0], [0.0, 0.5]], [7, 3])
    """
    place, rows = f"read_images: {path}", []
    for number, line in enumerate(read_lines(path, "read_images"), 1):
        numbers = [part.strip() for part in line.split(",")]
        if not line.strip() or number == 1 and not any(_is_number(part) for part in numbers):
            continue
        if not all(part.isdecimal() and part.isascii() and len(part) < 10 for part in numbers):
            raise DataError(f"{place}: line {number} is {line:.60}, expected whole numbers with commas between them")
        rows.append([int(part) for part in numbers])
        side = math.isqrt(len(numbers) - 1)
        if not side or side * side + 1 != len(numbers) or len(numbers) != len(rows[0]):
            expected = f"{len(rows[0])}, as the first image" if len(rows) > 1 else "the pixels of a square and a class"
            raise DataError(f"{place}: line {number} has {len(numbers)} numbers, expected {expected}")
    if not rows:
        raise DataError(f"{place} has no image: expected a line of pixels for each")
    table = np.array(rows)
    if table[:, :-1].max() > largest:
        raise DataError(f"{place}: there is a pixel of {table[:, :-1].max()}, expected at most {largest}, the largest: give another")
    side = math.isqrt(table.shape[1] - 1)
    return (table[:, :-1].reshape(-1, side, side, 1) / largest).astype(np.float32), table[:, -1]


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
