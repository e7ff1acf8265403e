"""The page of a model that copies bits by way of a memory (`tinytx.models.NTM`): what it reads and says, where its heads are."""

from typing import NamedTuple

import numpy as np

from tinytx.core import Layer
from tinytx.data import copies
from tinytx.pipelines.pages.explanation import Explanation, refuse
from tinytx.pipelines.pages.layout import heading, paragraph, table, weights_grid
from tinytx.pipelines.pages.states import TENTHS, states
from tinytx.tasks import Bits
from tinytx.viz.attention import watched
from tinytx.viz.memory_picture import moves_of
from tinytx.wording import counted

STEERED = """A head compares its key with all rows; beta says how much the most similar row is preferred. It takes the share g of the weights by content,
and the share 1 - g of its weights of the step before. These it moves, by so many rows as the columns -1, 0 and +1 say, in shares
that add up to 1, on a ring. gamma above 1 draws the weights together, since the shift has spread them. A head that goes through the memory row by row has
a small g and a large share at +1; one that jumps to a row that it knows by its content has a g near 1."""


class Copying(NamedTuple):
    """A trained `Bits` that copies sequences: it reads them with the marks of `tinytx.data.copies`.

    Examples
    --------
    >>> print(explain(Copying(model), "101100 010011").page)  # doctest: +SKIP
    """

    model: Layer
    tasks = (Bits,)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if the model reads something else than bits and two marks."""
        n, width = model.n_bits, model.config.d_in
        if width != n + 2:
            facts = f"{place}: the model says {counted(n, 'bit')} and reads {width} numbers"
            raise ValueError(f"{facts}, expected {n + 2}, the bits and two marks, as of the recipe ntm")
        return cls(model)

    def read(self, text):
        """Return the sequence (1, N, K) of a text: elements of 0 and 1, with blanks between them."""
        rows, n = text.split(), self.model.n_bits
        wrong = next((row for row in rows if len(row) != n or {*row} - {"0", "1"}), None if rows else "")
        if wrong is not None:
            example = f"{'10' * n:.{n}} {'01' * n:.{n}}"
            raise ValueError(f"the text has {wrong!r:.40}, expected elements of {counted(n, 'bit')}, such as '{example}'")
        return np.array([[[int(bit) for bit in row] for row in rows]])


def steps_of(text, sequence):
    """Return what the model reads in each step, a list of str."""
    return ["mark", *text.split(), *["copy"] * (sequence.shape[1] + 1)]


def explained_heads(n_reads):
    """Return the names of the heads: those that read, and the one that writes.

    >>> explained_heads(1), explained_heads(2)
    (['reads', 'writes'], ['reads (1)', 'reads (2)', 'writes'])
    """
    return [f"reads{f' ({i})' if n_reads > 1 else ''}" for i in range(1, n_reads + 1)] + ["writes"]


def explain_copying(trained, text, target=None, tokens=None):
    """Return the page of a sequence of bits to copy."""
    model, sequence = trained.model, trained.read(text)
    refuse(model, target=target, tokens=tokens)
    x, bits = copies(sequence, model.head.weight.data.dtype)
    steps = steps_of(text, sequence)
    (heads_were,) = watched(model, "steering", x).values()
    rows, heads = [str(i) for i in range(heads_were.w.shape[3])], explained_heads(heads_were.w.shape[1] - 1)
    page = "\n".join(_page(model, x, bits, steps, heads_were, heads, rows))
    options = {"steering": heads_were, "steps": steps, "heads": heads}
    return Explanation(page, [], model, (x,), (rows, ["", *steps[:-1]]), steps[-1], options, _draw_heads)


def _draw_heads(explanation, path):
    """Draw where the heads were, and what brought them there."""
    from tinytx.viz import memory_picture  # draws with matplotlib: only where it is asked for

    memory_picture(path, **explanation.options)


def _page(model, x, bits, steps, heads_were, heads, rows):
    weights = heads_were.w[0]  # (H + 1, T, N)
    config, logits = model.config, model(x)[0].astype(float)  # (T, K)
    yield paragraph(
        f"{type(model.body).__name__} with {counted(config.d_controller, 'unit')} and a memory of {config.n_rows} rows of "
        f"{counted(config.d_row, 'number')}. Shapes are those of a batch of one sequence, B = 1."
    ).lstrip()
    yield heading(f"1. What goes in, and what is to be said: x (B, T, D) = {x.shape}")
    yield table(["step", "x", "reads", "is to say"], [[t, _bits(x[0, t]), *pair] for t, pair in enumerate(zip(steps, map(_said, bits[0])))])
    yield paragraph(
        "The last two numbers of x are marks: the sequence begins, and it is to be copied. While it is copied the model reads "
        "no bits, so what it says comes from its memory."
    )
    yield heading("2. What is carried along beside the memory")
    yield from states(model, (x,), (steps,))
    yield heading(f"3. Where the heads are: weights (B, H, T, N) = {(1, *weights.shape)}")
    best = [[f"{int(row.argmax())} ({row.max():.4f})" for row in head] for head in weights]
    yield table(["step", "reads", *(f"{name} row" for name in heads)], [[t, name, *places] for t, (name, *places) in enumerate(zip(steps, *best))])
    yield paragraph("The row with the largest weight of each head, and this weight; below all of them. " + TENTHS)
    for name, head in zip(heads, weights, strict=True):
        yield f"\n{name}: rows of the memory (across) in each step (down)\n"
        yield weights_grid(head, steps, rows)
    yield heading("4. What brought the heads there")
    yield paragraph(STEERED)
    for n, name in enumerate(heads):
        beta, content, gate, shares, gamma, w = (array[0, n] for array in heads_were)
        yield f"\n{name}:\n"
        yield table(
            ["step", "reads", "beta", "by content row", "g", *moves_of(heads_were), "gamma", "row"],
            [[t, read, f"{beta[t]:.3f}", f"{content[t].argmax()} ({content[t].max():.4f})", f"{gate[t]:.3f}",
              *(f"{share:.3f}" for share in shares[t]), f"{gamma[t]:.2f}", int(w[t].argmax())] for t, read in enumerate(steps)],
        )  # fmt: skip
    yield heading(f"5. The loss, step by step: logits (B, T, K) = {(1, *logits.shape)}")
    asked = bits[0] != model.ignored
    costs = np.where(asked, np.logaddexp(0, np.where(bits[0] == 1, -logits, logits)), 0)  # -ln p of each bit
    said = [[t, _said(bits[0, t]), _bits(logits[t] > 0), f"{np.exp(-costs[t].sum()):.4f}", f"{costs[t].sum():.4f}"]
            for t in np.flatnonzero(asked.any(axis=1)).tolist()]  # fmt: skip
    yield table(["step", "is to say", "says", "p", "-ln p"], said)
    yield f"\nMean over {counted(int(asked.sum()), 'bit')}: {costs.sum() / asked.sum():.4f} nats"


def _bits(row):
    return "".join(str(int(bit)) for bit in row)


def _said(bits):
    """Return bits as text, nothing where they do not count."""
    return "" if bits[0] < 0 else _bits(bits)
