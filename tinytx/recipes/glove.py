"""glove: vectors of a text's words, learned from counts of pairs, and judged by which words become neighbours.

With the defaults, the share of the 5 words nearest to each word of a group that are of this group, too, is 0.68 to 0.77 for
six seeds (``purity``). Vectors are those of the first table; by the sum of both, which is published, the share is a little
smaller on so short a text. Pairs that are held out are guessed best after 100 steps, where the purity is 0.38: as to which
words are alike, it pays to learn the counts by heart.
"""

from typing import NamedTuple

import numpy as np

from tinytx.data import Tokenizer, WordPairs, builtin_corpus, cooccurrences, read_text
from tinytx.models import GloVe, GloVeConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.neighbours import frequent_words, ids_of, measure, print_neighbours
from tinytx.recipes.settings import DescentSettings, digest
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import Cooccurrences
from tinytx.training import PairExamples, PairTrainer
from tinytx.wording import command, counted


class PairSettings(Settings):
    """Which text is read, and which pairs of its words are learned."""

    data: str | None = setting(
        None, "UTF-8 text file to learn from; without it, Python's own language reference", file=True
    )
    batch_size: int = setting(20_000, "pairs in a step", minimum=1, maximum=2**22)
    min_count: int = setting(5, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True)
    lower: bool = setting(True, "whether the text is read in lower case", fixed=True)
    window: int = setting(10, "two words stand near each other if they are at most so many apart", minimum=1, maximum=1000)
    held_out: float = setting(0.02, "share of the pairs that is not learned but validates", minimum=0, below=1, fixed=True)
    x_max: float = setting(10.0, "pairs that occur so often, or more, count fully; 100 for billions of words", minimum=1e-3, fixed=True)
    alpha: float = setting(0.75, "rarer pairs count as this power of their number", minimum=1e-3, fixed=True)


class AdaGradSettings(DescentSettings):
    """The settings of a run by AdaGrad, pair after pair."""

    optimizer = "adagrad"


SETTINGS = extended(
    AdaGradSettings, PairSettings, GloVeConfig, without=("vocab_size",),
    steps=500, eval_every=50, lr=0.05, schedule="constant", warmup=0,
)  # fmt: skip
ROWS = 10_000  # pairs of a validation's batch


class Kept(NamedTuple):
    """What measures and the report need."""

    tokenizer: Tokenizer


def parted(pairs, share, seed):
    """Return (pairs to learn, pairs that validate): a word and its context are in the same part as the context and its word.

    Parameters
    ----------
    pairs : WordPairs
    share : float
        Of the pairs that validate, as nearly as can be; at least one pair is in each part, if there are two.
    seed : int
    """
    low, high = np.sort(pairs[:2], axis=0)
    both, number = np.unique(low * (high.max(initial=0) + 1) + high, return_inverse=True)
    n = min(max(1, round(share * len(both))), len(both) - 1)
    chosen = np.zeros(len(both), bool)
    chosen[np.random.default_rng(seed).permutation(len(both))[: max(n, 0)]] = True
    return tuple(WordPairs(*(array[part] for array in pairs)) for part in (~chosen[number], chosen[number]))


def prepare(settings, before):
    """Return what is `Prepared`: counts of the text's pairs of words, a part of them in each step."""
    text = builtin_corpus() if settings.data is None else read_text(settings.data)
    tokenizer = frequent_words(text, settings, before)
    ids = ids_of(tokenizer, text)
    pairs = cooccurrences(ids, tokenizer.vocab_size, window=settings.window)
    pairs = pairs._replace(counts=pairs.counts.astype(settings.dtype))
    learned, validation = parted(pairs, settings.held_out, settings.seed)
    if not (len(learned.counts) and len(validation.counts)):
        raise ValueError(
            f"{settings.data or 'the text'} has {counted(len(pairs.counts), 'pair')} of known words near each other, and two "
            f"different ones are needed, one to learn and one that validates: give a longer text, or a smaller --min-count"
        )
    examples = PairExamples(learned, chunk=settings.batch_size, seed=settings.seed)
    n = -(-len(validation.counts) // ROWS)
    return Prepared(
        config=GloVeConfig(vocab_size=tokenizer.vocab_size, **settings.fields_of(GloVeConfig)),
        task_settings={"x_max": settings.x_max, "alpha": settings.alpha},
        batch=examples.batch,
        validation=[tuple(array[i::n] for array in validation) for i in range(n)],
        digests={"text": digest(text)},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[
            f"Text: {settings.data or 'the Python language reference'}, {np.sum(ids >= 0):,} known words, {len(tokenizer.words):,} distinct",
            f"Pairs: {len(learned.counts):,} to learn, {len(validation.counts):,} to validate; "
            f"{counted(len(examples), 'step')} for each pass over them",
        ],
        kept=Kept(tokenizer),
    )


def report(run, prepared, measured, neighbours):
    """Print the shares and some neighbours; return commands to try next."""
    return [print_neighbours(run, measured, neighbours), command("train", run.name, "--data", "FILE")]


RECIPE = Recipe(
    system="GloVe",
    paper="Pennington, Socher and Manning 2014",
    learns="built-in text, or --data FILE",
    model=GloVe,
    config=GloVeConfig,
    task=Cooccurrences,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    trainer=PairTrainer,
    expect=Expect(purity=(0.74, 0.07), step=500, minutes=0.5),
    about="Train vectors of a text's words by GloVe: pairs of words that stand near each other are counted, and products of "
    "vectors learn the counts' logarithms, by AdaGrad, pair after pair. Without flags: built-in text, in a few seconds.",
    usage="[--data FILE]",
    example="--data book.txt --d-model 200 --out runs/vectors",
)
