"""``python -m tinytx explain DIR TEXT``: one example on its way through a trained model, with every word and mask.

What people ask of such models most: how is the decoder fed, what is shifted, which shape has the mask, what is the loss
of, where does decoding start and where does it stop. The page answers with the user's own example.
"""

import numpy as np

from tinytx.cli.load import Translator, load_run, note_unknown
from tinytx.cli.page import ALLOWED, HIDDEN, grid, heading, paragraph, shown, table, words
from tinytx.cli.paths import check_file
from tinytx.cli.texts import encode_known, known_form
from tinytx.cli.translate import encode_source
from tinytx.decoding import greedy
from tinytx.decoding.choose import log_normaliser
from tinytx.extras import require
from tinytx.layers.masks import causal_mask
from tinytx.progress import say
from tinytx.wording import counted

PADDING = 2  # places that are added to the example, so that there is some to see
NORMS = {"pre": "pre-norm, x + f(norm(x))", "post": "post-norm, norm(x + f(x))"}
MASKS = f"""A mask is True, drawn {ALLOWED}, where a position (down) may look at another (across), and False, drawn
{HIDDEN}, where it may not. It is broadcast to the shape of the attention weights, (B, H, queries, keys)."""


def add_parser(commands, name):
    """Add this command to the command line."""
    parser = commands.add_parser(
        name,
        help="one example's way through a trained model: ids, masks, loss, decoding",
        description="Print what a trained Transformer or GPT does with one text: what goes in, what it is to say, "
        "every mask, the loss token by token, and decoding step by step.",
        epilog=f'Example: python -m tinytx {name} runs/transformer "september 27, 1994" --target 1994-09-27',
    )
    parser.add_argument("dir", metavar="DIR", help="folder of a run, which holds checkpoint.npz")
    parser.add_argument("text", metavar="TEXT", help="the source; for a GPT, the text it reads")
    parser.add_argument("--target", metavar="TEXT", help="the right translation (default: what the model says itself)")
    tokens = "decode at most N tokens (default: as many as the model can before <stop>; a GPT 10)"
    parser.add_argument("--tokens", type=int, metavar="N", help=tokens)
    parser.add_argument("--picture", metavar="FILE.png", help="draw the attention weights of all layers and heads")
    parser.set_defaults(run=run)


def run(arguments):
    """Print the page."""
    if not arguments.text or arguments.target == "":
        raise ValueError(f"{'--target' if arguments.text else 'TEXT'} is empty: give at least one token")
    check_file("--picture", arguments.picture, ".png")
    if arguments.picture is not None:
        require("matplotlib", "train", "drawing attention weights")
    found = load_run(arguments.dir, ("transformer", "gpt"))
    if isinstance(found, Translator):
        _explain_transformer(*found, arguments)
    else:
        _explain_gpt(*found, arguments)


# ---------------------------------------------------------------------------------------- an encoder-decoder


def _explain_transformer(model, source_tokenizer, target_tokenizer, arguments):
    """Print the page of a Transformer: encoder, decoder, masks, loss, decoding."""
    config, text = model.config, known_form(source_tokenizer, arguments.text.strip())
    target = known_form(target_tokenizer, (arguments.target or "").strip())
    ids = encode_source(source_tokenizer, text, model, "TEXT")
    if not len(ids):
        raise ValueError("TEXT holds no token: give at least one word")
    n_tokens = _n_tokens(arguments.tokens, config.max_len, config.max_len)
    decoded = greedy(model, ids[None], n_tokens, trace=True)
    own = arguments.target is None
    right = decoded.words()[0] if own else encode_known(target_tokenizer, target, "--target")
    if own:  # a model that has learned little may not stop, or say padding
        right = right[right != config.pad_id][: config.max_len - 1]
    if len(right) >= config.max_len:
        most = config.max_len - 1
        facts = f"--target has {counted(len(right), 'token')}"
        raise ValueError(f"{facts}, and behind <start> the decoder reads at most {most}")
    for tokenizer, given in ((source_tokenizer, text), (target_tokenizer, target)):
        note_unknown(say, tokenizer, given)
    target = np.concatenate([[config.start_id], right, [config.stop_id]])
    n_padding = min(PADDING, config.max_len - max(len(ids), len(target) - 1))
    padding = np.full(n_padding, config.pad_id)
    source, target = np.concatenate([ids, padding])[None], np.concatenate([target, padding])[None]  # (1, S), (1, T + 1)
    names = source_tokenizer.tokens(source[0]), target_tokenizer.tokens(target[0])

    layers = f"{config.n_encoder_layers} + {config.n_decoder_layers} layers"
    _say_size(f"A Transformer of {layers}", config, "pair")
    _encoder_page(source, names[0], n_padding)
    _decoder_page(target, names[1], n_padding, own)
    _masks_page(model.source_mask(source), *names)
    _loss_page(model, source, target, n_padding, target_tokenizer)
    _decoding_page(decoded, (1, len(ids), config.d_model), n_tokens, target_tokenizer)
    if arguments.picture is not None:
        s, t = len(ids), len(right) + 1
        inputs, (words, read) = (source[:, :s], target[:, :t]), names
        _draw(arguments.picture, model, inputs, words[:s], read[:t], next_word=read[t])


def _encoder_page(source, names, n_padding):
    print(heading(f"1. The encoder reads the source, all at once: source (B, S) = {source.shape}"))
    print(words(names, source[0]))
    if n_padding:
        _tell(
            f"It needs no <start> and no <stop>. The last {n_padding} places are padding, added for this page: in a "
            "batch, shorter sources are filled up to the length of the longest, and a mask hides it (see 3)."
        )


def _decoder_page(target, names, n_padding, own):
    print(heading(f"2. The decoder reads the target, one place late: target (B, T + 1) = {target.shape}"))
    print(words(names, target[0]))
    _tell(
        "In training the decoder is fed the right words, whatever it would have said itself (teacher forcing). It "
        "reads target[:, :-1] and is to say target[:, 1:], at each position the word after the one that it reads: the "
        "first word where it reads <start>, and <stop> where it reads the last."
        + (" (This target is the model's own translation; --target gives another.)" if own else "")
    )
    _print_shift(target[0], names, len(target[0]) - 1 - n_padding)


def _masks_page(mask, source_names, target_names):
    t, s = len(target_names) - 1, len(source_names)
    print(heading("3. The masks"))
    print(paragraph(MASKS).lstrip())
    print(f"\nEncoder, self-attention: source_mask (B, 1, 1, S) = {mask.shape},")
    print(f"one row for all {s} queries and all heads\n")
    print(grid(mask[0, 0], ["each"], source_names))
    print(f"\nDecoder, self-attention: causal (T, T) = {(t, t)}, the same for all pairs and heads\n")
    print(grid(causal_mask(t), target_names[:-1], target_names[:-1]))
    _tell(
        "No position sees the word that it is to say, so all are trained in one pass. Padding stands behind the words, "
        "where this mask hides it from them."
    )
    print(f"\nDecoder, cross-attention: source_mask again, (B, 1, 1, S) = {mask.shape},")
    print(f"one row for all {t} queries: each may look at the whole source, and at no padding\n")
    print(grid(mask[0, 0], ["each"], source_names))


def _loss_page(model, source, target, n_padding, tokenizer):
    config, inputs, labels = model.config, target[:, :-1], target[:, 1:]
    n = labels.size - n_padding
    logits = model(source, inputs)
    print(heading(f"4. The loss, word by word: logits (B, T, V) = {logits.shape}"))
    mean = _print_losses(logits[0, :n], inputs[0], labels[0, :n], tokenizer)
    print(f"\nMean over {counted(n, 'word')}, padding left out: {mean:.4f} nats, perplexity {np.exp(mean):.3f}")
    loss = model.loss(source, target)
    if config.label_smoothing:
        form = "divergence" if config.loss_form == "kl_divergence" else "cross-entropy"
        print(f"In training, label smoothing {config.label_smoothing:g} makes it a {form} of {loss:.4f} nats")
    if n_padding:
        alone = model.loss(source[:, :-n_padding], target[:, :-n_padding])
        print(f"What padding changes: model.loss is {loss:.6f} with it, and {alone:.6f} without")


def _decoding_page(decoded, shape, n_tokens, tokenizer):
    print(heading("5. Decoding: nobody knows the target now, so the decoder reads what it said"))
    print(f"memory = encode(source), (B, S, D) = {shape}: computed once.")
    print("Then, from <start> alone, the likeliest word each time (greedily):\n")
    _print_steps(decoded, tokenizer, "")
    ended = decoded.ended[0]
    end = f"says <stop>, in step {len(decoded.steps)}" if ended else f"has said {counted(n_tokens, 'word')}, the limit"
    _tell(
        f"It stops because it {end}. Each step feeds one word: the keys and values of those before are in a cache, and "
        "the result is that of feeding all of them again."
    )
    print(f"\nTranslation: {tokenizer.decode(decoded.ids[0])}    (ln p = {decoded.log_probs[0]:.3f})")


# ---------------------------------------------------------------------------------------- a decoder alone


def _explain_gpt(model, tokenizer, arguments):
    """Print the page of a GPT: input and labels, mask, loss, generation."""
    if arguments.target is not None:
        raise ValueError(f"--target is for a transformer, and {arguments.dir} holds a gpt: its text is its target")
    text = known_form(tokenizer, arguments.text)
    config, ids = model.config, encode_known(tokenizer, text, "TEXT")[None]  # (1, T + 1)
    if not 2 <= ids.size <= config.max_len:
        raise ValueError(f"TEXT has {counted(ids.size, 'token')}, expected 2 to the model's max_len, {config.max_len}")
    room = config.max_len - ids.size + 1
    n_tokens = _n_tokens(arguments.tokens, min(10, room), room)
    inputs, labels, names = ids[:, :-1], ids[:, 1:], tokenizer.tokens(ids[0])
    t, logits = labels.size, model(inputs)

    _say_size(f"A GPT of {counted(config.n_layers, 'layer')}", config, "text")
    print(heading(f"1. The model reads the text and says it one place early: text (B, T + 1) = {ids.shape}"))
    print(words(names, ids[0]))
    _tell(
        "In training it reads text[:, :-1] and is to say text[:, 1:], at each position the token after the one that it "
        "reads. There is no <start>: the first token is given, and nothing says it."
    )
    _print_shift(ids[0], names, t)

    print(heading("2. The mask"))
    print(paragraph(MASKS).lstrip())
    print(f"\nSelf-attention: causal (T, T) = {(t, t)}, the same for all texts and heads\n")
    print(grid(causal_mask(t), names[:-1], names[:-1]))
    _tell(
        "No position sees the token that it is to say, so all are trained in one pass. All texts of a batch are "
        "equally long: there is no padding, and no mask for it."
    )

    print(heading(f"3. The loss, token by token: logits (B, T, V) = {logits.shape}"))
    mean = _print_losses(logits[0], inputs[0], labels[0], tokenizer)
    print(f"\nMean over {counted(t, 'token')}: {mean:.4f} nats, perplexity {np.exp(mean):.3f}")

    print(heading("4. Generation: it starts from the text, and goes on with what it said itself"))
    print("The likeliest token each time (greedily; the command sample draws at random):\n")
    _print_steps(greedy(model, ids, n_tokens, trace=True), tokenizer, text)
    _tell(
        f"It knows no <stop>, and ends where it is told to, here after {counted(n_tokens, 'token')}. The first step "
        "feeds the whole text, each later one a single token: the keys and values of those before are in a cache."
    )
    if arguments.picture is not None:
        _draw(arguments.picture, model, (inputs,), names[:-1], next_word=names[-1])


# ---------------------------------------------------------------------------------------- what both have


def _n_tokens(asked, default, most):
    if asked is not None and not 1 <= asked <= most:
        raise ValueError(f"--tokens is {asked}, expected 1 to {most}, the room that the model's max_len leaves")
    return default if asked is None else asked


def _say_size(what, config, row):
    shape = f"{counted(config.n_heads, 'head')}, width D = {config.d_model}, {NORMS[config.norm_order]}"
    batch = f"Shapes are those of a batch of one {row}, B = 1; a space is written _."
    print(paragraph(f"{what}, {shape}. {batch}").lstrip())


def _print_shift(ids, names, n_words):
    """Print what is read beside what is to be said; behind ``n_words`` there is padding."""
    rows = []
    for t, (read, label) in enumerate(zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True)):
        remark = "" if t < n_words else "padding: counts for nothing"
        rows.append([t, shown(names[t]), read, "->", shown(names[t + 1]), label, remark])
    print()
    print(table(["position", "reads", "id", "", "is to say", "id", ""], rows))


def _print_losses(logits, inputs, labels, tokenizer):
    """Print -ln p of each label, given logits (T, V) and integers (T,); return the mean."""
    log_probs = logits - log_normaliser(logits)  # (T, V)
    rows = []
    for t, (read, label) in enumerate(zip(inputs, labels, strict=False)):
        best, p = int(log_probs[t].argmax()), log_probs[t, label]
        likelier = "" if best == label else f"{shown(tokenizer.names[best])} ({np.exp(log_probs[t, best]):.4f})"
        reads, says = (shown(tokenizer.names[i]) for i in (read, label))
        rows.append([t, reads, says, f"{np.exp(p):.4f}", f"{abs(p):.4f}", likelier])
    print(table(["position", "reads", "is to say", "p", "-ln p", "likelier"], rows))
    return float(-log_probs[np.arange(len(labels)), labels].mean())


def _print_steps(decoded, tokenizer, text):
    """Print what each step of decoding was fed and what it said; ``text`` is what stood there before."""
    rows, said = [], []
    for number, step in enumerate(decoded.steps, start=1):
        said.append(int(step.chosen[0]))
        fed = tokenizer.tokens(step.fed[0])
        fed = shown(fed[0]) if len(fed) == 1 else f"the text, {len(fed)} tokens"
        so_far = shown((text + tokenizer.decode(said))[-30:])
        p = f"{np.exp(step.log_probs[0]):.4f}"
        rows.append([number, str(step.fed.shape), fed, "->", shown(tokenizer.names[said[-1]]), p, so_far])
    print(table(["step", "ids fed", "fed", "", "says", "p", "so far"], rows))


def _draw(path, model, inputs, *names, next_word):
    from tinytx.viz import attention_maps, attention_picture  # draws with matplotlib: only where it is asked for

    attention_picture(path, attention_maps(model, *inputs), *names, next_word=next_word)
    say(f"Wrote {path}")


def _tell(text):
    print(paragraph(text))
