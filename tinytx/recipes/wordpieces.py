"""wordpieces: BERT as the paper has it, with pieces of words, pairs of sentences and 80/10/10, in a laptop's size.

On wikitext2.valid.txt it says 28.8 % of the hidden pieces right, perplexity 82, and tells 57 % of the pairs apart (one seed).
Pairs are drawn anew in each epoch; ``examples/bert_pretraining.py``, which draws them once and holds out other documents, has
figures of its own.
"""

from dataclasses import replace

from tinytx.recipes import DataFile, Expect, bert
from tinytx.settings import extended

SETTINGS = extended(
    bert.SETTINGS, tokenizer="wordpieces", vocab_size=4000, pairs="next", always_mask=False, max_len=64, batch_size=32,
    norm_order="post", warmup=400, adam_eps=1e-6, steps=4000,
)  # fmt: skip
WIKITEXT = DataFile(
    name="wikitext2.valid.txt",
    address="https://huggingface.co/datasets/Salesforce/wikitext, the validation part of wikitext-2-v1, as text",
    by_hand=True,
    licence="CC BY-SA 3.0",
    size=1_121_681,
    checksum="f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
)
RECIPE = replace(
    bert.RECIPE,
    settings=SETTINGS,
    data={"data": WIKITEXT},
    expect=Expect(accuracy=(0.288, 0.04), step=4000, minutes=6, settings={"data": WIKITEXT, "layout": "prose"}),
    about="Train BERT on word pieces and pairs of sentences: does the second follow the first?",
)
