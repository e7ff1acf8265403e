"""One example on its way through a trained model, with every word and mask, as a page of text.

What people ask of such models most: how is the decoder fed, what is shifted, which shape has the mask, what is the loss
of, where does decoding start and where does it stop. The page answers with the user's own example.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_text, check_whole
from tinytx.core import Layer
from tinytx.decoding import greedy
from tinytx.decoding.choose import log_normaliser
from tinytx.layers import causal_mask
from tinytx.pipelines.page import ALLOWED, HIDDEN, grid, heading, paragraph, shown, table, words
from tinytx.pipelines.texts import encode_known, known_form, unknown_note
from tinytx.wording import counted

PADDING = 2  # places that are added to the example, so that there is some to see
NORMS = {"pre": "pre-norm, x + f(norm(x))", "post": "post-norm, norm(x + f(x))"}
MASKS = f"""A mask is True, drawn {ALLOWED}, where a position (down) may look at another (across), and False, drawn
{HIDDEN}, where it may not. It is broadcast to the shape of the attention weights, (B, H, queries, keys)."""

RECURRENT = """Neither side looks at itself: a recurrent layer reads one word after the other and carries a state along. So
no position of the decoder knows a later word. At padding of the source the state stays as it is."""


class Explanation(NamedTuple):
    """A page, and what a picture of the attention needs.

    Attributes
    ----------
    page : str
    notes : list of str
        Lines about words that the model does not know.
    model : Layer
    inputs : tuple of int arrays (1, T)
        What the model read, without padding.
    names : tuple of lists of str
        The tokens of each.
    next_word : str
        The token after the last input.
    """

    page: str
    notes: list
    model: Layer
    inputs: tuple
    names: tuple
    next_word: str

    def draw(self, path):
        """Draw the attention weights of all layers and heads."""
        from tinytx.viz import attention_maps, attention_picture  # draws with matplotlib: only where it is asked for

        attention_picture(path, attention_maps(self.model, *self.inputs), *self.names, next_word=self.next_word)


def explain(trained, text, target=None, tokens=None):
    """Return the `Explanation` of one text.

    Parameters
    ----------
    trained : Translator or Writer
    text : str
        What a Translator translates; what a Writer reads.
    target : str, optional
        The right translation; without it, the model's own.
    tokens : int, optional
        Steps of decoding at most; if not given, as many as the model can before ``<stop>``, or 10 for a Writer.

    Raises
    ------
    ValueError
        If a text is empty, unknown to the model or longer than it reads, or ``tokens`` out of range.
    """
    for name, value in (("text", text), ("target", target)):
        if value is not None:
            check_text("explain", name, value, empty=False)
    if hasattr(trained, "target_tokenizer"):
        return _explain_translator(trained, text, target, tokens)
    if target is not None:
        raise ValueError("explain: target is for a translator; the text of a writer is its target: leave it out")
    return _explain_writer(trained, text, tokens)


# ---------------------------------------------------------------------------------------- an encoder-decoder


def _explain_translator(translator, text, target, tokens):
    """Return the page of an encoder-decoder: encoder, decoder, masks, loss, decoding."""
    model, source_tokenizer, target_tokenizer = translator
    if not hasattr(model.body, "encode"):
        kind = type(model.body).__name__
        raise ValueError(f"explain: {kind} is one stack; the page shows an encoder and a decoder: train transformer or t5")
    config, text = model.config, known_form(source_tokenizer, text.strip())
    own, target = target is None, known_form(target_tokenizer, (target or "").strip())
    ids = translator.encode(text)
    if not len(ids):
        raise ValueError("the text holds no token: give at least one word")
    n_tokens = _n_tokens(tokens, config.max_len, config.max_len)
    decoded = greedy(model, ids[None], n_tokens, trace=True)
    right = decoded.words()[0] if own else encode_known(target_tokenizer, target, "the target")
    if own:  # a model that has learned little may not stop, or say padding
        right = right[right != config.pad_id][: config.max_len - 1]
    if len(right) >= config.max_len:
        facts = f"the target has {counted(len(right), 'token')}"
        raise ValueError(f"{facts}, and after <start> the decoder reads at most {config.max_len - 1}")
    target_ids = np.concatenate([[config.start_id], right, [config.stop_id]])
    n_padding = min(PADDING, config.max_len - max(len(ids), len(target_ids) - 1))
    padding = np.full(n_padding, config.pad_id)
    sources, targets = (np.concatenate([row, padding])[None] for row in (ids, target_ids))  # (1, S), (1, T + 1)
    names = source_tokenizer.tokens(sources[0]), target_tokenizer.tokens(targets[0])
    parts = [
        _size(model.body, _layers(config), "pair"),
        *_encoder_page(sources, names[0], n_padding),
        *_decoder_page(targets, names[1], n_padding, own),
        *_masks_page(model, sources, *names),
        *_loss_page(model, sources, targets, n_padding, target_tokenizer),
        *_decoding_page(decoded, model.body.encode(ids[None]).shape, n_tokens, target_tokenizer),
    ]
    notes = unknown_note(source_tokenizer, text) + unknown_note(target_tokenizer, target)
    s, t = len(ids), len(right) + 1
    inputs, shown_names = (sources[:, :s], targets[:, :t]), (names[0][:s], names[1][:t])
    return Explanation("\n".join(parts), notes, model, inputs, shown_names, names[1][t])


def _layers(config):
    """Return how many layers each side has."""
    n = getattr(config, "n_layers", None)
    return f"{n or config.n_encoder_layers} + {n or config.n_decoder_layers} layers"


def _encoder_page(source, names, n_padding):
    yield heading(f"1. The encoder reads the whole source: source (B, S) = {source.shape}")
    yield words(names, source[0])
    if n_padding:
        yield paragraph(
            f"It needs no <start> and no <stop>. The last {n_padding} places are padding, added for this page: in a "
            "batch, shorter sources are filled up to the length of the longest, and a mask hides it (see 3)."
        )


def _decoder_page(target, names, n_padding, own):
    yield heading(f"2. The decoder reads the target, one place late: target (B, T + 1) = {target.shape}")
    yield words(names, target[0])
    yield paragraph(
        "In training the decoder is fed the right words, whatever it would have said itself (teacher forcing). It "
        "reads target[:, :-1] and is to say target[:, 1:], at each position the word after the one that it reads: the "
        "first word where it reads <start>, and <stop> where it reads the last."
        + (" (This target is the model's own translation; --target gives another.)" if own else "")
    )
    yield _shift(target[0], names, len(target[0]) - 1 - n_padding)


def _masks_page(model, source, source_names, target_names):
    """Yield the masks of the attentions that the model has: of each text to itself, and of the target to the source."""
    t, s, mask = len(target_names) - 1, len(source_names), model.body.source_mask(source)
    across = ["cross_attention" in path for path, layer in model.named_layers() if hasattr(layer, "attention_weights")]
    yield heading("3. The masks")
    yield paragraph(RECURRENT if all(across) else MASKS).lstrip()
    if across and all(across):
        yield paragraph(MASKS)
    if not all(across):
        yield f"\nEncoder, self-attention: source_mask (B, 1, 1, S) = {mask.shape},"
        yield f"one row for all {s} queries and all heads\n"
        yield grid(mask[0, 0], ["each"], source_names)
        yield f"\nDecoder, self-attention: causal (T, T) = {(t, t)}, the same for all pairs and heads\n"
        yield grid(causal_mask(t), target_names[:-1], target_names[:-1])
        yield paragraph(
            "No position sees the word that it is to say, so all are trained in one pass. Padding stands behind the words, "
            "where this mask hides it from them."
        )
    if any(across):
        yield f"\nDecoder, cross-attention: source_mask, (B, 1, 1, S) = {mask.shape},"
        yield f"one row for all {t} queries: each may look at the whole source, and at no padding\n"
        yield grid(mask[0, 0], ["each"], source_names)


def _loss_page(model, source, target, n_padding, tokenizer):
    inputs, labels = target[:, :-1], target[:, 1:]
    n = labels.size - n_padding
    logits = model(source, inputs)
    yield heading(f"4. The loss, word by word: logits (B, T, V) = {logits.shape}")
    lines, mean = _losses(logits[0, :n], inputs[0], labels[0, :n], tokenizer)
    yield lines
    yield f"\nMean over {counted(n, 'word')}, padding left out: {mean:.4f} nats, perplexity {np.exp(mean):.3f}"
    loss = model.loss(source, target)
    if share := model.loss_settings.label_smoothing:
        form = "divergence" if model.loss_settings.loss_form == "kl_divergence" else "cross-entropy"
        yield f"In training, label smoothing {share:g} makes it a {form} of {loss:.4f} nats"
    if n_padding:
        alone = model.loss(source[:, :-n_padding], target[:, :-n_padding])
        yield f"What padding changes: model.loss is {loss:.6f} with it, and {alone:.6f} without"


def _decoding_page(decoded, shape, n_tokens, tokenizer):
    yield heading("5. Decoding: the target is unknown now, so the decoder reads its own words")
    yield f"memory = encode(source), an array {shape}: computed once."
    yield "Then, from <start> alone, the likeliest word each time (greedily):\n"
    yield _steps(decoded, tokenizer, "")
    ended = decoded.ended[0]
    end = f"says <stop>, in step {len(decoded.steps)}" if ended else f"has said {counted(n_tokens, 'word')}, the limit"
    yield paragraph(
        f"It stops because it {end}. Each step feeds one word: what the layers need of those before, keys and values or "
        "a recurrent state, is kept, and the result is that of feeding all of them again."
    )
    yield f"\nTranslation: {tokenizer.decode(decoded.ids[0])}    (ln p = {decoded.log_probs[0]:.3f})"


# ---------------------------------------------------------------------------------------- a decoder alone


def _explain_writer(writer, text, tokens):
    """Return the page of a GPT: input and labels, mask, loss, generation."""
    model, tokenizer = writer
    if not any(hasattr(layer, "attention_weights") for _, layer in model.named_layers()):
        kind = type(model.body).__name__
        raise ValueError(f"explain: {kind} has no attention; the page shows masks and where attention looks: train a GPT")
    text, most = known_form(tokenizer, text), model.config.max_len
    ids = encode_known(tokenizer, text, "the text")[None]  # (1, T + 1)
    if not 2 <= ids.size <= most:
        raise ValueError(f"the text has {counted(ids.size, 'token')}, expected 2 to the model's max_len, {most}")
    room = most - ids.size + 1
    n_tokens, names = _n_tokens(tokens, min(10, room), room), tokenizer.tokens(ids[0])
    page = "\n".join(_writer_page(model, tokenizer, text, ids, n_tokens))
    return Explanation(page, unknown_note(tokenizer, text), model, (ids[:, :-1],), (names[:-1],), names[-1])


def _writer_page(model, tokenizer, text, ids, n_tokens):
    inputs, labels, names = ids[:, :-1], ids[:, 1:], tokenizer.tokens(ids[0])
    t, logits = labels.size, model(inputs)

    yield _size(model.body, counted(model.config.n_layers, "layer"), "text")
    yield heading(f"1. The model reads the text and says it one place early: text (B, T + 1) = {ids.shape}")
    yield words(names, ids[0])
    yield paragraph(
        "In training it reads text[:, :-1] and is to say text[:, 1:], at each position the token after the one that it "
        "reads. There is no <start>: the first token is given, and nothing says it."
    )
    yield _shift(ids[0], names, t)

    yield heading("2. The mask")
    yield paragraph(MASKS).lstrip()
    yield f"\nSelf-attention: causal (T, T) = {(t, t)}, the same for all texts and heads\n"
    yield grid(causal_mask(t), names[:-1], names[:-1])
    yield paragraph(
        "No position sees the token that it is to say, so all are trained in one pass. All texts of a batch are "
        "equally long: there is no padding, and no mask for it."
    )

    yield heading(f"3. The loss, token by token: logits (B, T, V) = {logits.shape}")
    lines, mean = _losses(logits[0], inputs[0], labels[0], tokenizer)
    yield lines
    yield f"\nMean over {counted(t, 'token')}: {mean:.4f} nats, perplexity {np.exp(mean):.3f}"

    yield heading("4. Generation: it starts from the text, and goes on with what it said itself")
    yield "The likeliest token each time (greedily; the command sample draws at random):\n"
    yield _steps(greedy(model, ids, n_tokens, trace=True), tokenizer, text)
    yield paragraph(
        f"It knows no <stop>, and ends where it is told to, here after {counted(n_tokens, 'token')}. The first step "
        "feeds the whole text, each later one a single token: the keys and values of those before are in a cache."
    )


# ---------------------------------------------------------------------------------------- what both have


def _n_tokens(asked, default, most):
    room = ", the room that the model's max_len leaves"
    return default if asked is None else check_whole("explain", "tokens", asked, 1, most, room)


def _size(body, layers, row):
    config = body.config
    parts = [f"A {type(body).__name__} of {layers}"]
    parts += [counted(config.n_heads, "head")] if hasattr(config, "n_heads") else []
    parts += [f"width D = {config.d_model}"]
    parts += [NORMS[config.norm_order]] if hasattr(config, "norm_order") else []
    batch = f"Shapes are those of a batch of one {row}, B = 1; a space is written _."
    return paragraph(f"{', '.join(parts)}. {batch}").lstrip()


def _shift(ids, names, n_words):
    """Return a table of what is read beside what is to be said; behind ``n_words`` there is padding."""
    rows = []
    for t, (read, label) in enumerate(zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True)):
        remark = "" if t < n_words else "padding: counts for nothing"
        rows.append([t, shown(names[t]), read, "->", shown(names[t + 1]), label, remark])
    return "\n" + table(["position", "reads", "id", "", "is to say", "id", ""], rows)


def _losses(logits, inputs, labels, tokenizer):
    """Return a table of -ln p of each label, given logits (T, V) and integers (T,), and the mean."""
    log_probs = logits - log_normaliser(logits)  # (T, V)
    rows = []
    for t, (read, label) in enumerate(zip(inputs, labels, strict=False)):
        best, p = int(log_probs[t].argmax()), log_probs[t, label]
        likelier = "" if best == label else f"{shown(tokenizer.names[best])} ({np.exp(log_probs[t, best]):.4f})"
        reads, says = (shown(tokenizer.names[i]) for i in (read, label))
        rows.append([t, reads, says, f"{np.exp(p):.4f}", f"{abs(p):.4f}", likelier])
    lines = table(["position", "reads", "is to say", "p", "-ln p", "likelier"], rows)
    return lines, float(-log_probs[np.arange(len(labels)), labels].mean())


def _steps(decoded, tokenizer, text):
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
