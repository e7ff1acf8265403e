"""Faults in operations on rows: layer norm, GELU, softmax."""

import math

import numpy as np

from bug_zoo.specimen import MUTANT, Specimen, draw, fault
from tinytx import ops


def without_eps(dy, saved):
    """Layer norm's backward with 1/sqrt(v) where forward has 1/sqrt(v + eps).

    A mutant of ours, hidden by a tolerance: torch.autograd.gradcheck lets it pass in both of its modes. The gradient
    is off by 8e-6 at eps = 1e-5, and by any factor on a row that is nearly constant.
    """
    return ops.layer_norm_backward(dy, ops.layer_norm(saved.x, saved.weight, saved.weight, eps=0.0)[1])


def gamma_outside(dy, saved):
    """Layer norm's dx with the gain gamma multiplied on at the end, outside the two means over the features.

    Found in numpy-transformer. Gains start at 1, where outside and inside are the same, and nothing ever checked them
    elsewhere: 3e-10 off there, 1.27 off at random ones.
    """
    dx, dweight, dbias = ops.layer_norm_backward(dy, saved._replace(weight=np.ones_like(saved.weight)))
    return saved.weight * dx, dweight, dbias


def detached_std(dy, saved):
    """Layer norm's dx with the standard deviation taken for a constant.

    A mutant, and what a stray ``.detach()`` does. What is left points downhill often enough for the loss to fall.
    """
    _, dweight, dbias = ops.layer_norm_backward(dy, saved)
    dn = saved.weight * dy
    std = np.sqrt(saved.x.var(axis=-1, keepdims=True) + 1e-5)
    return (dn - dn.mean(axis=-1, keepdims=True)) / std, dweight, dbias


def gelu_0447(dy, saved):
    """The derivative of GELU's tanh form with 0.0447 in place of 0.044715.

    A mutant, hidden by a tolerance: torch.autograd.gradcheck lets it pass.
    """
    c, a = math.sqrt(2 / math.pi), 0.0447
    t = np.tanh(c * (saved + a * saved**3))
    return dy * (0.5 * (1 + t) + 0.5 * saved * (1 - t * t) * c * (1 + 3 * a * saved**2))


def gelu_six_digits(dy, saved):
    """The derivative of GELU's exact form with the normal density's constant cut to six digits.

    Found in Thinc, hidden by a tolerance: 2.5e-7 off, which a check in float32 never sees.
    """
    cut = 0.398942 - 1 / math.sqrt(2 * math.pi)
    return ops.gelu_backward(dy, saved) + dy * saved * cut * np.exp(-0.5 * saved**2)


def tiny_sine(x):
    """Return 1e-6 sin(x)."""
    return 1e-6 * np.sin(x), x


def tiny_sine_backward(dy, saved):
    return 1e-6 * dy * np.cos(saved)


def nothing(dy, saved):
    """A backward that returns zeros.

    Not found but made, by those who measured torch.autograd.gradcheck and HIPS autograd: both let it pass for
    1e-6 sin(x), because an absolute tolerance does not ask how large the gradient should be.
    """
    return np.zeros_like(dy)


def softmax_by_batch(dy, saved):
    """Softmax's backward divided by the batch size.

    Found in numpy-transformer, hidden by batches of one row. The mean over the batch belongs to the loss, once.
    """
    return ops.softmax_backward(dy, saved) / len(dy)


@np.errstate(invalid="ignore")
def softmax_unguarded(x, mask):
    """A masked softmax that computes (-inf) - (-inf) in a row whose elements are all masked.

    Found in many (pytorch issue 41508), hidden by sequences that all have a token: the row is 0/0.
    """
    x = np.where(mask, x, -np.inf)
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y, y


def softmax_half_guarded(x, mask):
    """The same with the output mended and not what backward is given: a finite loss, and then a gradient of NaN.

    Found in many, as what became of `softmax_unguarded` after the first report; hidden by a loss that looks healthy.
    """
    y, saved = softmax_unguarded(x, mask)
    return np.nan_to_num(y), saved


X = draw(3, 4, 5)
MASK = np.tri(4, 5, 1, dtype=bool)
MASK[2] = False  # nothing is allowed
ALLOWED = (X[:, :2], MASK[:2])

NORM = Specimen(ops.layer_norm, (X, 1 + 0.5 * draw(5), draw(5, seed=1)), ops.layer_norm_backward)
GELU = Specimen(ops.gelu, (X,), ops.gelu_backward)
GELU_TANH = Specimen(ops.gelu_tanh, (X,), ops.gelu_tanh_backward)
SINE = Specimen(tiny_sine, (X,), tiny_sine_backward)
SOFTMAX = Specimen(ops.softmax, (X,), ops.softmax_backward)
MASKED = Specimen(ops.softmax, (X, MASK), ops.softmax_backward)

LOOSE = "a tolerance of 1e-5 + a thousandth"

FAULTS = [
    fault(
        "layer norm without eps in backward", NORM, {"backward": without_eps},
        found_in=MUTANT, hidden_by=LOOSE, fails=("x", "weight"), says="an eps left out", unseen={},
    ),
    fault(
        "gamma outside layer norm's sums", NORM, {"backward": gamma_outside},
        found_in="numpy-transformer", hidden_by="gamma = 1", fails=("x",),
        unseen={"inputs": (X, np.ones(5), np.zeros(5))},
    ),
    fault(
        "detached standard deviation", NORM, {"backward": detached_std},
        found_in=MUTANT, hidden_by="a loss that falls", fails=("x",),
    ),
    fault(
        "GELU forward by tanh, backward by erf", GELU_TANH, {"backward": ops.gelu_backward},
        found_in="cs249r_book 1399", hidden_by="a tolerance of a thousandth", fails=("x",),
        says="another form of the same function", unseen={}, tolerance=1e-3,
    ),
    fault(
        "GELU with 0.0447 in backward", GELU_TANH, {"backward": gelu_0447},
        found_in=MUTANT, hidden_by=LOOSE, fails=("x",), says="a constant cut short", unseen={},
    ),
    fault(
        "GELU with a constant of six digits", GELU, {"backward": gelu_six_digits},
        found_in="Thinc", hidden_by=LOOSE, fails=("x",), says="a constant cut short", unseen={},
    ),
    fault(
        "no gradient at all of 1e-6 sin(x)", SINE, {"backward": nothing},
        found_in="torch's and HIPS autograd's checkers", hidden_by="an absolute tolerance", fails=("x",),
        says="all zero", unseen={},
    ),
    fault(
        "softmax backward divided by the batch size", SOFTMAX, {"backward": softmax_by_batch},
        found_in="numpy-transformer", hidden_by="a batch of 1", fails=("x",),
        says="a factor 3, a size of this problem is missing", unseen={"inputs": (X[:1],)},
    ),
    fault(
        "a fully masked row is 0/0", MASKED, {"target": softmax_unguarded},
        found_in="many (pytorch 41508)", hidden_by="rows that all have a token",
        says="the output is not finite", unseen={"inputs": ALLOWED},
    ),
    fault(
        "a fully masked row is 0/0 in backward only", MASKED, {"target": softmax_half_guarded},
        found_in="many (pytorch 41508)", hidden_by="a loss that is finite", fails=("x",),
        places={(0, 2), (1, 2), (2, 2)}, says="not finite", unseen={"inputs": ALLOWED},
    ),
]
