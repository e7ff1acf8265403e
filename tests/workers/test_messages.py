"""What processes tell each other comes back as it was, to the bit."""

import math

import numpy as np
import pytest

from tinytx.workers.messages import packed, unpacked

ARRAYS = [
    np.array(2.5),
    np.zeros((0, 3)),
    np.arange(24, dtype=np.int16).reshape(2, 3, 4)[:, ::-1],
    np.array([1e-45, -0.0, np.inf, np.nan], np.float32),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([True, False]),
]


def test_arrays_come_back_to_the_bit():
    """Catches elements of one array read in the place of another's, and those of a transposed array in their own order."""
    for array, back in zip(ARRAYS, unpacked(packed(ARRAYS)), strict=True):
        assert back.dtype == array.dtype and back.shape == array.shape
        assert back.tobytes() == array.tobytes()
        back[...] = 0  # it may be written to


@pytest.mark.parametrize(
    "value", [None, True, 7, -(2**70), 0.1, 5e-324, math.inf, "Straße\n", [], (), {}, np.dtype("float32"), {"tuple": 1, "array": (2, [3.0, None, "4"])}]
)
def test_plain_values_come_back_in_their_types(value):
    back = unpacked(np.frombuffer(packed(value), np.uint8))
    assert back == value and type(back) is type(value)


def test_scalars_of_numpy_come_back_as_those_of_python():
    assert repr(unpacked(packed([np.float32(0.1), np.int64(3), np.bool_(True)]))) == "[0.10000000149011612, 3, True]"


@pytest.mark.parametrize("value", [{1: 2}, object(), np.array([None]), [1, {2}], np.array(["a"])])
def test_nothing_else_is_sent(value):
    with pytest.raises(TypeError, match="packed: a .* cannot be sent: give None"):
        packed(value)
