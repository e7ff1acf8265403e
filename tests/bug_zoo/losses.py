"""Faults in the loss: what the gradient is divided by, what is left out, what is added to hide an infinity."""

import numpy as np

from bug_zoo.specimen import MUTANT, Specimen, draw, fault
from tinytx import ops


def loss(logits, targets):
    """Return the mean cross-entropy of the targets that are not -100."""
    return ops.cross_entropy(logits, targets)


def smoothed(logits, targets):
    """Return it with a label smoothing of 0.1."""
    return ops.cross_entropy(logits, targets, label_smoothing=0.1)


def loss_backward(dloss, saved):
    return ops.cross_entropy_backward(dloss, saved)


def log_of_p_plus_eps(logits, targets):
    """The mean of -log(p + 1e-8), for a p that may underflow.

    Found in numpyGPT and numpy-gpt, with the gradient p - q of the loss without eps, hidden by being off by little: by
    eps/p, where the model is not yet sure. Where it is, and wrong, p is 0: the loss is 18.4 however wrong it is.
    """
    p, _ = ops.softmax(logits)
    picked = np.take_along_axis(p, targets[..., None], axis=-1)
    return -np.log(picked + 1e-8).mean(), ops.cross_entropy(logits, targets)[1]


def not_divided(dloss, saved):
    """The gradient of a sum, of a loss that is a mean over all positions.

    Found in ManualTransformer, hidden by Adam, which is blind to scale. Clipping is not, and neither is weight decay.
    """
    return ops.cross_entropy_backward(dloss, saved) * saved.count


def divided_by_batch(dloss, saved):
    """The gradient divided by B, of a loss that is a mean over B T positions.

    Found in numpy-is-all-you-need, hidden by Adam, and by T = 1.
    """
    return ops.cross_entropy_backward(dloss, saved) * (saved.count / len(saved.logits))


def smoothing_forgotten(dloss, saved):
    """The gradient p - q with the one-hot q, of a loss with a smoothed one.

    A mutant, hidden by label smoothing 0.
    """
    return ops.cross_entropy_backward(dloss, saved._replace(label_smoothing=0.0))


def padding_counted(dloss, saved):
    """The gradient of all rows, of a loss that ignores padding: the padded ones are taught to be token 0.

    A mutant, hidden by sequences of one length.
    """
    targets = np.maximum(saved.targets, 0).reshape(saved.logits.shape[:-1])
    return ops.cross_entropy_backward(dloss, ops.cross_entropy(saved.logits, targets, count=saved.count)[1])


def divided_by_all(dloss, saved):
    """The gradient divided by all rows, of a loss that is a mean over those which are not padding.

    A mutant, hidden by sequences of one length.
    """
    return ops.cross_entropy_backward(dloss, saved) * (saved.count / saved.targets.size)


LOGITS = draw(3, 4, 5)
TARGETS = np.array([[0, 2, 1, 4], [3, 3, 0, 1], [2, 4, 4, 0]])
PADDED_TARGETS = np.where(np.arange(4) < [[4], [2], [3]], TARGETS, -100)

LOSS = Specimen(loss, (LOGITS, TARGETS), loss_backward)
SMOOTHED = Specimen(smoothed, (LOGITS, TARGETS), loss_backward)
PADDED = Specimen(loss, (LOGITS, PADDED_TARGETS), loss_backward)
UNPADDED = {"inputs": (LOGITS, TARGETS)}

FAULTS = [
    fault(
        "log(p + eps)", LOSS, {"target": log_of_p_plus_eps},
        found_in="numpyGPT, numpy-gpt", hidden_by="a bias of little", fails=("logits",), says="right to", unseen={},
    ),
    fault(
        "a mean loss, its gradient not divided", LOSS, {"backward": not_divided},
        found_in="ManualTransformer", hidden_by="Adam, which is blind to scale", fails=("logits",),
        says="a factor 12 = 3 x 4, sizes of this problem too many",
    ),
    fault(
        "a mean loss, its gradient divided by B only", LOSS, {"backward": divided_by_batch},
        found_in="numpy-is-all-you-need", hidden_by="Adam, and T = 1", fails=("logits",),
        says="a factor 4, a size of this problem too many", unseen={"inputs": (LOGITS[:, :1], TARGETS[:, :1])},
    ),
    fault(
        "label smoothing forgotten in the gradient", SMOOTHED, {"backward": smoothing_forgotten},
        found_in=MUTANT, hidden_by="label smoothing 0", fails=("logits",), unseen={"target": loss},
    ),
    fault(
        "padding not ignored in the gradient", PADDED, {"backward": padding_counted},
        found_in=MUTANT, hidden_by="sequences of one length", fails=("logits",),
        places={(1, 2), (1, 3), (2, 3)}, unseen=UNPADDED,
    ),
    fault(
        "gradient divided by all rows, padding included", PADDED, {"backward": divided_by_all},
        found_in=MUTANT, hidden_by="sequences of one length", fails=("logits",),
        says="a constant factor: analytic = 0.75 x numeric", unseen=UNPADDED,
    ),
]
