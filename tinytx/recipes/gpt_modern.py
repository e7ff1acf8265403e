"""gpt_modern: the recipe gpt with the parts that decoders have today, and as many parameters.

Rotary positions, RMS norms, gates with a SiLU, two heads of queries for each head of keys, and no biases: a `Llama` in
place of a `GPT`. ``d_ff`` is chosen so that both have the same number of parameters, 808 thousand and 810 thousand with
tinyshakespeare's 65 characters. All else is as in the recipe gpt; `examples/gpt_modern.py` compares them.
"""

from dataclasses import replace

from tinytx.models import Llama, LlamaConfig
from tinytx.recipes import Expect, gpt
from tinytx.recipes.settings import RunSettings
from tinytx.recipes.texts import SHAKESPEARE, TextSettings
from tinytx.settings import extended

SETTINGS = extended(
    RunSettings, TextSettings, LlamaConfig, without=("vocab_size",),
    max_len=64, n_kv_heads=2, d_ff=392, tied_head=True, min_lr=1e-4, beta2=0.99, weight_decay=0.1,
)  # fmt: skip


def prepare(settings, before):
    """Return what is `Prepared`, for a Llama."""
    return gpt.prepare_windows(settings, before, LlamaConfig)


RECIPE = replace(
    gpt.RECIPE,
    system="modern GPT",
    paper="Touvron et al. 2023, arXiv:2302.13971",
    model=Llama,
    config=LlamaConfig,
    settings=SETTINGS,
    prepare=prepare,
    expect=Expect(val_loss=(1.956, 0.03), step=500, minutes=0.5, settings={"data": SHAKESPEARE}),
    about="Train a character-level GPT with today's parts: rotary positions, RMS norms, gates, shared heads of keys. "
    "Without flags it learns built-in text, a minute or two, with as many parameters as the recipe gpt.",
)
