"""The page of a model that points at elements of its input, one after the other (`tinytx.models.PointerNetwork`)."""

from typing import NamedTuple

import numpy as np

from tinytx.core import Layer
from tinytx.pipelines.pages.explanation import Explanation, likeliest, losses, refuse
from tinytx.pipelines.pages.layout import heading, paragraph, shown, table
from tinytx.pipelines.pages.states import looks, states
from tinytx.tasks import Pointers
from tinytx.wording import counted

START = "<start>"  # what the decoder reads first


class Pointing(NamedTuple):
    """A trained `Pointers`.

    Examples
    --------
    >>> print(explain(Pointing(model), "0.7 0.2 0.5", target="1 2 0").page)  # doctest: +SKIP
    """

    model: Layer
    tasks = (Pointers,)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint."""
        return cls(model)

    def read(self, text):
        """Return the elements (1, S, F) of a text, with blanks between elements and commas between an element's numbers.

        Raises
        ------
        ValueError
            If the text has none, something is not a finite number, or an element has not F numbers.
        """
        n, rows = self.model.config.n_features, [part.split(",") for part in text.split()]
        form = f"expected elements of {counted(n, 'number')}, with blanks between them" + (" and commas in them" if n > 1 else "")
        if not rows or any(len(row) != n for row in rows):
            wrong = next((",".join(row) for row in rows if len(row) != n), "")
            raise ValueError(f"the text has {wrong!r:.40}, {form}, such as '{' '.join([','.join(['0.7'] * n)] * 2)}'")
        try:
            elements = np.array(rows, float)[None]
        except ValueError as error:
            raise ValueError(f"the text is {text!r:.60}, {form}: {error}") from None
        if not np.isfinite(elements).all():
            raise ValueError(f"the text is {text!r:.60}, {form}: not all are finite")
        return elements.astype(self.model.parameters()[0].data.dtype)


def positions(text, n):
    """Return an order (1, T) of n elements."""
    parts = text.split()
    if not parts or len({*parts}) != len(parts) or not {*parts} <= {str(i) for i in range(n)}:
        raise ValueError(f"the target is {text!r:.60}, expected different positions from 0 to {n - 1}, with blanks between them")
    return np.array([[int(part) for part in parts]])


def explain_pointing(trained, text, target=None, tokens=None):
    """Return the page of a list of elements; ``target`` is the right order, positions from 0."""
    model, elements = trained.model, trained.read(text)
    refuse(model, tokens=tokens)
    own = target is None
    order = model.body.point(elements) if own else positions(target, elements.shape[1])
    names = text.split()
    read = [START, *(names[i] for i in order[0])]
    parts = "\n".join(_page(model, elements, order, names, read, own))
    options = {"heads": ["weights"], "axes": ("the element that is pointed at", "all elements")}
    return Explanation(parts, [], model, (elements, order), (names, read[:-1]), read[-1], options)


def _page(model, elements, order, names, read, own):
    logits, body = model(elements, order)[0], type(model.body).__name__  # (T, S)
    labels = [f"{i}:{name}" for i, name in enumerate(names)]
    yield f"A {body}, width D = {model.config.d_model}. Shapes are those of a batch of one list, B = 1."
    yield heading(f"1. The encoder reads the elements: elements (B, S, F) = {elements.shape}")
    yield table(["position", "element"], [*enumerate(names)])
    yield heading(f"2. The decoder points at one after the other: order (B, T) = {order.shape}")
    rows = [[t, read[t], "->", int(i), names[i]] for t, i in enumerate(order[0])]
    yield table(["step", "reads", "", "points at", "element"], rows)
    yield paragraph(
        "It reads the element that it pointed at last. What has been pointed at is left out afterwards: its weight is 0."
        + (" (This order is the model's own; --target gives another.)" if own else "")
    )
    yield heading("3. What is carried along")
    yield from states(model, (elements, order), (names, read[:-1]))
    yield heading("4. Where it points: the elements (across) in each step (down)")
    yield from looks(model, (elements, order), [*map(str, range(order.shape[1]))], labels)
    yield heading(f"5. The loss, step by step: scores (B, T, S) = {(1, *logits.shape)}")
    lines, mean = losses(logits, read[:-1], order[0], labels)
    yield lines
    yield f"\nMean over {counted(order.size, 'step')}: {mean:.4f} nats"
    yield likeliest(logits, read[:-1], labels)
    yield f"\nOrder: {' '.join(shown(name) for name in read[1:])}"
