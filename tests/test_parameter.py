"""Parameter: a gradient that adds up, and never writes to an array of the caller's."""

import numpy as np
import pytest

from tinytx.core import Parameter


def test_grad_starts_at_zero_and_can_be_added_to():
    parameter = Parameter(np.ones((2, 3), np.float32))
    assert parameter.grad.shape == (2, 3) and parameter.grad.dtype == np.float32 and not parameter.grad.any()
    parameter.grad += 2
    parameter.grad += 1
    assert (parameter.grad == 3).all()
    parameter.zero_grad()
    assert not parameter.grad.any()


@pytest.mark.parametrize("write", ["__iadd__", "__imul__"])
def test_writing_to_grad_changes_no_array_of_the_callers(write):
    """Catches a gradient that is scaled in place, and with it the dx that a backward returned."""
    parameter, array = Parameter(np.zeros(3)), np.ones(3)
    parameter.add_grad(array)
    getattr(parameter.grad, write)(5)
    assert (array == 1).all() and (parameter.grad > 4).all()


@pytest.mark.parametrize("first", ["added", "assigned"])
@pytest.mark.parametrize("way", ["add_grad", "add_into_grad"])
def test_adding_never_writes_to_an_array_of_the_callers(first, way):
    """Catches an alias: the first contribution is kept as it is, and others must not be added into it."""
    parameter, array = Parameter(np.zeros(3)), np.ones(3)
    if first == "added":
        parameter.add_grad(array)
    else:
        parameter.grad = array
    for _ in range(2):
        getattr(parameter, way)(np.ones(3) if way == "add_grad" else lambda grad: grad.__iadd__(1))
    assert (parameter.grad == 3).all() and (array == 1).all()


@pytest.mark.parametrize("wrong", [np.zeros((3, 2)), np.zeros(3), 0.0, None, np.zeros((2, 3), np.float32)])
def test_add_grad_refuses_another_shape_or_dtype(wrong):
    """Catches a gradient that is broadcast, and one that float64 crept into."""
    with pytest.raises(ValueError, match=r"gradient of shape .* expected \(2, 3\) and float64"):
        Parameter(np.zeros((2, 3))).add_grad(wrong)


def test_data_is_contiguous_and_writeable():
    assert Parameter(np.zeros((4, 6)).T).data.flags.c_contiguous
    assert Parameter(np.frombuffer(bytes(8))).data.flags.writeable
    kept = np.zeros((2, 3))
    assert Parameter(kept).data is kept


def test_a_scalar_stays_a_scalar():
    """Catches (1,) made of (): gradients of shape () would be refused."""
    for data in (np.array(2.0), np.float32(2.0), 2.0):
        parameter = Parameter(data)
        assert parameter.data.shape == ()
        parameter.add_grad(np.ones((), parameter.data.dtype) + parameter.data)  # a NumPy scalar
        parameter.add_grad(np.ones((), parameter.data.dtype))
        parameter.add_into_grad(lambda grad: np.add(grad, 1, out=grad))
        assert parameter.grad == 5 and parameter.grad.shape == ()
    assert Parameter(np.zeros((0, 3))).data.shape == (0, 3)


@pytest.mark.parametrize("data", [3, [1, 2], None, "1", np.ones(2, np.float16), np.ones(2, bool), np.ones(2) * 1j, [None],
                                  np.ones(2, ">f4"), np.ones(2, ">f8"), np.ones(2, np.longdouble)])  # fmt: skip
def test_data_of_another_kind_is_refused(data):
    """Catches a parameter that no optimiser can move, and bytes that a kernel would read the wrong way round."""
    with pytest.raises(TypeError, match=r"Parameter: data is a \w+ of dtype .*, expected float32 or float64"):
        Parameter(data)


def test_none_forgets_the_gradient():
    parameter = Parameter(np.zeros((2, 3)))
    parameter.grad = np.ones((2, 3))
    parameter.grad = None
    assert not parameter.has_grad and not parameter.grad.any()
