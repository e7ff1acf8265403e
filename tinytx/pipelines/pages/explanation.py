"""What all pages of `explain` share: the page itself with its picture, what is read, losses, likeliest words, decoding."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_whole
from tinytx.core import Layer
from tinytx.decoding.choose import log_normaliser
from tinytx.pipelines.pages.layout import ALLOWED, HIDDEN, paragraph, shown, table
from tinytx.wording import counted

LIKELIEST = 5  # words that stand beside a position
NORMS = {"pre": "pre-norm, x + f(norm(x))", "post": "post-norm, norm(x + f(x))"}
MASKS = f"""A mask is True, drawn {ALLOWED}, where a position (down) may look at another (across), and False, drawn
{HIDDEN}, where it may not. It is broadcast to the shape of the attention weights, (B, H, queries, keys)."""


def _draw_attention(explanation, path):
    """Draw the attention weights of all layers and heads."""
    from tinytx.viz import attention_maps, attention_picture  # draws with matplotlib: only where it is asked for

    maps = attention_maps(explanation.model, *explanation.inputs)
    attention_picture(path, maps, *explanation.names, next_word=explanation.next_word, **explanation.options)


class Explanation(NamedTuple):
    """A page, and what a picture of the attention needs.

    Attributes
    ----------
    page : str
    notes : list of str
        Lines about words that the model does not know.
    model : Layer
    inputs : tuple of arrays
        What the model read, without padding: a batch of one row.
    names : tuple of lists of str
        What stands at each position of each, as `tinytx.viz.attention_picture` takes it.
    next_word : str
        What comes after the last of them.
    options : dict
        Further options of the picture.
    drawing : function (explanation, path)
        Draws the picture: the attention weights of all layers and heads, if not given.
    """

    page: str
    notes: list
    model: Layer
    inputs: tuple
    names: tuple
    next_word: str
    options: dict = {}
    drawing: Callable = _draw_attention

    def draw(self, path):
        """Draw the picture.

        Raises
        ------
        ValueError
            If the model has no attention.
        """
        self.drawing(self, path)


def refuse(model, **given):
    """Raise ValueError if an argument is given that the page of this model does not take."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"explain: {name} is given, and {type(model.body).__name__} has no use for it: leave it out")


def n_steps(asked, default, most=None):
    """Return the number of steps of decoding: ``asked``, or ``default`` if it is None; ``most`` is None without a limit."""
    if asked is None:
        return default
    limit = {} if most is None else {"most": most, "remedy": ", the room that the model's max_len leaves"}
    return check_whole("explain", "tokens", asked, 1, **limit)


def size(body, layers, row):
    """Return a paragraph on what a body is made of; ``layers`` says how many it has, ``row`` what a batch's row is."""
    config = body.config
    name = type(body).__name__
    parts = [f"A{'n' * (name[0] in 'AEIO')} {name} of {layers}"]
    parts += [counted(config.n_heads, "head")] if hasattr(config, "n_heads") else []
    parts += [f"width D = {config.d_model}"]
    parts += [NORMS[config.norm_order]] if hasattr(config, "norm_order") else []
    batch = f"Shapes are those of a batch of one {row}, B = 1; a space is written _."
    return paragraph(f"{', '.join(parts)}. {batch}").lstrip()


def shift(ids, names, n_words):
    """Return a table of what is read beside what is to be said; behind ``n_words`` there is padding."""
    rows = []
    for t, (read, label) in enumerate(zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True)):
        remark = "" if t < n_words else "padding: counts for nothing"
        rows.append([t, shown(names[t]), read, "->", shown(names[t + 1]), label, remark])
    return "\n" + table(["position", "reads", "id", "", "is to say", "id", ""], rows)


def losses(logits, read, labels, names):
    """Return a table of -ln p of each label, and the mean.

    Parameters
    ----------
    logits : array (T, V)
    read : list of T str
    labels : integers (T,)
    names : list of V str
    """
    log_probs = logits - log_normaliser(logits)  # (T, V)
    rows = []
    for t, (word, label) in enumerate(zip(read, labels, strict=True)):
        best, p = int(log_probs[t].argmax()), log_probs[t, label]
        likelier = "" if best == label else f"{shown(names[best])} ({np.exp(log_probs[t, best]):.4f})"
        rows.append([t, shown(word), shown(names[label]), f"{np.exp(p):.4f}", f"{abs(p):.4f}", likelier])
    lines = table(["position", "reads", "is to say", "p", "-ln p", "likelier"], rows)
    return lines, float(-log_probs[np.arange(len(labels)), labels].mean())


def likeliest(logits, read, names):
    """Return a table of the likeliest words of each position, with their probabilities; arguments as for `losses`."""
    n = min(LIKELIEST, len(names))
    rows = []
    for t, (word, row) in enumerate(zip(read, np.exp(logits - log_normaliser(logits)), strict=True)):
        best = np.argsort(-row, kind="stable")[:n]
        rows.append([t, shown(word), *(f"{shown(names[i])} {row[i]:.4f}" if row[i] else "" for i in best)])
    return "\nThe likeliest, with their p:\n\n" + table(["position", "reads", *map(str, range(1, n + 1))], rows)


def decoding_steps(decoded, tokenizer, text):
    """Return a table of what each step of decoding was fed and what it said; ``text`` is what stood there before."""
    rows, said = [], []
    for number, step in enumerate(decoded.steps, start=1):
        said.append(int(step.chosen[0]))
        fed = tokenizer.tokens(step.fed[0])
        fed = shown(fed[0]) if len(fed) == 1 else f"the text, {len(fed)} tokens"
        so_far = shown((text + tokenizer.decode(said))[-30:])
        p = f"{np.exp(step.log_probs[0]):.4f}"
        rows.append([number, str(step.fed.shape), fed, "->", shown(tokenizer.names[said[-1]]), p, so_far])
    return table(["step", "ids fed", "fed", "", "says", "p", "so far"], rows)
