"""tutorial: BERT as a well known from-scratch tutorial trains it (Whiax, BERT-Transformer-Pytorch)."""

from tinytx.models import BertConfig
from tinytx.recipes.bert import FAMILY, FROM_DATA, HELP, measure, prepare, report
from tinytx.recipes.bert import SETTINGS as BERT
from tinytx.settings import extended

SETTINGS = extended(
    BERT, BertConfig.tutorial(vocab_size=3), without=("vocab_size", *FROM_DATA),
    mask_unknown=True, batch_size=128, drop_last=True, train_fraction=1.0, optimizer="adam", lr=2e-3,
    schedule="constant", warmup=0, weight_decay=1e-4, decay_all=True, clip=0.0, steps=30_000,
)  # fmt: skip
HELP = HELP | {"description": "Train BERT with the settings of the from-scratch tutorial: 30,000 steps, hours."}

__all__ = ["FAMILY", "HELP", "SETTINGS", "measure", "prepare", "report"]
