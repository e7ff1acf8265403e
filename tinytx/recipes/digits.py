"""digits: a small ViT learns from scratch which digit a handwritten one is."""

import numpy as np

from tinytx.data import ImageBatches, read_images
from tinytx.models import ViT, ViTConfig
from tinytx.recipes import DataFile, Expect, Prepared, Recipe
from tinytx.recipes.settings import MOST_ROWS, RunSettings, digest
from tinytx.settings import Settings, extended, setting
from tinytx.tasks import ImageClasses
from tinytx.tasks.heads import ImageClassSettings
from tinytx.wording import command, counted

FROM_DATA = ("image_size", "n_channels", "n_classes")  # settings of model and task that the data decides
SHADES = " .:-=+*#%@"
PICTURES = {  # what is done with other pictures, whose white is 255, as preprocessor_config.json says it
    "do_resize": True, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": False,
    "image_processor_type": "ViTImageProcessor",
}  # fmt: skip


class ImageSettings(Settings):
    """Which images are learned from."""

    images: str | None = setting(
        None, "CSV file to learn from: on each line the pixels of a square grey image, row by row, and its class", file=True
    )
    test: str | None = setting(None, "the same for images that validate, and are not trained on", file=True)
    white: int = setting(16, "what a white pixel is", minimum=1, fixed=True)
    shift: int = setting(0, "pixels by which an image is moved at most, in training", minimum=0, maximum=64)
    batch_size: int = setting(128, "images in a step", minimum=1, maximum=MOST_ROWS)


SETTINGS = extended(
    RunSettings, ImageSettings, ViTConfig, ImageClassSettings, without=FROM_DATA,
    patch_size=2, d_model=64, n_heads=4, n_layers=4, position_std=0.5, dropout=0.1, lr=3e-3, warmup=50, weight_decay=0.1, steps=300,
)  # fmt: skip


def prepare(settings, before):
    """Return what is `Prepared`: images that are trained on, and others that validate."""
    paths = settings.images, settings.test
    if None in paths:
        raise ValueError("there are no images: give --images FILE and --test FILE, such as the two of data digits")
    (images, labels), (others, their_labels) = parts = [read_images(path, largest=settings.white) for path in paths]
    if others.shape[1:] != images.shape[1:]:
        raise ValueError(f"--test {settings.test} has images of shape {others.shape[1:]}, expected {images.shape[1:]}, as --images")
    classes = int(max(labels.max(), their_labels.max())) + 1
    images, others = (part.astype(settings.dtype) for part in (images, others))
    size = {"image_size": images.shape[1], "n_channels": images.shape[3]}
    return Prepared(
        config=ViTConfig(**settings.fields_of(ViTConfig) | size),
        task_settings=settings.fields_of(ImageClassSettings) | {"n_classes": classes},
        batch=ImageBatches(images, labels, batch_size=settings.batch_size, seed=settings.seed, shift=settings.shift),
        validation=list(ImageBatches(others, their_labels, batch_size=256, seed=0).epoch()),
        digests={"images": digest(*(str(array.tolist()) for part in parts for array in part))},
        tokenizers={"preprocessor": PICTURES | {"size": {"height": size["image_size"], "width": size["image_size"]}}},
        lines=[
            f"Images: {settings.images}, {counted(len(images), 'image')} of {size['image_size']} x {size['image_size']} pixels "
            f"in {classes} classes; {len(others):,} of {settings.test} to validate"
        ],
        kept=(others, their_labels),
    )


def drawn(image):
    """Return a grey image (H, W, 1) of numbers from 0 to 1 as lines of text, two characters for each pixel."""
    shades = (image[:, :, 0] * (len(SHADES) - 1)).round().astype(int)
    return ["".join(SHADES[shade] * 2 for shade in row) for row in shades]


def report(run, prepared, measured, examples, n=3):
    """Print the accuracy, and some images that the model takes for another class; return commands to try next."""
    images, labels = prepared.kept
    print(f"Told right: {measured['accuracy']:.1%} of {counted(len(images), 'image')}\n")
    said = np.concatenate([run.trainer.model(images[i : i + 256]).argmax(-1) for i in range(0, len(images), 256)])
    wrong = np.flatnonzero(said != labels)[:n]
    width = 2 * images.shape[2] + 4
    print("".join(f"{f'{said[i]} (it is {labels[i]})':{width}}" for i in wrong).rstrip())
    for lines in zip(*(drawn(images[i]) for i in wrong)):
        print("".join(f"{line:{width}}" for line in lines).rstrip())
    print(f"\nWhere it looks: python examples/digit_attention.py {run.folder} {run.settings.test}")
    print(f"A picture of yours, white on black: {command('classify', run.folder, 'FILE.png')}\n")
    return [command("profile", run.folder), command(*"train digits --images FILE --test FILE --shift 1 --steps 2000".split())]


def digit_file(name, size, checksum):
    """Return the `DataFile` of one part of the data."""
    return DataFile(
        name=name,
        address=f"https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/{name}",
        licence="CC BY 4.0",
        size=size,
        checksum=checksum,
    )


TRAIN = digit_file("optdigits.tra", 563_639, "e1b683cc211604fe8fd8c4417e6a69f31380e0c61d4af22e93cc21e9257ffedd")
TEST = digit_file("optdigits.tes", 264_712, "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8")
RECIPE = Recipe(
    system="ViT",
    paper="Dosovitskiy et al. 2020, An Image is Worth 16x16 Words",
    learns="8 x 8 pixels of handwritten digits, or your images",
    model=ViT,
    config=ViTConfig,
    task=ImageClasses,
    settings=SETTINGS,
    prepare=prepare,
    report=report,
    data={"images": TRAIN, "test": TEST},
    expect=Expect(accuracy=(0.965, 0.015), step=300, minutes=0.5, settings={"images": TRAIN, "test": TEST}),
    about="Train a ViT to tell classes of small images apart, from scratch: handwritten digits.",
    usage="--images FILE --test FILE",
    example="--images optdigits.tra --test optdigits.tes --out runs/digits",
)
