"""elmo: recurrent nets read sentences in both directions, and learn tags from few of them (ELMo).

The language model learns from all sentences, without their tags. Then a linear map (`tinytx.training.Probe`) learns the tags
of some of them, from the vectors of each layer by itself, and from the learned mix of all.
"""

from typing import NamedTuple

import numpy as np

from tinytx.data import IGNORE_INDEX, LabelledBatches, Tokenizer, tokenizer_from_dict
from tinytx.models import Elmo, ElmoConfig
from tinytx.progress import tracked
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import RunSettings
from tinytx.recipes.tags import TaggedSettings, counts_of, sentences_digest, tagged_parts, tagged_row, vocabulary
from tinytx.settings import extended, setting
from tinytx.tasks import NextAndPrevious
from tinytx.training import fitted_probe
from tinytx.wording import command, counted


class SentenceSettings(TaggedSettings):
    """Which sentences are read, and how many of them show their tags."""

    sentences: int = setting(6000, "sentences to generate", minimum=10, maximum=1_000_000, fixed=True, only={"tagged": (None,)})
    labelled: int = setting(500, "sentences whose tags the linear maps learn from; the language model sees no tags", minimum=1)
    probe_steps: int = setting(300, "steps of a linear map's training", minimum=1)


SETTINGS = extended(
    RunSettings, SentenceSettings, ElmoConfig, without=("vocab_size", "pad_id"),
    d_model=32, steps=800, lr=4e-3, warmup=50, weight_decay=0.0,
)  # fmt: skip


class Kept(NamedTuple):
    """What measures need: sentences that are trained on, batches (ids, labels) of some of them and of others, counts (V, n_tags), and steps."""

    tokenizer: Tokenizer
    sentences: list
    labelled: list
    held_out: list
    counts: np.ndarray
    steps: int


def prepare(settings, before):
    """Return what is `Prepared`: sentences for the language model, and tags for the probes."""
    parts = tagged_parts(settings)
    tokenizer = tokenizer_from_dict(before.meta.get("tokenizer")) if before else vocabulary(parts[0], settings)
    tags = sorted({tag for part in parts for sentence in part for _, tag in sentence})
    train, held_out = ([tagged_row(sentence, tokenizer, tags) for sentence in part] for part in parts)
    options = {"pad_id": tokenizer.pad_id, "seed": settings.seed}
    batches = LabelledBatches(*zip(*train), batch_size=settings.batch_size, **options)
    some, judged = (
        [*LabelledBatches(*zip(*rows), batch_size=64, **options).epoch()] for rows in (train[: settings.labelled], held_out)
    )
    sizes = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id}
    return Prepared(
        config=ElmoConfig(**settings.fields_of(ElmoConfig) | sizes),
        batch=lambda step: batches(step)[:1],
        validation=[(ids,) for ids, _ in judged],
        digests={"sentences": sentences_digest(*parts)},
        tokenizers={"tokenizer": tokenizer.to_dict()},
        lines=[
            f"Sentences: {settings.tagged or 'generated'}, {len(train):,} to train on, {len(held_out):,} to validate; "
            f"{tokenizer.vocab_size:,} words; {counted(min(len(train), settings.labelled), 'sentence')} with {counted(len(tags), 'tag')}"
        ],
        kept=Kept(tokenizer, parts[0], some, judged, counts_of(train, tokenizer.vocab_size, len(tags)), settings.probe_steps),
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
        the noun "walk". Without such words, ``tags`` alone.
    probe : Probe
        The map that says senses; or, without, that of tags.
    """
    n_tags = kept.counts.shape[1]
    (vectors, tags, ids), (judged, right, words) = (_vectors(read, batches) for batches in (kept.labelled, kept.held_out))
    probe = fitted_probe(vectors, tags, n_tags, steps=kept.steps)
    found = probe(judged).argmax(axis=-1) == right
    several, asked = ((kept.counts[some] > 0).sum(axis=1) > 1 for some in (ids, words))
    measured = {"tags": float(found.mean())}
    if several.any() and asked.any():
        senses, labels = np.unique(ids[several] * n_tags + tags[several], return_inverse=True)
        probe = fitted_probe(vectors[several], labels, len(senses), steps=kept.steps)
        said = senses[probe(judged[asked]).argmax(axis=-1)] == words[asked] * n_tags + right[asked]
        measured |= {"ambiguous": float(found[asked].mean()), "senses": float(said.mean())}
    return measured, probe


def _vectors(read, batches):
    """Return the vectors (n, N, D) of the words that have tags, their tags (n,) and their ids (n,)."""
    parts = []
    for ids, labels in batches:
        asked = labels != IGNORE_INDEX
        parts.append((read(ids)[asked], labels[asked], ids[asked]))
    return tuple(map(np.concatenate, zip(*parts)))


def layers_of(body):
    """Return {name: function that reads ids, as `probed` takes it} of each layer, and of all together."""
    names = ["token", *(f"layer{n}" for n in range(1, body.config.n_layers + 1))]
    return {name: lambda ids, n=n: body(ids)[:, :, n : n + 1] for n, name in enumerate(names)} | {"mix": body}


def measure(model, prepared):
    """Return perplexities, and what each layer, and the mix, knows of tags (`probed`)."""
    measured = model.measure(prepared.validation)
    for name, read in tracked([*layers_of(model.body).items()], "layer's probes"):
        said, probe = probed(read, prepared.kept)
        measured |= {f"{name}_{what}": value for what, value in said.items()}
    return measured, {"shares": probe.shares}


def report(run, prepared, measured, examples):
    """Print a table of the right answers, and the shares of the mix; return commands to try next."""
    print(f"Perplexity of the next word {measured['next_perplexity']:.1f}, of the previous word {measured['previous_perplexity']:.1f}")
    print("Right, by a linear map of   tags of all words   of ambiguous ones   ambiguous words and their tags")
    for name in layers_of(run.trainer.model.body):
        shares = (measured.get(f"{name}_{what}", np.nan) for what in ("tags", "ambiguous", "senses"))
        print("  {:26}{:17.3f}{:20.3f}{:33.3f}".format(name, *shares))
    print(f"Shares in the mix, for the last column: {', '.join(f'{share:.2f}' for share in examples['shares'])}")
    return [command("profile", run.folder), command(*"train elmo --tagged FILE --valid FILE".split())]


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
