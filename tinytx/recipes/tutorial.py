"""tutorial: BERT as a well known from-scratch tutorial trains it (Whiax, BERT-Transformer-Pytorch)."""

from dataclasses import replace

from tinytx.models import BertConfig
from tinytx.recipes import DataFile, Expect, bert
from tinytx.settings import extended

SETTINGS = extended(
    bert.SETTINGS, BertConfig.tutorial(vocab_size=3), without=("vocab_size", *bert.FROM_DATA),
    head="untied", mask_unknown=True, batch_size=128, drop_last=True, train_fraction=1.0, optimizer="adam", lr=2e-3,
    schedule="constant", warmup=0, weight_decay=1e-4, decay_all=True, clip=0.0, steps=30_000,
)  # fmt: skip
EUROPARL = DataFile(
    name="europarl.fr",
    address="https://www.statmt.org/europarl/v7/fr-en.tgz",
    member="europarl-v7.fr-en.fr",
    licence="no known restrictions (Koehn 2005)",
    size=520_093,  # of the first lines, on which the figure was measured
    longer=True,
    checksum="7694522a741ffb9203fb5c7b74123f67c8e673a7ffbd1577181595d0b45de259",
)
RECIPE = replace(
    bert.RECIPE,
    paper="Whiax, BERT-Transformer-Pytorch",
    learns="--data FILE (europarl.fr)",
    settings=SETTINGS,
    data={"data": EUROPARL},
    expect=Expect(
        train_loss=(3.7, 0.25), step=1000, minutes=3.5, settings={"data": EUROPARL, "lines": 2999, "log_every": 1}
    ),
    about="Train BERT with the settings of the from-scratch tutorial: 30,000 steps, hours.",
)
