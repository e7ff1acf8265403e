"""t5: a T5 learns to write dates in ISO form, or to translate pairs of texts: the data of the recipe transformer."""

from dataclasses import replace

from tinytx.models import T5, T5Config
from tinytx.recipes import Expect, transformer
from tinytx.recipes.pair_texts import PairSettings, prepare_pairs
from tinytx.recipes.settings import RunSettings
from tinytx.settings import extended
from tinytx.tasks.sequence_to_sequence import LossSettings

SETTINGS = extended(
    RunSettings, PairSettings, T5Config, LossSettings, without=("pad_id", "start_id", "stop_id"),
    shared_vocabulary=True, d_model=128, n_heads=4, d_key=32, d_ff=256, n_encoder_layers=2, n_decoder_layers=1,
    n_buckets=16, max_distance=32, dropout=0.0, label_smoothing=0.0, loss_form="cross_entropy",
    beta2=0.98, weight_decay=0.0, steps=1500,
)  # fmt: skip


def t5_config(settings, tokenizers):
    """Return the config of a T5; raise ValueError unless one vocabulary serves both sides."""
    if not settings.shared_vocabulary:
        raise ValueError("--no-shared-vocabulary: a T5 has one vocabulary for sources and targets: leave it out")
    special = {name: getattr(tokenizers[0], name) for name in ("pad_id", "start_id", "stop_id")}
    return T5Config(**settings.fields_of(T5Config) | special | {"vocab_size": tokenizers[0].vocab_size})


def prepare(settings, before):
    """Return what is `Prepared`: pairs of texts in batches of like lengths."""
    return prepare_pairs(settings, before, t5_config)


RECIPE = replace(
    transformer.RECIPE,
    system="T5",
    paper="arXiv:1910.10683",
    model=T5,
    config=T5Config,
    settings=SETTINGS,
    prepare=prepare,
    expect=Expect(exact_match=(0.993, 0.006), step=1500, minutes=1.5),
    about="Train a T5: relative positions, RMS norms, no biases; --gated --no-tied-head --activation gelu_tanh make it "
    "version 1.1. Without flags it learns to write dates such as 'september 27, 1994' as 1994-09-27.",
    example="--pairs fra-eng.tsv --tokenizer subword --dropout 0.1 --out runs/t5",
)
