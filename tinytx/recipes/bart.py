"""bart: an encoder-decoder learns to restore a text whose sentences are permuted, and whose spans are hidden."""

import numpy as np

from tinytx.data import infilled, permuted_sentences
from tinytx.models import Transformer, TransformerConfig
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.noised_texts import (
    Noise,
    NoisedTextSettings,
    measure_restored,
    prepare_noised,
    report_restored,
)
from tinytx.recipes.settings import RunSettings
from tinytx.recipes.transformer import FROM_DATA
from tinytx.settings import extended, setting
from tinytx.tasks import SequenceToSequence
from tinytx.tasks.sequence_to_sequence import LossSettings

MASK = "<mask>"


class DenoisingSettings(NoisedTextSettings):
    """Which text is learned, what its words are, and how it is noised."""

    permute: bool = setting(True, "permute the sentences of a row, too")


SETTINGS = extended(
    RunSettings, DenoisingSettings, TransformerConfig.bart(3), LossSettings, without=(*FROM_DATA, "tied"),
    rate=0.3, row_len=24, lr=2e-3, batch_size=48, max_len=32, d_model=128, n_heads=4, d_ff=256, n_encoder_layers=2,
    n_decoder_layers=1, dropout=0.1, norm_order="pre", positions="sinusoidal", scaled_embedding=True, unused_positions=0,
    label_smoothing=0.0, loss_form="cross_entropy", beta2=0.98, steps=3000,
)  # fmt: skip


def bart_config(settings, tokenizer):
    """Return the config of a BART with the tokenizer's special tokens."""
    special = {name: getattr(tokenizer, name) for name in ("pad_id", "start_id", "stop_id")}
    sizes = dict.fromkeys(("source_vocab_size", "target_vocab_size"), tokenizer.vocab_size)
    return TransformerConfig(**settings.fields_of(TransformerConfig) | special | sizes)


def make_noise(settings, tokenizer):
    """Return the `Noise` of text infilling, after that of permuted sentences."""
    options = {"mask_id": tokenizer.mask_id, "rate": settings.rate, "mean_length": settings.mean_length}

    def noised(sentences, rng):
        given = permuted_sentences(sentences, rng=rng) if settings.permute else sentences
        return infilled(np.concatenate(given), rng=rng, **options), np.concatenate(sentences)

    return Noise(noised, lambda source, target: target)


def prepare(settings, before):
    """Return what is `Prepared`: rows of whole sentences, permuted and with hidden spans."""
    return prepare_noised(settings, before, bart_config, make_noise, (MASK,))


RECIPE = Recipe(
    system="BART",
    paper="arXiv:1910.13461",
    learns="built-in text, or --data FILE",
    model=Transformer,
    config=TransformerConfig,
    task=SequenceToSequence,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure_restored,
    report=report_restored,
    expect=Expect(bleu=(56, 1.5), step=3000, minutes=2.5),
    about="Pre-train a BART: spans of a text are hidden behind one mask each, its sentences are permuted, and the model "
    "writes the text as it was. Without flags: whole words, a small model, on built-in text, in a few minutes.",
    usage="[--data FILE] [--valid FILE]",
    example="--no-permute --rate 0.15 --out runs/infilling",
)
