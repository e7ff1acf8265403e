"""``python -m tinytx fill DIR TEXT ...``: a trained BERT says which words it would put where one is hidden."""

import re

import numpy as np

from tinytx.cli.load import load_run, note_unknown
from tinytx.cli.texts import given_texts
from tinytx.data import framed
from tinytx.progress import say
from tinytx.terminal import visible
from tinytx.wording import counted

HIDDEN = re.compile(r"<mask>|\[MASK\]", re.IGNORECASE)  # how a hidden word is written, whatever the tokenizer calls it
BAR = 30  # characters of a bar that stands for certainty


def add_parser(commands, name):
    """Add this command to the command line."""
    parser = commands.add_parser(
        name,
        help="let a trained BERT fill in hidden words",
        description="Write <mask> or [MASK] for each hidden word of a text, and a trained BERT says which words are "
        "likely there, and how likely. Where several are hidden, each is said without knowing the others.",
        epilog=f'Example: python -m tinytx {name} runs/bert "the <mask> of the function" --top 10',
    )
    parser.add_argument("dir", metavar="DIR", help="folder of a run, which holds checkpoint.npz")
    texts = "text with a <mask> in it or several; - stands for the lines of standard input"
    parser.add_argument("texts", metavar="TEXT", nargs="+", help=texts)
    parser.add_argument("--top", type=int, default=5, metavar="N", help="words for each place (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments):
    """Print the likely words of each hidden place, and the text with the likeliest filled in."""
    model, tokenizer = load_run(arguments.dir, ("bert",))
    most = model.config.vocab_size
    if not 1 <= arguments.top <= most:
        raise ValueError(f"--top is {arguments.top}, expected 1 to the size of the vocabulary, {most}")
    texts = [(place, text) for place, text in given_texts(arguments.texts, "text", tokenizer) if text]
    rows = [encode_hidden(model, tokenizer, text, place) for place, text in texts]
    for _, text in texts:
        note_unknown(say, tokenizer, " ".join(HIDDEN.sub(" ", text).split()))
    for number, ((_, text), ids) in enumerate(zip(texts, rows, strict=True)):
        found = likely(model, tokenizer, ids, arguments.top)
        print("\n" * bool(number) + text)
        _print(tokenizer, ids, found)


def encode_hidden(model, tokenizer, text, place):
    """Return the ids (T,) of a text in which some words are hidden.

    Parameters
    ----------
    model : Bert
    tokenizer : Tokenizer
    text : str
    place : str
        Where the text stands, for messages.

    Raises
    ------
    ValueError
        If nothing is hidden, or the text is longer than the model reads.
    """
    parts = [tokenizer.encode(part) for part in HIDDEN.split(text)]
    if len(parts) == 1:
        hidden = tokenizer.names[tokenizer.mask_id]
        raise ValueError(f'{place} hides no word: write {hidden} for each, as in "the {hidden} of it": {text!r:.60}')
    ids = parts[0]
    for part in parts[1:]:
        ids = np.concatenate([ids, [tokenizer.mask_id], part])
    room = room_of(model, tokenizer)
    if len(ids) > room:
        facts = f"{place} has {counted(len(ids), 'token')}, and the model reads at most {room}"
        raise ValueError(f"{facts}: cut it, {text!r:.60}")
    return ids.astype(np.int64)


def room_of(model, tokenizer):
    """Return how many tokens a text may have: all that the model reads, without the frame that it was trained with."""
    return model.config.max_len - (0 if tokenizer.cls_id is None else 2)


def likely(model, tokenizer, ids, n):
    """Return for each hidden word the n likeliest ones: a list of lists of (id, probability), the likeliest first.

    Parameters
    ----------
    model : Bert
    tokenizer : Tokenizer
    ids : integers (T,)
        Without ``[CLS]`` and ``[SEP]``, which are put around them if the tokenizer has them.
    n : int

    Raises
    ------
    ValueError
        If the model says NaN.
    """
    if tokenizer.cls_id is not None:
        ids, _ = framed(ids, cls_id=tokenizer.cls_id, sep_id=tokenizer.sep_id)
    positions = np.flatnonzero(ids == tokenizer.mask_id)
    p = model.fill(ids[None], positions)[0]  # (n_hidden, V)
    if not np.isfinite(p).all():
        raise ValueError("the model's probabilities are NaN: its training diverged; train again with a smaller --lr")
    best = np.argsort(-p, axis=-1, kind="stable")[:, :n]
    return [[(int(i), float(row[i])) for i in some] for some, row in zip(best, p, strict=True)]


def filled(tokenizer, ids, found):
    """Return the text of ids (T,) with the likeliest words, of what `likely` found, where some were hidden."""
    ids = ids.copy()
    ids[ids == tokenizer.mask_id] = [words[0][0] for words in found]
    return tokenizer.decode(ids)


def _print(tokenizer, ids, found):
    """Print the likely words with bars, and the text with the likeliest filled in."""
    width = max(len(visible(tokenizer.names[i])) for words in found for i, _ in words)
    for number, words in enumerate(found, start=1):
        if len(found) > 1:
            print(f"hidden word {number}:")
        for i, p in words:
            print(f"  {visible(tokenizer.names[i]):<{width}}  {p:6.1%}  {'#' * round(BAR * p)}".rstrip())
    print(f"-> {filled(tokenizer, ids, found)}")
