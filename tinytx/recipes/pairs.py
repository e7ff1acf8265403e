"""pairs: an encoder-decoder learns to translate pairs of texts from a file of the user's own."""

from tinytx.recipes import transformer
from tinytx.recipes.transformer import FAMILY, HELP, measure, report
from tinytx.settings import extended

SETTINGS = extended(
    transformer.SETTINGS, tokenizer="subword", shared_vocabulary=True, max_tokens=1000, d_model=256,
    n_decoder_layers=2, d_ff=512, dropout=0.1, label_smoothing=0.1, lr=1.5e-3, warmup=200, report_pairs=1000, steps=6000,
)  # fmt: skip
HELP = HELP | {
    "description": "Train the Transformer of 'Attention is all you need' to translate pairs of texts of your own.",
    "example": "--pairs fra-eng.tsv --tokenizer word --d-model 128 --out runs/french",
}


def prepare(settings, before):
    """Return what is `Prepared`; raise ValueError where no pairs are named."""
    if settings.pairs is None and settings.source is None:
        files = "give --pairs FILE.tsv, or --source FILE and --target FILE"
        raise ValueError(f"train pairs: no pairs are named: {files}; train transformer learns dates")
    return transformer.prepare(settings, before)


__all__ = ["FAMILY", "HELP", "SETTINGS", "measure", "prepare", "report"]
