"""What recurrent layers carry along, and where attention looks, as parts of a page: each is asked of the layers.

A layer that carries a state has a method ``carried`` (`tinytx.layers.recurrent`), and one that looks at something has
``attention_weights``. Both take what the layer's forward takes, so a page knows no model.
"""

import numpy as np

from tinytx.ops.recurrent import joined
from tinytx.pipelines.pages.layout import UNITS, paragraph, shown, signs, table, weights_grid
from tinytx.viz import attention_maps
from tinytx.viz.attention import watched

CARRIED = f"""A recurrent layer reads x of one position after the other, and carries a state along: h, which it also puts
out, c of an LSTM, and r, what it has just read, of a layer with a memory. |x|, |h| and so on are lengths of these vectors. Gates are shares from 0 to 1, here the mean over all
units. The last column shows the first units of h, at most {UNITS}: = below -0.5, - below -0.1, . around 0, + above 0.1 and
# above 0.5."""
TENTHS = "A digit is a weight in tenths, . is less than 0.05, and # is 0.95 or more."


def has(model, method):
    """Return whether a layer of a model has a method."""
    return any(hasattr(layer, method) for _, layer in model.named_layers())


def states(model, inputs, names):
    """Yield a table for each recurrent layer: what it reads, the state after each position, and its gates.

    Parameters
    ----------
    model : Task
    inputs : tuple of arrays
        What its body reads, a batch of one row.
    names : list of lists of str
        What stands at each position; the last list is the decoder's, if there are two.
    """
    layers = dict(model.body.named_layers())
    yield paragraph(CARRIED).lstrip()
    for path, carried in _along_calls(watched(model, "carried", *inputs)):
        read = names[-1] if path.startswith("decoder") else names[0]
        kind, r = type(layers[path.partition(",")[0]]).__name__, next(iter(carried.states.values())).shape[2]
        right = "; it reads from the right: begin with the last line" if carried.reverse else ""
        yield f"\n{path}: {kind}, {carried.x.shape[2]} numbers -> a state of {r}{right}"
        gates = [gate.partition(": ") for gate in carried.gates]
        shares = "; ".join(f"{name}, how much {share}" for name, _, share in gates)
        yield f"{shares}\n" if gates else ""
        yield table(
            ["position", "reads", "|x|", *(f"|{name}|" for name in carried.states), *(name for name, _, _ in gates), "h"],
            list(_rows(carried, read)),
        )


def _along_calls(said):
    """Yield (path, `Carried`); where a net calls a layer for one position after the other, all its calls as one."""
    calls = {}
    for path, carried in said.items():
        calls.setdefault(path.partition(",")[0], {})[path] = carried
    for path, several in calls.items():
        parts = list(several.values())
        if len(parts) > 1 and all(part.x.shape[1] == 1 for part in parts):
            yield path, joined(parts)
        else:
            yield from several.items()


def _rows(carried, names):
    """Yield a row of numbers for each position."""
    for t, name in enumerate(names):
        lengths = [np.linalg.norm(array[0, t]) for array in (carried.x, *carried.states.values())]
        at_padding = carried.mask is not None and not carried.mask[0, t]
        gates = ["" if at_padding else f"{array[0, t].mean():.3f}" for array in carried.gates.values()]
        h = next(iter(carried.states.values()))[0, t]
        yield [t, shown(name), *(f"{length:.3f}" for length in lengths), *gates, signs(h)]


def looks(model, inputs, row_names, column_names, part=""):
    """Yield the weights of the last attention whose path contains ``part``, the mean of its heads.

    Parameters
    ----------
    model : Task
    inputs : tuple of arrays
        What its body reads, a batch of one row.
    row_names, column_names : lists of str
        Of those who look, and of what they look at. What lies behind them is padding.
    part : str
    """
    maps = {path: weights for path, weights in attention_maps(model, *inputs).items() if part in path}
    path, weights = list(maps.items())[-1]  # (1, H, T, S)
    n_heads, t, s = weights.shape[1], len(row_names), len(column_names)
    heads = f", the mean of its {n_heads} heads" if n_heads > 1 else ""
    layers = f"the last of {len(maps)} layers, " if len(maps) > 1 else ""
    yield f"{layers}{path}: weights (B, H, T, S) = {weights.shape}{heads}"
    yield paragraph(TENTHS)
    yield ""
    yield weights_grid(weights[0].mean(axis=0)[:t, :s], row_names, column_names)
