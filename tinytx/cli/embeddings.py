"""``python -m tinytx embeddings DIR``: a trained model's word vectors as files, by their neighbours, and on a map."""

from pathlib import Path

import numpy as np

from tinytx.cli.load import Translator, load_run
from tinytx.cli.paths import check_file, check_folder
from tinytx.data.tokenizers.graphemes import count_letters
from tinytx.extras import require
from tinytx.progress import progress
from tinytx.terminal import visible
from tinytx.training.threads import Workers
from tinytx.vectors import nearest, neighbours_kept, tsne_map, unit_rows, write_projector
from tinytx.viz import word_map, word_page
from tinytx.wording import counted

FOLDER = "embeddings"  # inside the run's folder
NEAREST = 8  # words that are named for each
SHOWN = 6  # words whose neighbours are named where none was asked for


def add_parser(commands, name):
    """Add this command to the command line."""
    parser = commands.add_parser(
        name,
        help="a trained model's words: files for a projector, nearest words, a map",
        description="Write the word vectors of a trained model as values.tsv and names.tsv, which "
        "projector.tensorflow.org loads; print the nearest words of some; draw a t-SNE map of them.",
        epilog=f"Example: python -m tinytx {name} runs/bert --nearest class list --tsne map.html",
    )
    parser.add_argument("dir", metavar="DIR", help="folder of a run, which holds checkpoint.npz")
    parser.add_argument("--out", metavar="FOLDER", help=f"for values.tsv and names.tsv (default: {FOLDER} in DIR)")
    words = "the first N words of the vocabulary, mostly the most frequent, on file and map (default: %(default)s)"
    parser.add_argument("--words", type=int, default=3000, metavar="N", help=words)
    decimals = "digits behind the point (default: so many that a typical entry has two that count)"
    parser.add_argument("--decimals", type=int, metavar="N", help=decimals)
    nearest = "whose nearest words to print (default: some frequent ones)"
    parser.add_argument("--nearest", nargs="+", metavar="WORD", help=nearest)
    parser.add_argument("--side", choices=("source", "target"), help="of a transformer (default: source)")
    parser.add_argument("--tsne", metavar="FILE.html", help="a map as a page, to search and zoom in")
    parser.add_argument("--picture", metavar="FILE.png", help="a map as a picture")
    perplexity = "of the map: neighbours that each word has, as it were (default: 30, or a third of fewer words)"
    parser.add_argument("--perplexity", type=float, help=perplexity)
    parser.add_argument("--iterations", type=int, default=1000, metavar="N", help="of the map (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the map (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments):
    """Write the files, print the neighbours, draw the map."""
    words, vectors, lower = _words(arguments)
    shown, some = words[: arguments.words], vectors[: arguments.words]
    if arguments.perplexity is None:
        arguments.perplexity = float(min(30, max(1, len(shown) // 3)))
    _check(arguments, len(shown))
    asked = arguments.nearest
    asked = common(words) if asked is None else [word.lower() if lower else word for word in asked]
    found = [(word, nearest(vectors, words, word, NEAREST)) for word in asked]

    folder = Path(arguments.dir) / FOLDER if arguments.out is None else Path(arguments.out)
    decimals = telling_decimals(some) if arguments.decimals is None else arguments.decimals
    paths = write_projector(folder, shown, some, decimals=decimals)
    size = f"{len(shown):,} of {len(words):,} words, {counted(vectors.shape[1], 'number')} each"
    print(f"Wrote {size}, to {paths[0]} and {paths[1]}")
    print("Load both at https://projector.tensorflow.org, or draw a map here: --tsne map.html\n")
    width = max(len(visible(word)) for word in asked)
    for word, others in found:
        print(f"{visible(word):<{width}}  {', '.join(f'{visible(other)} {cosine:.2f}' for other, cosine in others)}")
    if arguments.tsne is not None or arguments.picture is not None:
        _map(arguments, shown, some)


def _words(arguments):
    """Return (words, vectors (V, D), whether they are in lower case), without the special tokens."""
    found = load_run(arguments.dir, ("bert", "gpt", "transformer"))
    side = arguments.side or "source"
    if isinstance(found, Translator):
        stack = {"source": found.model.encoder, "target": found.model.decoder}[side]
        tokenizer = {"source": found.source_tokenizer, "target": found.target_tokenizer}[side]
    elif arguments.side is not None:
        raise ValueError(f"--side is for a transformer, and {arguments.dir} holds another model, which has one side")
    else:
        stack, tokenizer = getattr(found.model, "body", getattr(found.model, "encoder", None)), found.tokenizer
    own = np.delete(np.arange(tokenizer.vocab_size), tokenizer.special_ids)
    lower = getattr(tokenizer, "lower", False)
    return [tokenizer.names[i] for i in own], stack.token.weight.data[own], lower


def _check(arguments, n):
    """Raise ValueError for flags that cannot be, before anything is written."""
    for name, least in (("words", 2), ("decimals", 0), ("iterations", 1), ("seed", 0)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} is {value}, expected at least {least}")
    if arguments.out is not None:
        check_folder("--out", arguments.out)
    check_file("--tsne", arguments.tsne, ".html")
    check_file("--picture", arguments.picture, ".png")
    drawn = arguments.tsne is not None or arguments.picture is not None
    if drawn and not 1 <= arguments.perplexity < n - 1:
        expected = f"expected at least 1 and less than {n - 1}, for {n} words"
        raise ValueError(f"--perplexity is {arguments.perplexity:g}, {expected}")
    if arguments.picture is not None:
        require("matplotlib", "train", "drawing the map of words")


def common(words):
    """Return some of the first words that mean something: of four letters or more, or what there is.

    >>> common(["the", ",", "name", "##ing", "value"])
    ['name', 'value']
    >>> common(["।", "है", "विश्वविद्यालय"])
    ['विश्वविद्यालय']
    """
    long = [word for word in words if count_letters(word) > 3]
    some = long or [word for word in words if any(map(str.isalnum, word))]
    return (some or words)[:SHOWN]


def telling_decimals(vectors):
    """Return so many digits behind the point that a typical entry has two that count, and at least 2.

    >>> telling_decimals(np.array([[0.9, -1.1]])), telling_decimals(np.array([[0.02, -0.02]]))
    (2, 4)
    """
    size = float(np.sqrt(np.mean(np.square(vectors, dtype=np.float64))))
    return 2 + max(0, round(-np.log10(size))) if size > 0 else 2


def _map(arguments, words, vectors):
    """Draw the t-SNE map of some words, as a page and as a picture."""
    x, workers = unit_rows(vectors), Workers()
    print(f"\nMap of {len(words):,} words by t-SNE, perplexity {arguments.perplexity:g}", flush=True)
    bar = progress(arguments.iterations, unit="iteration")
    options = {"perplexity": arguments.perplexity, "iterations": arguments.iterations, "seed": arguments.seed}
    try:
        y, loss = tsne_map(x, **options, run=workers.run, update=bar.update)
    finally:
        bar.close()
    n = min(10, len(words) - 1)
    kept = neighbours_kept(x, y, n)
    trust = f"loss {loss:.3f} nats; of each word's {n} nearest, {kept:.0%} stand nearest on the map"
    note = f"t-SNE, perplexity {arguments.perplexity:g}, {arguments.iterations} iterations: {trust}"
    print(f"Done: {trust}")
    title = f"{len(words):,} words of {arguments.dir}"
    if arguments.tsne is not None:
        word_page(words, y, vectors, arguments.tsne, title=title, note=note)
        print(f"Wrote {arguments.tsne}")
    if arguments.picture is not None:
        word_map(words, y, arguments.picture, title=title)
        print(f"Wrote {arguments.picture}")
