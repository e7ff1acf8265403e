"""Parameter: an array that training changes, with its gradient."""

import contextlib
import threading

import numpy as np

from tinytx.members import WALKED


class Parameter:
    """An array that training changes, with the gradient of the loss with respect to it.

    Two layers share a parameter if both hold the same ``Parameter`` object.

    Parameters
    ----------
    data : array of float32 or float64, any shape, () too
        The values. They are copied if they are not C-contiguous and writeable.
    frozen : bool

    Attributes
    ----------
    grad : array, shape and dtype of ``data``
        Zeros until a backward adds to it. Reading, ``+=`` and assigning all work.
    frozen : bool
        Whether backward leaves its gradient out: contributions are dropped, and layers need not compute them.

    Raises
    ------
    TypeError
        If ``data`` has another dtype, or another byte order than this machine's.
    """

    __slots__ = ("data", "frozen", "_grad", "_owned", "_lent")

    def __init__(self, data, *, frozen=False):
        self.frozen = frozen
        self.data = np.require(data, requirements=["C", "WRITEABLE", "ALIGNED", "ENSUREARRAY"])
        if self.data.dtype not in (np.float32, np.float64):
            facts = f"data is a {type(data).__name__} of dtype {self.data.dtype}"
            raise TypeError(f"Parameter: {facts}, expected float32 or float64: convert with .astype")
        self.zero_grad()

    @property
    def grad(self):
        if self._grad is None:
            self._grad, self._owned = np.zeros_like(self.data), True
        elif self._lent:
            self._grad, self._owned, self._lent = self._grad.copy(), True, False
        return self._grad

    @grad.setter
    def grad(self, value):
        self._check_known()
        self._grad, self._owned, self._lent = value, False, False  # the shape is checked where the gradient is used

    @property
    def grad_now(self):
        """``grad``, for those who read it at once and do not keep it: not copied where it is lent."""
        return self._grad if self._lent else self.grad

    def lend_grad(self, gradient):
        """Let ``grad`` be an array that changes after `zero_grad`: who reads ``grad`` gets a copy, as it is now."""
        self._grad, self._owned, self._lent = gradient, False, True

    @property
    def has_grad(self):
        """Whether anything has been added or assigned since `zero_grad`."""
        return self._grad is not None

    def zero_grad(self):
        """Set the gradient to 0."""
        self._grad, self._owned, self._lent = None, False, False

    def add_grad(self, dparameter, *, fresh=False):
        """Add one contribution to the gradient. Every backward calls this once for each parameter.

        The first contribution is copied, so that scaling ``grad`` in place does not change the caller's array. With
        ``fresh`` it is not copied, which is faster: for an array that was made for this call and is used nowhere else.

        Raises
        ------
        ValueError
            If shape or dtype differ from the parameter's, or inside `gradients_for` of other parameters.
        """
        self._check_known()
        if self.frozen:
            return
        dparameter = self.checked(dparameter)
        if self._grad is None:
            self._grad, self._owned = dparameter if fresh else dparameter.copy(), True
        elif self._owned:
            self._grad += dparameter
        else:
            self._grad, self._owned, self._lent = np.asarray(self._grad + dparameter), True, False  # the sum of 0-d arrays is a scalar

    def takes_unmade(self, dy):
        """Return whether `add_grad` takes a product (`tinytx.ops.linear.Product`) for the gradient (..., N) of a linear map, to make it later; not here."""
        return False

    def add_into_grad(self, add):
        """Call ``add(grad)``, which adds to ``grad`` in place: faster for a contribution that is mostly zeros."""
        self._check_known()
        if self.frozen:
            return
        grad = self.grad  # an array of zeros, if there is no gradient yet
        if not self._owned or not grad.flags.c_contiguous:
            self._grad, self._owned = grad.copy(), True
        add(self._grad)

    def checked(self, dparameter):
        """Return a gradient as an array; raise ValueError unless shape and dtype are the parameter's."""
        dparameter = np.asarray(dparameter)
        if dparameter.shape != self.data.shape or dparameter.dtype != self.data.dtype:
            raise ValueError(
                f"Parameter: gradient of shape {dparameter.shape} and dtype {dparameter.dtype}, "
                f"expected {self.data.shape} and {self.data.dtype}"
            )
        return dparameter

    def _check_known(self):
        if _thread.known is not None and id(self) not in _thread.known:
            raise ValueError(
                f"Parameter: a backward adds gradient to a parameter of shape {self.data.shape} that named_parameters "
                f"does not list, so no optimizer would train it: keep it in {WALKED} of its layer"
            )

    def __repr__(self):
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype})"


class _Thread(threading.local):
    known = None  # ids of the parameters that may get gradients in this thread; None: all may


_thread = _Thread()


@contextlib.contextmanager
def gradients_for(parameters):
    """Return a context in which, in this thread, only these parameters may get a gradient; others raise ValueError.

    Around a backward, with all parameters that ``named_parameters`` lists, it finds a parameter that is not listed.
    """
    before, _thread.known = _thread.known, {id(parameter) for parameter in parameters}
    try:
        yield
    finally:
        _thread.known = before
