"""unilm: one stack learns hidden words under three masks, and writes dates in ISO form, or translates pairs of texts.

The paper then fine-tunes from source to target alone: ``--resume RUN --both-ways 0 --left-to-right 0 --steps MORE``.
"""

from dataclasses import replace

import numpy as np

from tinytx.data import hidden_three_ways
from tinytx.data.batches.three_masks import WAYS
from tinytx.data.tokenizers.tokenizer import SPECIAL
from tinytx.models import Unilm, UnilmConfig
from tinytx.recipes import Expect, transformer
from tinytx.recipes.pair_texts import PairSettings, measure_pairs, prepare_pairs, report_pairs
from tinytx.recipes.settings import RunSettings
from tinytx.settings import extended, setting
from tinytx.tasks import UnifiedWords
from tinytx.tasks.hidden_words import HeadSettings

MASK = "<mask>"
FROM_DATA = ("n_segments", "pad_id", "start_id", "stop_id", "mask_id", "next_sentence")


class WaysSettings(PairSettings):
    """Which pairs are learned, what their tokens are, how rows are read, and which words are hidden."""

    both_ways: float = setting(0.1, "share of rows that are read both ways, as BERT's", minimum=0, maximum=1)
    left_to_right: float = setting(
        0.1, "share of rows that are read left to right, as a GPT's; the rest from sequence to sequence", minimum=0, maximum=1
    )
    mask_rate: float = setting(0.15, "share of words that are hidden in these rows", minimum=0, maximum=1)
    target_rate: float = setting(0.7, "share of a target's words that are hidden in the others", minimum=0, maximum=1)


SETTINGS = extended(
    RunSettings, WaysSettings, UnilmConfig(5), HeadSettings, without=FROM_DATA,
    shared_vocabulary=True, d_model=64, n_heads=4, n_layers=3, d_ff=128, dropout=0.0, norm_order="pre", eps=1e-5,
    max_tokens=1200, lr=4e-3, beta2=0.98, weight_decay=0.0, report_pairs=1000, steps=5000,
)  # fmt: skip


def unilm_config(settings, tokenizers):
    """Return the config of a UniLM, with room for a source, a target and their frame; one vocabulary serves both sides."""
    if not settings.shared_vocabulary:
        raise ValueError("--no-shared-vocabulary: a UniLM has one vocabulary for sources and targets: leave it out")
    tokenizer = tokenizers[0]
    special = {name: getattr(tokenizer, name) for name in ("pad_id", "start_id", "stop_id", "mask_id")}
    sizes = {"vocab_size": tokenizer.vocab_size, "max_len": 2 * settings.max_len + 2}
    return UnilmConfig(**settings.fields_of(UnilmConfig) | special | sizes)


def prepare(settings, before):
    """Return what is `Prepared`: pairs of texts, each row read in one of three ways, with hidden words."""
    shares = settings.both_ways, settings.left_to_right, 1 - settings.both_ways - settings.left_to_right
    if shares[2] < 0:
        raise ValueError(f"--both-ways {shares[0]:g} and --left-to-right {shares[1]:g} are more than 1 together")
    prepared = prepare_pairs(settings, before, unilm_config, special=(*SPECIAL, MASK))
    config = prepared.config
    options = {"pad_id": config.pad_id, "mask_id": config.mask_id, "shares": shares}
    options |= {"rate": settings.mask_rate, "target_rate": settings.target_rate}

    def hidden(batch, *stream):
        return hidden_three_ways(*batch, rng=np.random.default_rng([settings.seed, *stream]), **options)

    return prepared._replace(
        task_settings=settings.fields_of(HeadSettings),
        batch=lambda step: hidden(prepared.batch(step), 1, step),
        validation=[hidden(batch, 2, i) for i, batch in enumerate(prepared.validation)],
    )


def report(run, prepared, measured, hypotheses):
    """Print how well hidden words are said in each way, and some translations; return commands to try next."""
    for way in WAYS:
        if way in measured:
            print(f"Hidden words said right, {way.replace('_', ' ')}: {measured[way]:.1%}")
    translate, *_ = report_pairs(run, prepared, measured, hypotheses)
    return [translate, f"{translate} --beam 4"]


RECIPE = replace(
    transformer.RECIPE,
    system="UniLM",
    paper="arXiv:1905.03197",
    model=Unilm,
    config=UnilmConfig,
    task=UnifiedWords,
    settings=SETTINGS,
    prepare=prepare,
    measure=measure_pairs,
    report=report,
    expect=Expect(exact_match=(0.94, 0.07), step=5000, minutes=2),
    about="Train a UniLM: one stack reads pairs of texts both ways, left to right, or from source to target, and says hidden "
    "words. Without flags it learns to write dates such as 'september 27, 1994' as 1994-09-27.",
    example="--both-ways 0 --left-to-right 0 --out runs/target-only",
)
