"""Where a trained ViT looks: some digits of a file, and over each the attention of the class token, by layer and head.

    python -m tinytx train digits --images optdigits.tra --test optdigits.tes --out runs/digits
    python examples/digit_attention.py runs/digits optdigits.tes

writes digit_attention_0.png, digit_attention_1.png, ... into --out: lines are layers, columns are heads. Of a SimpleViT, which
has no class token, it draws how much of each patch all positions hear. --quick draws a model without training on images of
noise, in a second.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx.data import read_images
from tinytx.models import ViT, ViTConfig
from tinytx.tasks import ImageClasses
from tinytx.training import load_checkpoint
from tinytx.viz import attention_maps, image_attention_picture


def untrained():
    """Return a small model, and images (N, H, W, C) of noise with classes (N,)."""
    rng = np.random.default_rng(0)
    config = ViTConfig(image_size=8, patch_size=2, n_channels=1, d_model=16, n_heads=2, n_layers=1)
    return ImageClasses(ViT(config, rng=rng), n_classes=2, rng=rng), rng.random((2, 8, 8, 1)), np.arange(2)


def main():
    """Draw the first image of each class, as far as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="folder of a run of the recipe digits or simple_digits")
    parser.add_argument("images", nargs="?", help="CSV file of images")
    parser.add_argument("--out", default=".", help="folder of the pictures")
    parser.add_argument("--n", type=int, default=3, help="how many images")
    parser.add_argument("--quick", action="store_true", help="a model without training, and noise")
    arguments = parser.parse_args()
    if arguments.quick:
        model, images, labels = untrained()
    elif arguments.images is None:
        parser.error("give the folder of a run, and a file of images; or --quick")
    else:
        model, _, meta = load_checkpoint(arguments.run)
        images, labels = read_images(arguments.images, largest=meta["settings"]["white"])
    images = images.astype(model.parameters()[0].data.dtype)
    chosen = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)[: arguments.n]]
    maps, said = attention_maps(model, images[chosen]), model(images[chosen]).argmax(-1)
    for row, i in enumerate(chosen):
        path = Path(arguments.out) / f"digit_attention_{row}.png"
        title = f"A {labels[i]}, taken for a {said[row]}"
        query = 0 if model.config.class_token else None
        image_attention_picture(path, images[i], maps, model.config.patch_size, query=query, row=row, title=title)
        print(f"{title}: {path}")


if __name__ == "__main__":
    main()
