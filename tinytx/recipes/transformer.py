"""transformer: an encoder-decoder learns to write dates in ISO form, or to translate pairs of texts.

The recipe `tinytx.recipes.pairs` has other settings, for pairs of the user's own, and the rest from here.
"""

from tinytx.models import Transformer, TransformerConfig
from tinytx.recipes import Expect, Recipe
from tinytx.recipes.pair_texts import PairSettings, measure_pairs, prepare_pairs, report_pairs
from tinytx.recipes.settings import RunSettings
from tinytx.settings import extended, setting
from tinytx.tasks import SequenceToSequence
from tinytx.tasks.sequence_to_sequence import LossSettings

FROM_DATA = ("source_vocab_size", "target_vocab_size", "pad_id", "start_id", "stop_id")


class TransformerSettings(PairSettings):
    """Which pairs are learned, what their tokens are, and which layers share a matrix."""

    tied: str | None = setting(
        None, "which layers share a matrix: both embeddings and the head; the target's embedding and the head; none (if "
        "not given, as many as the vocabularies allow)", choices=("three-way", "two-way", "none"),
    )  # fmt: skip


SETTINGS = extended(
    RunSettings, TransformerSettings, TransformerConfig, LossSettings, without=FROM_DATA,
    d_model=128, n_heads=4, n_encoder_layers=2, n_decoder_layers=1, d_ff=256, dropout=0.0, norm_order="pre",
    label_smoothing=0.0, beta2=0.98, weight_decay=0.0, steps=1500,
)  # fmt: skip


def transformer_config(settings, tokenizers):
    """Return the config of a Transformer; if nothing was chosen, as many layers share a matrix as the vocabularies allow."""
    if settings.tied == "three-way" and not settings.shared_vocabulary:
        raise ValueError("--tied three-way makes one table of both embeddings: it needs --shared-vocabulary")
    source, target = tokenizers
    sizes = {"source_vocab_size": source.vocab_size, "target_vocab_size": target.vocab_size}
    tied = settings.tied or ("three-way" if settings.shared_vocabulary else "two-way")
    return TransformerConfig(**settings.fields_of(TransformerConfig) | sizes | {"tied": tied})


def prepare(settings, before):
    """Return what is `Prepared`: pairs of texts in batches of like lengths."""
    return prepare_pairs(settings, before, transformer_config)


RECIPE = Recipe(
    system="Transformer",
    paper="arXiv:1706.03762",
    learns="generated dates",
    model=Transformer,
    config=TransformerConfig,
    task=SequenceToSequence,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure_pairs,
    report=report_pairs,
    expect=Expect(exact_match=(0.9996, 0.003), step=1500, minutes=1.5),
    about="Train the Transformer of 'Attention is all you need'. Without flags it learns to write dates such as "
    "'september 27, 1994' as 1994-09-27, from generated ones, in a few minutes. For pairs of your own the recipe pairs "
    "has better defaults.",
    usage="[--pairs FILE.tsv | --source FILE --target FILE] [--valid FILE.tsv] [--test FILE.tsv]",
    example="--dates 20000 --d-model 64 --out runs/dates",
)
