"""wordpieces: BERT as the paper has it, with pieces of words, pairs of sentences and 80/10/10, in a laptop's size."""

from tinytx.recipes.bert import FAMILY, HELP, measure, prepare, report
from tinytx.recipes.bert import SETTINGS as BERT
from tinytx.settings import extended

SETTINGS = extended(
    BERT, tokenizer="wordpieces", vocab_size=4000, pairs="next", always_mask=False, max_len=64, batch_size=32,
    norm_order="post", warmup=400, adam_eps=1e-6, steps=4000,
)  # fmt: skip
HELP = HELP | {"description": "Train BERT on word pieces and pairs of sentences: does the second follow the first?"}

__all__ = ["FAMILY", "HELP", "SETTINGS", "measure", "prepare", "report"]
