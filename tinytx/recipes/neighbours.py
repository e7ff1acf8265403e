"""What recipes share that learn vectors of words, and judge them by which words become neighbours."""

import re

import numpy as np

from tinytx.data import WordTokenizer, tokenizer_from_dict
from tinytx.pipelines import Words
from tinytx.pipelines.embeddings import common, word_vectors
from tinytx.vectors import nearest, purity
from tinytx.wording import command

GROUPS = {  # words that a reader would put together; those of Python's reference, which is built in, and those of other texts
    "arithmetic": "__add__ __radd__ __iadd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __floordiv__ __mod__ __pow__".split(),
    "comparisons": "__lt__ __le__ __eq__ __ne__ __gt__ __ge__".split(),
    "months": "january february march april may june july august september october november december".split(),
    "numbers": "two three four five six seven eight nine ten".split(),
}
UNKNOWN = "<unk>"  # stands for a word that was left out, in WikiText too: it is no word


def frequent_words(text, settings, before):
    """Return the tokenizer of a text's frequent words, or that of the run that goes on.

    Parameters
    ----------
    text : str
    settings : Settings
        With ``min_count`` and ``lower``.
    before : Before, or None
    """
    if before:
        return tokenizer_from_dict(before.meta.get("tokenizer"))
    options = {"min_count": settings.min_count, "lower": settings.lower}
    return WordTokenizer.from_texts([text.replace(UNKNOWN, " ")], special=(UNKNOWN,), **options)


def ids_of(tokenizer, text):
    """Return the known words of a text as ids, with -1 after each paragraph; words between them that are unknown are left out."""
    rows = map(tokenizer.encode, re.split(r"\n\s*\n", text.replace(UNKNOWN, " ")))
    return np.concatenate([part for row in rows for part in (row[row != tokenizer.unk_id], [-1])])


def measure(model, prepared):
    """Return ({"purity": the mean over groups of words, and that of each group}, neighbours of some words)."""
    words, vectors, _ = word_vectors(Words(model, prepared.kept.tokenizer))
    shares = {name: purity(vectors, words, group) for name, group in GROUPS.items()}
    shares = {name: share for name, share in shares.items() if share is not None}
    some = [next(word for word in GROUPS[name] if word in words) for name in shares] + common(words)
    measured = {"purity": float(np.mean([*shares.values()]))} if shares else {}
    return measured | {f"purity_{name}": share for name, share in shares.items()}, {
        word: [near for near, _ in nearest(vectors, words, word, 5)] for word in some[:6]
    }


def print_neighbours(run, measured, neighbours):
    """Print the shares and some neighbours; return the command that shows more of them."""
    for name in GROUPS:
        if f"purity_{name}" in measured:
            print(f"{name}: of the 5 words nearest to each, {measured[f'purity_{name}']:.0%} are of the group")
    print("\n--- nearest words ---")
    for word, near in neighbours.items():
        print(f"{word}: {', '.join(near)}")
    print("---------------------\n")
    return command("embeddings", run.folder, "--nearest", *[*neighbours][:2], "--tsne", "map.html")
