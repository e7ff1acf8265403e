"""The page of a model that continues a text: what it reads, its mask or its states, the loss, and generation."""

from itertools import count

import numpy as np

from tinytx.decoding import greedy
from tinytx.layers import causal_mask
from tinytx.pipelines.pages.explanation import (
    MASKS,
    Explanation,
    decoding_steps,
    likeliest,
    losses,
    n_steps,
    shift,
    size,
)
from tinytx.pipelines.pages.layout import grid, heading, paragraph, words
from tinytx.pipelines.pages.states import has, states
from tinytx.pipelines.texts import encode_known, known_form, unknown_note
from tinytx.tasks import NextToken
from tinytx.viz import attention_maps
from tinytx.wording import counted

GENERATED = 10  # tokens, if not asked otherwise


def explain_text(writer, text, target=None, tokens=None):
    """Return the page of a model that says the next token: input and labels, mask or states, loss, generation."""
    model, tokenizer = writer
    if target is not None:
        raise ValueError("explain: target is for a translator; the text of a writer is its target: leave it out")
    if not has(model, "attention_weights") and not has(model, "carried"):
        kind, remedy = type(model.body).__name__, "train gpt or char_rnn"
        raise ValueError(f"explain: {kind} has no attention and no state; the page shows masks, or what is carried along: {remedy}")
    text, most = known_form(tokenizer, text), getattr(model.config, "max_len", None)
    ids = encode_known(tokenizer, text, "the text")[None]  # (1, T + 1)
    if not 2 <= ids.size <= (most or ids.size):
        expected = f"2 to the model's max_len, {most}" if most else "at least 2"
        raise ValueError(f"the text has {counted(ids.size, 'token')}, expected {expected}")
    room = most and most - ids.size + 1
    n_tokens, names = n_steps(tokens, min(GENERATED, room or GENERATED), room), tokenizer.tokens(ids[0])
    page = "\n".join(_writer_page(model, tokenizer, text, ids, n_tokens))
    return Explanation(page, unknown_note(tokenizer, text), model, (ids[:, :-1],), (names[:-1],), names[-1])


def _writer_page(model, tokenizer, text, ids, n_tokens):
    inputs, labels, names = ids[:, :-1], ids[:, 1:], tokenizer.tokens(ids[0])
    words_logits = NextToken.forward.__get__(model) if isinstance(model, NextToken) else model  # also where it says classes
    t, logits, numbers = labels.size, words_logits(ids), count(1)

    yield size(model.body, counted(model.config.n_layers, "layer"), "text")
    yield heading(f"{next(numbers)}. The model reads the text and says it one place early: text (B, T + 1) = {ids.shape}")
    yield words(names, ids[0])
    yield paragraph(
        "In training it reads text[:, :-1] and is to say text[:, 1:], at each position the token after the one that it "
        "reads. There is no <start>: the first token is given, and nothing says it."
    )
    yield shift(ids[0], names, t)

    if has(model, "attention_weights"):
        yield heading(f"{next(numbers)}. The mask")
        yield paragraph(MASKS).lstrip()
        yield f"\nSelf-attention: causal (T, T) = {(t, t)}, the same for all texts and heads\n"
        yield grid(causal_mask(t), names[:-1], names[:-1])
        yield paragraph(
            "No position sees the token that it is to say, so all are trained in one pass. All texts of a batch are "
            "equally long: there is no padding, and no mask for it."
        )
        for seen, paths in _narrower(model, inputs):
            yield f"\nLess is seen in {', '.join(paths)}, which has a pattern of its own; weights above 0 are at\n"
            yield grid(seen, names[:-1], names[:-1])
    if has(model, "carried"):
        yield heading(f"{next(numbers)}. What is carried along")
        yield from states(model, (inputs,), (names[:-1],))

    yield heading(f"{next(numbers)}. The loss, token by token: logits (B, T, V) = {(1, t, logits.shape[2])}")
    lines, mean = losses(logits[0, :-1], names[:-1], labels[0], tokenizer.names)
    yield lines
    yield f"\nMean over {counted(t, 'token')}: {mean:.4f} nats, perplexity {np.exp(mean):.3f}"
    yield likeliest(logits[0], names, tokenizer.names)

    yield heading(f"{next(numbers)}. Generation: it starts from the text, and goes on with what it said itself")
    yield "The likeliest token each time (greedily; the command sample draws at random):\n"
    yield decoding_steps(greedy(model, ids, n_tokens, trace=True), tokenizer, text)
    yield paragraph(
        f"It knows no <stop>, and ends where it is told to, here after {counted(n_tokens, 'token')}. The first step "
        "feeds the whole text, each later one a single token: what the layers need of those before, keys and values or a "
        "recurrent state, is kept."
    )


def _narrower(model, inputs):
    """Return (booleans (T, T), paths of layers) where layers give some earlier positions no weight, as those with a window."""
    groups = {}
    for path, weights in attention_maps(model, inputs).items():
        seen = weights[0].max(axis=0) > 0
        if (causal_mask(len(seen)) & ~seen).any():
            groups.setdefault(seen.tobytes(), (seen, []))[1].append(path)
    return list(groups.values())
