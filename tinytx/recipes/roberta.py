"""roberta: RoBERTa in a laptop's size: byte pairs, rows of whole sentences, masks drawn anew, no pairs of sentences.

The paper's other difference is the size of its batches, 8,192 rows: ``--accumulate`` computes a large one in parts, with the
same gradient. Short rows, few byte pairs and matrices drawn wider than the paper's, ``init="fan_in"``, let a small model learn
in minutes. With rows of 64, 2,000 byte pairs and normal(0, 0.02), at half the learning rate, it knows little more than how
frequent the pieces are after 500 steps; here it begins to read at about step 500. A sentence longer than a row loses its
end; the run says how many do.

Of the hidden pieces, 42.5 % are guessed right (one seed; perplexity 15.6). One in fifteen belongs to "<unk>", which stands for a
rare word in this text, and 94 % of these are; of all others, 38.8 %. The most frequent piece, " the", is 2.8 % of them.

Masks drawn anew matter on so small a text, of which a run reads 30 epochs. With ``--static``, the same seed and the same steps,
the model learns its masks by heart: after 1,000 steps its loss is 1.19 in training and 4.96 in validation, which was best at
step 750, 4.59; with masks drawn anew 3.74 and 3.81, and validation falls to the end, 2.75. At step 500 static masks were a
little ahead, 5.39 and 5.52; their run was ended soon after step 1,000. (The paper's static masks are ten
for each row, in 40 epochs, and cost it little.)
"""

from dataclasses import replace

from tinytx.models import BertConfig
from tinytx.recipes import Expect, bert
from tinytx.recipes.wordpieces import WIKITEXT
from tinytx.settings import extended

SETTINGS = extended(
    bert.SETTINGS, tokenizer="subwords", vocab_size=1000, lower=False, full_sentences=True, always_mask=False, max_len=32,
    batch_size=64, n_layers=3, dropout=0.0, norm_order="post", positions="counted", eps=1e-5, init="fan_in", lr=2e-3,
    beta2=0.98, adam_eps=1e-6, warmup=400, steps=3000,
)  # fmt: skip


def config_of(settings, **from_data):
    """Return the config of a RoBERTa, which has one kind of segment."""
    return BertConfig(**settings.fields_of(BertConfig) | from_data, n_segments=2 if settings.pairs != "none" else 1)


def prepare(settings, before):
    """Return what is `Prepared`: rows of whole sentences in which words are hidden."""
    return bert.prepare(settings, before, config_of)


RECIPE = replace(
    bert.RECIPE,
    system="RoBERTa",
    paper="arXiv:1907.11692",
    settings=SETTINGS,
    prepare=prepare,
    data={"data": WIKITEXT},
    expect=Expect(accuracy=(0.425, 0.03), step=3000, minutes=6.5, settings={"data": WIKITEXT, "layout": "prose"}),
    about="Train RoBERTa: byte pairs, rows of whole sentences, masks that are drawn anew, and no pairs of sentences.",
)
