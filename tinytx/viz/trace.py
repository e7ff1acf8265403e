"""One example followed through a model, forward then backward: what each call of a layer computes, is told and keeps.

Nothing in a layer knows of it. The forward is seen by a tape, through which every call of a layer goes (`Tape.call`), the
backward by methods that are set on a copy of the model. Arrays are looked at where they are, and never changed: losses and
gradients are, to the bit, those of a step that calls each layer by itself (`Tape.is_watched`). In an ordinary step one operation
may do the work of two layers; its numbers differ by rounding.
"""

import numpy as np

from tinytx.core import Layer, Parameter
from tinytx.members import members
from tinytx.viz.calls import ParameterSeen, Trace
from tinytx.viz.following import Following, Log, all_seen, followed, names_of
from tinytx.viz.tensor_seen import tensor_seen


def traced(model, *batch, dy=None, settings=None, seed=None):
    """Follow one example, or a batch, through a model; the model and its gradients do not change.

    Parameters
    ----------
    model : Layer
        With ``loss`` and ``loss_backward`` as a `tinytx.tasks.Task`, or any layer.
    *batch : arrays
        The arguments of its loss, or of its forward.
    dy : array, or tuple of arrays, optional
        Of a layer without a loss: the gradient of what it returns. If not given, standard normal numbers.
    settings : dict, optional
        Keyword arguments of its loss or forward.
    seed : int, optional
        Of dropout; without it there is none.

    Returns
    -------
    Trace

    Examples
    --------
    >>> from tinytx.layers import LayerNorm
    >>> trace = traced(LayerNorm(4, dtype=np.float64), np.random.default_rng(0).normal(size=(2, 3, 4)))
    >>> [(step.kind, trace.calls[step.call].kind) for step in trace.steps]
    [('forward', 'LayerNorm'), ('backward', 'LayerNorm')]
    """
    model, settings = model.replicate(), settings or {}
    log = Log(model)
    tape = Following(log, seed)
    for _, layer in list(model.named_layers()):  # set on a copy: the given model stays unchanged
        layer.backward = followed(layer, layer.backward)
    if hasattr(model, "loss") and hasattr(model, "loss_backward"):
        loss = _run_loss(model, batch, settings, tape)
    else:
        loss = None
        y = model(*batch, tape, **settings)
        log.listed(tape._stack, tape.owners)
        model.backward(_drawn(y) if dy is None else dy, tape)
    tape.check_empty()
    own = _own_parameters(model, list({id(call.layer): call.layer for call in log.calls}.values()))
    for call in log.calls:
        call.parameters = own[id(call.layer)]
    return Trace(log.calls, log.steps, loss, log.peak)


def _run_loss(model, batch, settings, tape):
    """Run a task's loss and its backward; the task is the first call. Return the loss."""
    log = tape.log
    call = log.begin(model, batch).call
    call.inputs = all_seen(names_of(model, len(batch), "loss"), batch)
    loss = model.loss(*batch, tape=tape, **settings)
    log.end(np.asarray(loss))
    log.listed(tape._stack, tape.owners)
    log.backward(call, model.loss_backward, np.ones_like(np.asarray(loss)), (tape,))
    call.dinputs = []
    return float(loss)


def _drawn(y):
    """Return standard normal numbers in the shape of what a layer returned."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=part.shape).astype(part.dtype) for part in (y if isinstance(y, tuple) else (y,))]
    return tuple(parts) if isinstance(y, tuple) else parts[0]


def _own_parameters(model, called):
    """Return {id of a layer that was called: a list of `ParameterSeen` of the parameters in it, but for those in layers that were called inside it}."""
    found, ids = {}, {id(layer) for layer in called}
    for path, p in model.named_parameters():
        grad = p.grad if p.has_grad else np.zeros_like(p.data)
        found[id(p)] = ParameterSeen(path, tensor_seen("w", p.data, picture=False), tensor_seen("dw", grad, picture=False))
    return {id(layer): [found[id(p)] for p in _own(layer, ids)] for layer in called}


def _own(layer, called):
    inside = []
    for path, member in members(layer, Layer, Parameter):
        if isinstance(member, Layer):
            inside += [f"{path}."] if path and id(member) in called else []
        elif not path.startswith(tuple(inside)):
            yield member
