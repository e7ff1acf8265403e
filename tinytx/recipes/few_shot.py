"""few_shot: a GPT learns a rule from the examples in its context; the more examples, the more often it is right.

Its blocks are banded and dense in turn, as in GPT-3 (Brown et al. 2020, arXiv:2005.14165). What it learns is to look back: a
head of the first block tells each position which token was before it, and a head of the second finds where the token at
hand has been before, and says what followed there. `tinytx.metrics.induction_scores` finds this head.
"""

import numpy as np

from tinytx import workers
from tinytx.data import WordTokenizer, labelled_rows, words_of_rows
from tinytx.data.texts.few_shot import LETTERS, TOPICS
from tinytx.metrics import induction_scores
from tinytx.models import GPT, GPTConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import NextToken
from tinytx.viz import attention_maps
from tinytx.wording import command

KINDS = {"letters": LETTERS, "words": TOPICS}
LEARNED, HELD_OUT = 0, 1  # streams of random numbers


class ShotSettings(Settings):
    """What the examples are, and how many there are."""

    kind: str = setting(
        "letters", "what has labels: four letters, or the topics of words", choices=tuple(KINDS), fixed=True
    )
    n_examples: int = setting(12, "examples in a row", minimum=2, maximum=1000, fixed=True)
    batch_size: int = setting(32, "rows in a step", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, ShotSettings, GPTConfig, without=("vocab_size", "max_len"),
    d_model=64, n_heads=1, n_layers=2, windows="2,all", steps=500, min_lr=1e-4, beta2=0.99, weight_decay=0.1,
)  # fmt: skip


def prepare(settings, before):
    """Return what is `Prepared`: each step has new rows; those that validate are none of them."""
    topics = KINDS[settings.kind]
    tokenizer = WordTokenizer(words_of_rows(topics), special=())

    def rows(n_rows, *stream):
        """Return (ids, targets): each label is to be said from the word before it; nothing else counts."""
        texts = labelled_rows(np.random.default_rng(stream), n_rows, settings.n_examples, topics)
        ids = np.stack([tokenizer.encode(text) for text in texts])
        targets = ids[:, 1:].copy()
        targets[:, 1::2] = NextToken.ignored
        return ids[:, :-1], targets

    example = labelled_rows(np.random.default_rng(settings.seed), 1, settings.n_examples, topics)[0]
    return Prepared(
        config=GPTConfig(tokenizer.vocab_size, max_len=2 * settings.n_examples - 1, **settings.fields_of(GPTConfig)),
        batch=lambda step: rows(settings.batch_size, LEARNED, settings.seed, step),
        validation=[rows(64, HELD_OUT, i) for i in range(8)],
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[f"Rows of {settings.n_examples} examples, a word and its label each, as in: {example}"],
        kept=example,
    )


def curve(model, prepared):
    """Return the share of right labels after 0, 1, 2, ... examples, over the whole validation."""
    right = workers.each(lambda batch: model(batch[0])[:, ::2].argmax(-1) == batch[1][:, ::2], prepared.validation)
    return np.concatenate(right).mean(0)


def heads(model, prepared):
    """Return the induction score of each head, (n_layers, H), where a word asks that was there before."""
    ids, targets = prepared.validation[0]
    maps = attention_maps(model, ids).values()
    return np.array([induction_scores(weights, ids, targets != NextToken.ignored) for weights in maps])


def measure(model, prepared):
    """Return the accuracies after no example, after one and after all others, and the highest induction score."""
    shares, score = curve(model, prepared), heads(model, prepared).max()
    found = {"after_0": shares[0], "after_1": shares[1], "accuracy": shares[-1], "induction": score}
    return {name: float(value) for name, value in found.items()}, shares


def report(run, prepared, measured, shares):
    """Print the curve; return commands to try next."""
    print("Right after so many examples: " + ", ".join(f"{i}: {share:.2f}" for i, share in enumerate(shares)))
    print(f"One head has {measured['induction']:.2f} of its weight on what followed earlier places of the word")
    return [
        command("sample", run.folder, "--prompt", prepared.kept[:-2], "--tokens", 1, "--temperature", 0),
        command("train", run.name, "--kind", "words"),
    ]


RECIPE = Recipe(
    system="few-shot GPT",
    paper="Brown et al. 2020; Olsson et al. 2022",
    learns="labels from examples before",
    model=GPT,
    config=GPTConfig,
    task=NextToken,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(accuracy=(0.96, 0.03), step=500, minutes=0.5),
    about="Train a small GPT, banded and dense blocks in turn, to learn from the examples in its context: which label a "
    "letter has, or the topic of a word. The labels are new in each row.",
    usage="[--kind words]",
    example="--kind words --n-examples 16 --out runs/words",
)
