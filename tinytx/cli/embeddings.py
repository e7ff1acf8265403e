"""``python -m tinytx embeddings DIR``: a trained model's word vectors as files, by their neighbours, and on a map."""

import dataclasses
from pathlib import Path

from tinytx import workers
from tinytx.arguments import INT64
from tinytx.cli.options import add_options, add_run, given, load
from tinytx.extras import require
from tinytx.paths import check_file, check_folder
from tinytx.pipelines import Filler, Translator, Words, Writer
from tinytx.pipelines.embeddings import common, telling_decimals, word_vectors
from tinytx.progress import progress
from tinytx.settings import Flags, setting
from tinytx.terminal import visible
from tinytx.vectors import nearest, neighbours_kept, tsne_map, unit_rows, write_projector
from tinytx.viz import word_map, word_page
from tinytx.wording import counted

FOLDER = "embeddings"  # inside the run's folder
NEAREST = 8  # words that are named for each


class EmbeddingsFlags(Flags):
    """Which words are written and drawn, and how."""

    command = "embeddings"
    out: str | None = setting(None, f"for values.tsv and names.tsv; {FOLDER} in DIR if not given", metavar="FOLDER")
    words: int = setting(
        3000, "the first N words of the vocabulary, mostly the most frequent, on file and map", minimum=2, metavar="N"
    )
    decimals: int | None = setting(
        None, "digits after the decimal point; if not given, enough for two significant digits of a typical entry",
        minimum=0, metavar="N",
    )  # fmt: skip
    side: str | None = setting(None, "which embedding of a transformer; source if not given", choices=("source", "target"))
    tsne: str | None = setting(None, "a map as a page, to search and zoom in", metavar="FILE.html")
    picture: str | None = setting(None, "a map as a picture", metavar="FILE.png")
    perplexity: float | None = setting(
        None, "of the map: the effective number of neighbours of each word; by default 30, or a third of fewer words",
        minimum=1,
    )  # fmt: skip
    iterations: int = setting(1000, "steps in which the map is made", minimum=1, metavar="N")
    seed: int = setting(0, "seed of the map", minimum=0, maximum=INT64[1])


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write the word vectors of a trained model as values.tsv and names.tsv, which
    projector.tensorflow.org loads; print the nearest words of some; draw a t-SNE map of them."""
    parser.epilog = "Example: python -m tinytx embeddings runs/bert --nearest class list --tsne map.html"
    add_run(parser)
    nearest = "whose nearest words to print (default: some frequent ones)"
    parser.add_argument("--nearest", nargs="+", metavar="WORD", help=nearest)
    add_options(parser, EmbeddingsFlags)


def run(arguments):
    """Write the files, print the neighbours, draw the map."""
    flags = EmbeddingsFlags(**given(arguments, EmbeddingsFlags))
    trained = load(arguments, Filler, Writer, Translator, Words)
    if flags.side is not None and not isinstance(trained, Translator):
        raise ValueError(f"--side is for a transformer, and {arguments.dir} holds another model, which has one side")
    words, vectors, lower = word_vectors(trained, flags.side or "source")
    shown, some = words[: flags.words], vectors[: flags.words]
    if flags.perplexity is None:
        flags = dataclasses.replace(flags, perplexity=float(min(30, max(1, len(shown) // 3))))
    _check(flags, len(shown))
    asked = arguments.nearest
    asked = common(words) if asked is None else [word.lower() if lower else word for word in asked]
    found = [(word, nearest(vectors, words, word, NEAREST)) for word in asked]

    folder = Path(arguments.dir) / FOLDER if flags.out is None else Path(flags.out)
    decimals = telling_decimals(some) if flags.decimals is None else flags.decimals
    paths = write_projector(folder, shown, some, decimals=decimals)
    size = f"{len(shown):,} of {len(words):,} words, {counted(vectors.shape[1], 'number')} each"
    print(f"Wrote {size}, to {paths[0]} and {paths[1]}")
    print("Load both at https://projector.tensorflow.org, or draw a map here: --tsne map.html\n")
    width = max(len(visible(word)) for word in asked)
    for word, others in found:
        print(f"{visible(word):<{width}}  {', '.join(f'{visible(other)} {cosine:.2f}' for other, cosine in others)}")
    if flags.tsne is not None or flags.picture is not None:
        _map(flags, arguments.dir, shown, some)


def _check(flags, n):
    """Raise ValueError for flags that cannot be used, before anything is written."""
    if flags.out is not None:
        check_folder("--out", flags.out)
    check_file("--tsne", flags.tsne, ".html")
    check_file("--picture", flags.picture, ".png")
    drawn = flags.tsne is not None or flags.picture is not None
    if drawn and not 1 <= flags.perplexity < n - 1:
        expected = f"expected at least 1 and less than {n - 1}, for {n} words"
        raise ValueError(f"--perplexity is {flags.perplexity:g}, {expected}")
    if flags.picture is not None:
        require("matplotlib", "train", "drawing the map of words")


def _map(flags, folder, words, vectors):
    """Draw the t-SNE map of some words, as a page and as a picture."""
    x = unit_rows(vectors)
    print(f"\nMap of {len(words):,} words by t-SNE, perplexity {flags.perplexity:g}", flush=True)
    bar = progress(flags.iterations, unit="iteration")
    options = {"perplexity": flags.perplexity, "iterations": flags.iterations, "seed": flags.seed}
    try:
        with workers.use():
            y, loss = tsne_map(x, **options, update=bar.update)
    finally:
        bar.close()
    n = min(10, len(words) - 1)
    kept = neighbours_kept(x, y, n)
    trust = f"loss {loss:.3f} nats; of each word's {n} nearest, {kept:.0%} stand nearest on the map"
    note = f"t-SNE, perplexity {flags.perplexity:g}, {flags.iterations} iterations: {trust}"
    print(f"Done: {trust}")
    title = f"{len(words):,} words of {folder}"
    if flags.tsne is not None:
        word_page(words, y, vectors, flags.tsne, title=title, note=note)
        print(f"Wrote {flags.tsne}")
    if flags.picture is not None:
        word_map(words, y, flags.picture, title=title)
        print(f"Wrote {flags.picture}")
