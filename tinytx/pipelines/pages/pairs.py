"""The page of an encoder-decoder: what both sides read, masks, states, the loss, where it looks, and decoding."""

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
from tinytx.pipelines.pages.states import has, looks, states
from tinytx.pipelines.texts import encode_known, known_form, unknown_note
from tinytx.wording import counted

PADDING = 2  # places that are added to the example, so that there is some to see
CROSS = "cross_attention"  # stands in the path of an attention from the decoder to the source
RECURRENT = """Neither side looks at itself: a recurrent layer reads one word after the other and carries a state along. So
no position of the decoder knows a later word. At padding of the source the state stays as it is."""


def explain_pair(translator, text, target=None, tokens=None):
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
    n_tokens = n_steps(tokens, config.max_len, config.max_len)
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
    numbers, read = count(4), (sources, targets[:, :-1])
    parts = [
        size(model.body, _layers(config), "pair"),
        *_encoder_page(sources, names[0], n_padding),
        *_decoder_page(targets, names[1], n_padding, own),
        *_masks_page(model, sources, *names),
    ]
    if has(model, "carried"):
        parts += [heading(f"{next(numbers)}. What is carried along"), *states(model, read, (names[0], names[1][:-1]))]
    parts += _loss_page(next(numbers), model, sources, targets, n_padding, target_tokenizer)
    if any(CROSS in path for path, layer in model.named_layers() if hasattr(layer, "attention_weights")):
        parts.append(heading(f"{next(numbers)}. Where the decoder looks in the source (across) while it writes a word (down)"))
        parts += looks(model, read, names[1][1 : len(right) + 2], names[0], CROSS)
    memory = model.body.encode(ids[None])
    parts += _decoding_page(next(numbers), decoded, memory.shape, n_tokens, target_tokenizer)
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
    yield shift(target[0], names, len(target[0]) - 1 - n_padding)


def _masks_page(model, source, source_names, target_names):
    """Yield the masks of the attentions that the model has: of each text to itself, and of the target to the source."""
    t, s, mask = len(target_names) - 1, len(source_names), model.body.source_mask(source)
    across = [CROSS in path for path, layer in model.named_layers() if hasattr(layer, "attention_weights")]
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


def _loss_page(number, model, source, target, n_padding, tokenizer):
    inputs, labels = target[:, :-1], target[:, 1:]
    n = labels.size - n_padding
    logits = model(source, inputs)
    yield heading(f"{number}. The loss, word by word: logits (B, T, V) = {logits.shape}")
    read = tokenizer.tokens(inputs[0, :n])
    lines, mean = losses(logits[0, :n], read, labels[0, :n], tokenizer.names)
    yield lines
    yield f"\nMean over {counted(n, 'word')}, padding left out: {mean:.4f} nats, perplexity {np.exp(mean):.3f}"
    loss = model.loss(source, target)
    if share := model.loss_settings.label_smoothing:
        form = "divergence" if model.loss_settings.loss_form == "kl_divergence" else "cross-entropy"
        yield f"In training, label smoothing {share:g} makes it a {form} of {loss:.4f} nats"
    if n_padding:
        alone = model.loss(source[:, :-n_padding], target[:, :-n_padding])
        yield f"What padding changes: model.loss is {loss:.6f} with it, and {alone:.6f} without"
    yield likeliest(logits[0, :n], read, tokenizer.names)


def _decoding_page(number, decoded, shape, n_tokens, tokenizer):
    yield heading(f"{number}. Decoding: the target is unknown now, so the decoder reads its own words")
    yield f"memory = encode(source), an array {shape}: computed once."
    yield "Then, from <start> alone, the likeliest word each time (greedily):\n"
    yield decoding_steps(decoded, tokenizer, "")
    ended = decoded.ended[0]
    end = f"says <stop>, in step {len(decoded.steps)}" if ended else f"has said {counted(n_tokens, 'word')}, the limit"
    yield paragraph(
        f"It stops because it {end}. Each step feeds one word: what the layers need of those before, keys and values or "
        "a recurrent state, is kept, and the result is that of feeding all of them again."
    )
    yield f"\nTranslation: {tokenizer.decode(decoded.ids[0])}    (ln p = {decoded.log_probs[0]:.3f})"
