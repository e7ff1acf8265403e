"""simple_digits: a SimpleViT learns the digits of the recipe digits: no class token, fixed positions, the mean of all patches."""

from dataclasses import replace

from tinytx.models import ViTConfig
from tinytx.recipes import Expect, digits
from tinytx.settings import extended

SIMPLE = {name: getattr(ViTConfig.simple(), name) for name in ("class_token", "positions")}
SETTINGS = extended(digits.SETTINGS, **SIMPLE, pooling="mean", dropout=0.0)
RECIPE = replace(
    digits.RECIPE,
    system="SimpleViT",
    paper="Beyer et al. 2022, Better plain ViT baselines for ImageNet-1k",
    settings=SETTINGS,
    expect=Expect(accuracy=(0.953, 0.013), step=300, minutes=0.5, settings={"images": digits.TRAIN, "test": digits.TEST}),
    example="--images optdigits.tra --test optdigits.tes --out runs/simple_digits",
)
