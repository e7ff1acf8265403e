"""recurrent_seq2seq: recurrent nets with attention learn to write dates in ISO form, or to translate pairs of texts.

The data is that of the recipe transformer. With attention where Bahdanau et al. have it (``--wiring before``) all of 2,500
held-out dates are right after 780 steps, which are three epochs. So they are with Luong's input feeding (``--wiring feeding
--attention general``).
"""

from dataclasses import replace

from tinytx.models import RecurrentSeq2Seq, RecurrentSeq2SeqConfig
from tinytx.recipes import Expect, transformer
from tinytx.recipes.pair_texts import PairSettings, prepare_pairs
from tinytx.recipes.settings import RunSettings
from tinytx.settings import extended
from tinytx.tasks.sequence_to_sequence import LossSettings

SETTINGS = extended(
    RunSettings, PairSettings, RecurrentSeq2SeqConfig, LossSettings, without=transformer.FROM_DATA,
    attention="additive", cell="gru", d_embedding=64, d_model=128, label_smoothing=0.0, loss_form="cross_entropy",
    lr=3e-3, weight_decay=0.0, steps=1200,
)  # fmt: skip


def recurrent_config(settings, tokenizers):
    """Return the config of the model."""
    source, target = tokenizers
    sizes = {"source_vocab_size": source.vocab_size, "target_vocab_size": target.vocab_size}
    return RecurrentSeq2SeqConfig(**settings.fields_of(RecurrentSeq2SeqConfig) | sizes)


def prepare(settings, before):
    """Return what is `Prepared`: pairs of texts in batches of like lengths."""
    return prepare_pairs(settings, before, recurrent_config)


RECIPE = replace(
    transformer.RECIPE,
    system="encoder-decoder of GRUs, with attention",
    paper="arXiv:1409.0473",
    model=RecurrentSeq2Seq,
    config=RecurrentSeq2SeqConfig,
    settings=SETTINGS,
    prepare=prepare,
    expect=Expect(exact_match=(1, 0.003), step=1200, minutes=0.5),
    about="Train an encoder-decoder of recurrent nets with additive attention (Bahdanau et al. 2014) in the order of Luong "
    "et al. 2015. Without flags it learns to write dates such as 'september 27, 1994' as 1994-09-27. --attention none "
    "leaves the encoder's final state alone (Sutskever et al. 2014), and --cell lstm --reads right makes it theirs. --wiring "
    "before is the order of Bahdanau et al., and feeding that of Luong et al. whole.",
    example="--attention general --cell lstm --out runs/luong",
)
