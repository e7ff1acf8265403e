"""elmo: recurrent nets read sentences in both directions, and learn tags from few of them (ELMo).

The language model learns from all sentences, without their tags. Then a linear map (`tinytx.training.Probe`) learns the tags
of some of them, from the vectors of each layer by itself, and from the learned mix of all.

``--words characters`` makes words' vectors of their characters, and ``--hide 12`` leaves all sentences with some twelve words out of
training: the report says what the maps make of these words where they are read for the first time.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.data import IGNORE_INDEX, LabelledBatches, Tokenizer, WordTokenizer, tokenizer_from_dict
from tinytx.models import Elmo, ElmoConfig
from tinytx.progress import tracked
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import RunSettings
from tinytx.recipes.tags import TaggedSettings, counts_of, sentences_digest, tagged_parts, tagged_row, vocabulary
from tinytx.settings import extended, setting
from tinytx.tasks import NextAndPrevious
from tinytx.training import fitted_probe
from tinytx.wording import command, counted

OPEN = ("NOUN", "VERB")  # tags of which there are always new words


class SentenceSettings(TaggedSettings):
    """Which sentences are read, and how many of them show their tags."""

    sentences: int = setting(6000, "sentences to generate", minimum=10, maximum=1_000_000, fixed=True, only={"tagged": (None,)})
    labelled: int = setting(500, "sentences whose tags the linear maps learn from; the language model sees no tags", minimum=1)
    hide: int = setting(
        0, "words that no sentence of training has, nouns or verbs, to be read for the first time when the model is judged",
        minimum=0, fixed=True, only={"tagged": (None,)},
    )  # fmt: skip
    probe_steps: int = setting(300, "steps of a linear map's training", minimum=1)


SETTINGS = extended(
    RunSettings, SentenceSettings, ElmoConfig, without=("vocab_size", "pad_id"),
    d_model=32, steps=800, lr=4e-3, warmup=50, weight_decay=0.0,
)  # fmt: skip


class Kept(NamedTuple):
    """What measures need.

    Attributes
    ----------
    tokenizer : Tokenizer
    sentences : list
        Those that are trained on.
    labelled, held_out : list
        Batches (ids, labels) of some of them, and of others. Ids are those of the tokenizer, and then those of words that
        occur in no sentence of training.
    counts : integers (all these words, n_tags)
        How often each has each tag in training.
    steps : int
        Of a probe.
    batch : function
        Returns, for such ids, what the task takes: ids that the model knows, and what else the body reads.
    """

    tokenizer: Tokenizer
    sentences: list
    labelled: list
    held_out: list
    counts: np.ndarray
    steps: int
    batch: Callable

    def read(self, ids):
        """Return what the body reads, for ids of all words."""
        return self.batch(ids)[-1]


def hidden(parts, n, seed):
    """Return sentences to train on and to judge by, and leave those out of the first that have one of n words, drawn at random.

    Parameters
    ----------
    parts : pair of lists of sentences
    n : int
    seed : int

    Raises
    ------
    ValueError
        If there are not so many words, or no sentence is left.
    """
    train, held_out = parts
    words = sorted({word for sentence in train for word, tag in sentence if tag in OPEN})
    if n > len(words):
        raise ValueError(f"--hide is {n}, of {counted(len(words), 'word')}: give a smaller one")
    drawn = {words[i] for i in np.random.default_rng(seed).permutation(len(words))[:n]}
    left = [sentence for sentence in train if not any(word in drawn for word, _ in sentence)]
    if not left:
        raise ValueError(f"--hide is {n}, and every sentence has one of these words: give a smaller one")
    return left, held_out


def batches_of(config, names, n_known, unk_id):
    """Return the function `Kept.batch`: words from number ``n_known`` on are unknown, and only their letters can be read.

    Parameters
    ----------
    config : ElmoConfig
    names : list of str
        All words, in the order of their ids.
    n_known, unk_id : int
    """
    beside = config.beside(names)
    for array in beside:
        array[config.pad_id] = 0
    return lambda ids: (np.where(ids < n_known, ids, unk_id), *(array[ids] for array in beside))


def prepare(settings, before):
    """Return what is `Prepared`: sentences for the language model, and tags for the probes."""
    parts = hidden(tagged_parts(settings), settings.hide, settings.seed)
    tokenizer = tokenizer_from_dict(before.meta.get("tokenizer")) if before else vocabulary(parts[0], settings)
    tags = sorted({tag for part in parts for sentence in part for _, tag in sentence})
    new = sorted({piece for part in parts for s in part for word, _ in s for piece in tokenizer.unknown(word)})
    every = WordTokenizer([*tokenizer.words, *new], tokenizer.special, lower=tokenizer.lower)  # of all words there are
    train, held_out = ([tagged_row(sentence, every, tags) for sentence in part] for part in parts)
    options = {"pad_id": tokenizer.pad_id, "seed": settings.seed}
    batches = LabelledBatches(*zip(*train), batch_size=settings.batch_size, **options)
    some, judged = (
        [*LabelledBatches(*zip(*rows), batch_size=64, **options).epoch()] for rows in (train[: settings.labelled], held_out)
    )
    sizes = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id}
    config = ElmoConfig(**settings.fields_of(ElmoConfig) | sizes)
    batch_of = batches_of(config, every.names, tokenizer.vocab_size, tokenizer.unk_id)
    counts = counts_of(train, every.vocab_size, len(tags))
    return Prepared(
        config=config,
        batch=lambda step: batch_of(batches(step)[0]),
        validation=[batch_of(ids) for ids, _ in judged],
        digests={"sentences": sentences_digest(*parts)},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[
            f"Sentences: {settings.tagged or 'generated'}, {len(train):,} to train on, {len(held_out):,} to validate; "
            f"{tokenizer.vocab_size:,} words; {counted(min(len(train), settings.labelled), 'sentence')} with {counted(len(tags), 'tag')}"
        ],
        kept=Kept(tokenizer, parts[0], some, judged, counts, settings.probe_steps, batch_of),
    )


def probed(read, kept):
    """Return what linear maps of some vectors say of the sentences held out, and the second map.

    Parameters
    ----------
    read : function (ids (B, T)) -> array (B, T, N, D)
        The vectors of N layers.
    kept : Kept

    Returns
    -------
    measured : dict
        The shares of right answers: ``tags``, of all words; ``ambiguous``, of those that have several tags where the language
        model has trained; ``senses``, of the same words, where the map says both the word and its tag, such as
        the noun "walk"; ``unseen``, the tags of words that occur in no sentence of training. Without such words, what is
        said of them is left out.
    probe : Probe
        The map that says senses; or, without, that of tags.
    """
    n_tags = kept.counts.shape[1]
    (vectors, tags, ids), (judged, right, words) = (_vectors(read, batches) for batches in (kept.labelled, kept.held_out))
    probe = fitted_probe(vectors, tags, n_tags, steps=kept.steps)
    found = probe(judged).argmax(axis=-1) == right
    several, asked = ((kept.counts[some] > 0).sum(axis=1) > 1 for some in (ids, words))
    measured = {"tags": float(found.mean())}
    unseen = kept.counts[words].sum(axis=1) == 0
    measured |= {"unseen": float(found[unseen].mean())} if unseen.any() else {}
    if several.any() and asked.any():
        senses, labels = np.unique(ids[several] * n_tags + tags[several], return_inverse=True)
        probe = fitted_probe(vectors[several], labels, len(senses), steps=kept.steps)
        said = senses[probe(judged[asked]).argmax(axis=-1)] == words[asked] * n_tags + right[asked]
        measured |= {"ambiguous": float(found[asked].mean()), "senses": float(said.mean())}
    return measured, probe


def _vectors(read, batches):
    """Return the vectors (n, N, D) of the words that have tags, their tags (n,) and their ids (n,)."""

    def of_batch(batch):
        ids, labels = batch
        asked = labels != IGNORE_INDEX
        return read(ids)[asked], labels[asked], ids[asked]

    return tuple(map(np.concatenate, zip(*workers.each(of_batch, batches))))


def layers_of(body, kept):
    """Return {name: function that reads ids, as `probed` takes it} of each layer, and of all together."""
    names = ["token", *(f"layer{n}" for n in range(1, body.config.n_layers + 1))]
    one = {name: lambda ids, n=n: body(kept.read(ids))[:, :, n : n + 1] for n, name in enumerate(names)}
    return one | {"mix": lambda ids: body(kept.read(ids))}


def measure(model, prepared):
    """Return perplexities, and what each layer, and the mix, knows of tags (`probed`)."""
    measured = model.measure(prepared.validation)
    for name, read in tracked([*layers_of(model.body, prepared.kept).items()], "layer's probes"):
        said, probe = probed(read, prepared.kept)
        measured |= {f"{name}_{what}": value for what, value in said.items()}
    return measured, {"shares": probe.shares}


def report(run, prepared, measured, examples):
    """Print a table of the right answers, and the shares of the mix; return commands to try next."""
    print(f"Perplexity of the next word {measured['next_perplexity']:.1f}, of the previous word {measured['previous_perplexity']:.1f}")
    print("Right, by a linear map of   tags of all words   of ambiguous ones   ambiguous words and their tags")
    layers = [*layers_of(run.trainer.model.body, prepared.kept)]
    for name in layers:
        shares = (measured.get(f"{name}_{what}", np.nan) for what in ("tags", "ambiguous", "senses"))
        print("  {:26}{:17.3f}{:20.3f}{:33.3f}".format(name, *shares))
    if "mix_unseen" in measured:
        figures = ", ".join(f"{name} {measured[f'{name}_unseen']:.3f}" for name in layers)
        print(f"Tags of words that no sentence of training has: {figures}")
    print(f"Shares in the mix, for the last column: {', '.join(f'{share:.2f}' for share in examples['shares'])}")
    others = "--words characters --hide 12", "--tagged FILE --valid FILE"
    return [command("profile", run.folder), *(command(*f"train elmo {flags}".split()) for flags in others)]


RECIPE = Recipe(
    system="ELMo",
    paper="arXiv:1802.05365",
    learns="generated sentences, or --tagged FILE",
    model=Elmo,
    config=ElmoConfig,
    task=NextAndPrevious,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(mix_senses=(0.99, 0.015), step=800, minutes=0.5),
    about="Train a language model in both directions on sentences without their tags; then learn the tags of some of them, by a "
    "linear map of the vectors of each layer, and of their learned mix. Without flags it reads generated sentences in which "
    "forty words are nouns or verbs, by what stands around them.",
    usage="[--tagged FILE] [--valid FILE]",
    example="--tagged train.tsv --valid dev.tsv --d-model 256 --out runs/elmo",
)
