"""albert: ALBERT in a laptop's size: one block for all layers, a narrow table of words, and the order of two sentences.

The figure is that of the first minutes: until about step 700 the model knows little more than how frequent words are, and it
gets better with each step after that. Whether two sentences are swapped takes far longer to learn.
"""

from dataclasses import replace

from tinytx.models import Albert, AlbertConfig
from tinytx.recipes import Expect, bert
from tinytx.recipes.settings import RunSettings
from tinytx.recipes.wordpieces import WIKITEXT
from tinytx.settings import extended
from tinytx.tasks.hidden_words import HeadSettings

SETTINGS = extended(
    RunSettings, bert.MaskedTextSettings, AlbertConfig, HeadSettings, without=bert.FROM_DATA,
    tokenizer="wordpieces", vocab_size=4000, pairs="order", always_mask=False, max_len=64, batch_size=32, d_embedding=64,
    d_model=128, n_heads=4, n_layers=4, warmup=200, adam_eps=1e-6, weight_decay=0.01, steps=1500,
)  # fmt: skip


def config_of(settings, **from_data):
    """Return the config of an ALBERT, whose texts have two parts or one."""
    return AlbertConfig(**settings.fields_of(AlbertConfig) | from_data, n_segments=2)


def prepare(settings, before):
    """Return what is `Prepared`: pairs of sentences, in order or swapped, in which words are hidden."""
    return bert.prepare(settings, before, config_of)


RECIPE = replace(
    bert.RECIPE,
    system="ALBERT",
    paper="arXiv:1909.11942",
    model=Albert,
    config=AlbertConfig,
    settings=SETTINGS,
    prepare=prepare,
    data={"data": WIKITEXT},
    expect=Expect(accuracy=(0.17, 0.03), step=1500, minutes=2, settings={"data": WIKITEXT, "layout": "prose"}),
    about="Train ALBERT: one block for all layers, a narrow table of words, and pairs: are the two sentences swapped?",
)
