"""t5_text: a T5 is pre-trained on a text by span corruption: it says the words that were cut out."""

import numpy as np

from tinytx.data import corrupt_spans, restored_spans
from tinytx.data.batches.span_corruption import corrupted_sizes
from tinytx.models import T5, T5Config
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.noised_texts import (
    Noise,
    NoisedTextSettings,
    measure_restored,
    prepare_noised,
    report_restored,
)
from tinytx.recipes.settings import RunSettings
from tinytx.settings import extended
from tinytx.tasks import SequenceToSequence
from tinytx.tasks.sequence_to_sequence import LossSettings

SETTINGS = extended(
    RunSettings, NoisedTextSettings, T5Config.v1_1(3), LossSettings, without=("pad_id", "start_id", "stop_id"),
    max_len=64, d_model=64, n_heads=4, d_key=16, d_ff=128, n_encoder_layers=2, n_decoder_layers=2, dropout=0.1, lr=3e-3, batch_size=16,
    n_buckets=16, max_distance=32, label_smoothing=0.0, loss_form="cross_entropy", steps=1500,
)  # fmt: skip


def t5_config(settings, tokenizer):
    """Return the config of a T5 with the tokenizer's special tokens."""
    special = {name: getattr(tokenizer, name) for name in ("pad_id", "start_id", "stop_id")}
    return T5Config(**settings.fields_of(T5Config) | special | {"vocab_size": tokenizer.vocab_size})


def sentinels_of(settings):
    """Return the names of as many sentinels as a row has spans at most, as T5's own vocabulary names them."""
    _, n_spans = corrupted_sizes(settings.row_len, settings.rate, settings.mean_length)
    return tuple(f"<extra_id_{k}>" for k in range(n_spans))


def make_noise(settings, tokenizer):
    """Return the `Noise` of span corruption."""
    sentinels = [tokenizer.special_id(name) for name in tokenizer.special if name.startswith("<extra_id_")]
    options = {"sentinels": sentinels, "rate": settings.rate, "mean_length": settings.mean_length}
    return Noise(
        lambda sentences, rng: corrupt_spans(np.concatenate(sentences), rng=rng, **options),
        lambda source, target: restored_spans(source, target, sentinels),
    )


def prepare(settings, before):
    """Return what is `Prepared`: rows of whole sentences, out of which spans are cut."""
    return prepare_noised(settings, before, t5_config, make_noise, sentinels_of(settings))


RECIPE = Recipe(
    system="T5",
    paper="arXiv:1910.10683",
    learns="built-in text, or --data FILE",
    model=T5,
    config=T5Config,
    task=SequenceToSequence,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure_restored,
    report=report_restored,
    expect=Expect(accuracy=(0.435, 0.02), step=1500, minutes=0.5),
    about="Pre-train a T5 by span corruption: spans of words are cut out of a text, and the model says them. Without flags: "
    "whole words, rows of at most 62, a small model of version 1.1, on built-in text, in a few minutes.",
    usage="[--data FILE] [--valid FILE]",
    example="--data europarl.fr --lines 2999 --out runs/french-t5",
)
