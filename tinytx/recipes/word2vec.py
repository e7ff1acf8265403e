"""word2vec: a vector for each word of a text, judged by which words become neighbours.

With the defaults, the share of the 5 words nearest to each word of a group that are of this group, too, is 0.83, 0.87, 0.83
and 0.87 for four seeds (``purity``). The other forms, one seed: skip-gram with a tree 0.91, CBOW 0.65, CBOW with a tree 0.73.
"""

from typing import NamedTuple

import numpy as np

from tinytx.data import Tokenizer
from tinytx.models import Word2Vec, Word2VecConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.neighbours import frequent_words, ids_of, measure, print_neighbours
from tinytx.recipes.settings import DescentSettings, digest
from tinytx.recipes.texts import TextSettings, read_parts
from tinytx.settings import extended, setting
from tinytx.tasks import NearbyWords
from tinytx.training import WordExamples, WordTrainer
from tinytx.wording import command, counted

RATES = {False: 0.025, True: 0.05}  # of word2vec.c: for skip-gram, for CBOW


class NearbySettings(TextSettings):
    """Which text is learned, which of its words, and what is asked about them."""

    batch_size: int = setting(10_000, "words in a step", minimum=1, maximum=2**20)
    min_count: int = setting(5, "times that a word must occur to be in the vocabulary", minimum=1, fixed=True)
    lower: bool = setting(True, "whether the text is read in lower case", fixed=True)
    cbow: bool = setting(False, "predict a word from the mean of those near it (CBOW), not from each (skip-gram)", fixed=True)
    tree: bool = setting(False, "ask for turns in a tree of words (hierarchical softmax), not for drawn words", fixed=True)
    n_negatives: int = setting(5, "drawn words for each example", minimum=1, maximum=1000, only={"tree": (False,)})
    window: int = setting(5, "words on each side that are near, at most", minimum=1, maximum=1000)
    sample: float = setting(1e-3, "words with a larger share of the text are left out at random; 0: no word is", minimum=0)
    lr: float = setting(0.0, "largest learning rate; 0 is that of word2vec.c: 0.025, or 0.05 with --cbow", minimum=0)


SETTINGS = extended(
    DescentSettings, NearbySettings, Word2VecConfig, without=("vocab_size",), steps=300, eval_every=50, warmup=0,
)  # fmt: skip


class Kept(NamedTuple):
    """What measures and the report need."""

    tokenizer: Tokenizer
    settings: DescentSettings


def prepare(settings, before):
    """Return what is `Prepared`: examples of the text's words, a part of the text in each step."""
    texts, parts = read_parts(settings)
    train, validation = parts
    tokenizer = frequent_words(train, settings, before)
    ids, held_out = (ids_of(tokenizer, part) for part in (train, validation))
    asked = {name: getattr(settings, name) for name in ("cbow", "tree", "window", "n_negatives", "sample", "seed")}
    examples = WordExamples(ids, tokenizer.vocab_size, chunk=settings.batch_size, **asked)
    examples.batch(0)  # raises an error where the text is too short
    judged = [tuple(array.copy() for array in batch) for batch in examples.epoch(0, held_out) if len(batch[0])]
    if not judged:
        place = settings.valid or f"the end of {settings.data or 'the text'}"
        raise ValueError(f"{place}, which validates, has no two known words near each other: give a longer text")
    form = f"{'CBOW' if settings.cbow else 'skip-gram'}, {'a tree' if settings.tree else counted(settings.n_negatives, 'negative')}"
    return Prepared(
        config=Word2VecConfig(vocab_size=tokenizer.vocab_size, **settings.fields_of(Word2VecConfig)),
        task_settings={"tree": settings.tree},
        batch=examples.batch,
        validation=judged,
        digests={"text": digest(*texts)},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[
            f"Text: {settings.data or 'the Python language reference'}, {examples.n_words:,} known words to train on, "
            f"{np.sum(held_out >= 0):,} to validate; {len(tokenizer.words):,} distinct",
            f"Asked: {form}; {counted(len(examples), 'step')} for each pass over the text",
        ],
        kept=Kept(tokenizer, settings),
        peak=settings.lr or RATES[settings.cbow],
    )


def report(run, prepared, measured, neighbours):
    """Print the shares and some neighbours; return commands to try next."""
    show = print_neighbours(run, measured, neighbours)
    other = "--no-tree" if prepared.kept.settings.tree else "--tree"
    return [show, command("train", run.name, "--data", "FILE", other)]


RECIPE = Recipe(
    system="word2vec",
    paper="arXiv:1301.3781, 1310.4546",
    learns="built-in text, or --data FILE",
    model=Word2Vec,
    config=Word2VecConfig,
    task=NearbyWords,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    trainer=WordTrainer,
    expect=Expect(purity=(0.84, 0.06), step=300, minutes=0.5),
    about="Train vectors of a text's words by word2vec: skip-gram with negative sampling, or its other forms. A step is plain "
    "gradient descent, example after example, and costs what its words cost. Without flags: built-in text, in a few seconds.",
    usage="[--data FILE] [--valid FILE]",
    example="--data book.txt --cbow --d-model 200 --out runs/vectors",
)
