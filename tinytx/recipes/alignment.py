"""alignment: a Transformer learns to translate an invented language, and one head of it to say which word translates which.

How often a word is translated is drawn for each occurrence (`tinytx.data.Dictionary`). So the decoder cannot know which
source word comes next before it has read the translation, and a head behind the causal mask is often wrong. The second
pass, which sees the whole target, is not.

The loss of the links has the weight 1. With the paper's 0.05 a model of this size learns them too slowly: after as many
steps its alignment error rate is 0.51 in place of 0.014, and the likeliest word is right for 0.56 in place of 0.66.
``--no-full-context`` reaches 0.32. `examples/alignment.py` compares them, and draws the links.
"""

import numpy as np

from tinytx.data import Dictionary, build_tokenizers, encode_pairs, pad
from tinytx.models import AlignedTransformer, AlignedTransformerConfig
from tinytx.recipes import Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings
from tinytx.recipes.transformer import FROM_DATA
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import AlignedSequenceToSequence
from tinytx.tasks.aligned_sequence_to_sequence import AlignedLossSettings, link_shares
from tinytx.wording import command

LEARNED, HELD_OUT = 0, 1  # streams of random numbers
LONGEST = 64  # words of a sentence; each has at most two translations
JUDGED, AT_A_TIME = 320, 64  # sentences


class SentenceSettings(Settings):
    """Which sentences are translated."""

    n_words: int = setting(120, "words of the invented language", minimum=3, maximum=980, fixed=True)
    shortest: int = setting(4, "words in the shortest sentence", minimum=1, maximum=LONGEST, fixed=True)
    longest: int = setting(12, "words in the longest sentence", minimum=1, maximum=LONGEST, fixed=True)
    batch_size: int = setting(32, "sentences in a step", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, SentenceSettings, AlignedTransformerConfig, AlignedLossSettings, without=(*FROM_DATA, "max_len"),
    d_model=64, n_heads=4, n_encoder_layers=2, n_decoder_layers=2, dropout=0.0, norm_order="pre", tied="two-way",
    alignment_weight=1.0, label_smoothing=0.0, loss_form="cross_entropy",
    lr=2e-3, beta2=0.98, weight_decay=0.0, steps=2500,
)  # fmt: skip


def tokenizers_of(dictionary):
    """Return (source tokenizer, target tokenizer) of all words of a `tinytx.data.Dictionary`."""
    pairs = [(word, " ".join(said)) for word, said in dictionary.translations.items()]
    return build_tokenizers(pairs, "words", min_count=1)


def linked_batch(sentences, tokenizers, dtype):
    """Return (source, target, links) of `tinytx.data.Aligned` sentences, as the task's ``loss`` takes them."""
    sources, targets, *_ = encode_pairs([sentence[:2] for sentence in sentences], *tokenizers)
    source, target = pad(sources, 0), pad(targets, 0)
    shape = len(sentences), target.shape[1] - 1, source.shape[1]
    return source, target, link_shares([sentence.links for sentence in sentences], shape, dtype)


def prepare(settings, before):
    """Return what is `Prepared`: each step has new sentences; ``kept`` are the tokenizers and a sentence that is held out."""
    if settings.shortest > settings.longest:
        raise ValueError(f"--shortest is {settings.shortest}, expected at most --longest, {settings.longest}")
    dictionary, lengths = Dictionary(settings.n_words), (settings.shortest, settings.longest)
    tokenizers = tokenizers_of(dictionary)

    def batch(step):
        rng = np.random.default_rng((LEARNED, settings.seed, step))
        return linked_batch(dictionary.sentences(rng, settings.batch_size, *lengths), tokenizers, settings.dtype)

    held_out = dictionary.sentences(np.random.default_rng(HELD_OUT), JUDGED, *lengths)
    source, target = tokenizers
    sizes = {"source_vocab_size": source.vocab_size, "target_vocab_size": target.vocab_size}
    options = settings.fields_of(AlignedTransformerConfig) | sizes | {"max_len": 2 * LONGEST + 1}
    words = f"{settings.n_words} words, and two translations of each; sentences of {settings.shortest} to {settings.longest}"
    return Prepared(
        config=AlignedTransformerConfig(**options),
        task_settings=settings.fields_of(AlignedLossSettings),
        batch=batch,
        validation=[
            linked_batch(held_out[first : first + AT_A_TIME], tokenizers, settings.dtype)
            for first in range(0, JUDGED, AT_A_TIME)
        ],
        tokenizers={"source_tokenizer": source.to_dict(), "target_tokenizer": target.to_dict()},
        lines=[f"An invented language: {words} words; such as {held_out[0].source} -> {held_out[0].target}"],
        kept=held_out[0],
    )


def report(run, prepared, measured, examples):
    """Print the measures, and the links of a sentence that was held out; return commands to try next."""
    sentence, (source, target, _) = prepared.kept, prepared.validation[0]
    (found,) = run.trainer.model.align(source[:1], target[:1])
    words, said = sentence.source.split(), sentence.target.split()
    print(f"Alignment error rate {measured['alignment_error_rate']:.4f}")
    print(f"Perplexity {measured['perplexity']:.3f} per word; the likeliest word is right for {measured['accuracy']:.3f}")
    print(f"Read:    {sentence.source}")
    print(f"Linked:  {' '.join(f'{said[t]}-{words[s]}' for s, t in sorted(found, key=lambda link: link[1]))}")
    wrong = [f"{said[t]}-{words[s]}" for s, t in sorted(found - sentence.links, key=lambda link: link[1])]
    print(f"Wrong:   {' '.join(wrong) or 'none'}")
    return [
        command("translate", run.folder, sentence.source),
        command("explain", run.folder, sentence.source),
        command(*"train alignment --no-full-context".split()),
    ]


RECIPE = Recipe(
    system="Transformer with a head that aligns",
    paper="arXiv:1909.02074",
    learns="an invented language",
    model=AlignedTransformer,
    config=AlignedTransformerConfig,
    task=AlignedSequenceToSequence,
    settings=SETTINGS,
    prepare=prepare,
    report=report,
    expect=Expect(alignment_error_rate=(0.02, 0.02), step=2500, minutes=0.5),
    about="Train a Transformer to translate an invented language word by word, and one head of its decoder to say which word "
    "of the source each word translates (Garg et al. 2019).",
    usage="[--n-words N] [--no-full-context]",
    example="--no-full-context --out runs/causal",
)
