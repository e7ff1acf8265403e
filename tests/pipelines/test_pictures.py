"""Pictures in, classes out: files, arrays and images of Pillow; what is done with a picture before the model; bad ones."""

import json

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

import tinytx
from tinytx import hub, ops
from tinytx.models import ViT, ViTConfig
from tinytx.pipelines import ImageClassifier, Preparation, load_run
from tinytx.pipelines.convert import convert
from tinytx.tasks import ImageClasses
from tinytx.training import save_checkpoint

LABELS = ["ant", "bee", "cow"]
STATE = {
    "do_resize": True, "size": {"height": 8, "width": 8}, "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4],
}  # fmt: skip


def vit(channels=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    config = ViTConfig(image_size=8, patch_size=4, n_channels=channels, d_model=8, n_heads=2, n_layers=1)
    model = ImageClasses(ViT(config, rng=rng, dtype=dtype), n_classes=3, pooling="first", rng=rng)
    for parameter in model.parameters():
        parameter.data = parameter.data + rng.normal(0, 0.3, parameter.data.shape).astype(dtype)
    return model


def classifier(channels=3, **changes):
    return ImageClassifier(vit(channels), Preparation(**changes), LABELS)


def picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_pixels_are_scaled_and_shifted():
    """Catches a mean that is not divided by std, or pixels that are not scaled first; channels in another order."""
    pixels, mean, std = picture(8, 8, 3), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    found = classifier(mean=mean, std=std).read(pixels)
    np.testing.assert_allclose(found, (pixels / 255 - mean) / std, rtol=1e-14)


def test_a_file_an_array_and_an_image_are_the_same(tmp_path):
    pixels = picture(13, 9, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    use = tinytx.pipeline("image-classification", classifier())
    said = use([str(tmp_path / "a.png"), tmp_path / "a.png", pixels, Image.fromarray(pixels)], top_k=2)
    assert said == [said[0]] * 4 and len(said[0]) == 2 and said[0] == use(pixels)[:2]
    p = ops.softmax(use.uses.logits(pixels))[0]
    assert [answer["label"] for answer in said[0]] == [LABELS[i] for i in np.argsort(-p)[:2]]
    assert [answer["score"] for answer in said[0]] == sorted(p, reverse=True)[:2]
    by_logit = use(pixels, function_to_apply="none")
    assert [answer["score"] for answer in by_logit] == sorted(use.uses.logits(pixels), reverse=True)
    assert use([]) == [] and "ImageClasses" in repr(use)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_of_any_kind_gets_the_models_channels(channels):
    """Catches a palette read as shades, colours that are kept where the model reads shades, and an alpha that is mixed in."""
    use, pixels = classifier(channels), picture(8, 8, 3)
    pixels[:] = pixels[:1, :1]  # of one colour, which a palette holds exactly
    image = Image.fromarray(pixels)
    expected = use.read(image)
    assert expected.shape == (8, 8, channels)
    for other in (image.quantize(4), image.convert("RGBA")):
        np.testing.assert_array_equal(use.read(other), expected)
    grey = picture(8, 8)
    for other in (grey, grey[:, :, None], np.stack([grey] * 3, axis=-1)):
        np.testing.assert_array_equal(use.read(other), use.read(Image.fromarray(grey)))
    np.testing.assert_allclose(use.read(grey)[:, :, 0], grey / 255)


def test_height_and_width_are_not_exchanged_and_a_turned_photograph_is_turned_back(tmp_path):
    pixels = np.zeros((16, 8, 3), np.uint8)
    pixels[:8] = 255  # white above, black below
    found = classifier().read(pixels)
    assert found[:3].min() == 1 and found[-3:].max() == 0
    exif = Image.Exif()
    exif[0x0112] = 8  # what is stored is turned by 270 degrees
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(classifier().read(tmp_path / "turned.png"), found)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, Preparation(1 / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), 3)),
        ({"do_normalize": False}, Preparation(filter=3)),
        ({"do_rescale": False, "image_mean": [3], "image_std": [2.0]}, Preparation(1.0, (3.0,), (2.0,), 3)),
        ({"size": 8, "resample": 2}, Preparation(1 / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))),
        ({"do_resize": False, "size": {"height": 224, "width": 224}}, Preparation(1 / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), 3)),
    ],
)
def test_what_a_folder_says_is_done(changes, expected):
    assert Preparation.of(STATE | changes, (8, 8, 3), "here") == expected


@pytest.mark.parametrize(
    "state, named",
    [
        (None, "here does not say how a picture becomes what the model reads: write preprocessor_config.json"),
        (STATE | {"size": {"shortest_edge": 8}}, "made {'shortest_edge': 8}, expected a height of 8 and a width of 8"),
        (STATE | {"do_center_crop": True}, "and cut, expected a height"),
        (STATE | {"image_mean": [1.0, 2.0]}, r"image_mean is \[1.0, 2.0\], expected 3 finite numbers, or one"),
        (STATE | {"image_std": "wide"}, "image_std is 'wide'"),
        (STATE | {"rescale_factor": float("nan")}, r"rescale_factor is \[nan\]"),
        (STATE | {"image_std": [0, 1, 1]}, "expected no 0"),
        (STATE | {"resample": 9}, "resample 9"),
    ],
)
def test_what_a_folder_may_not_say(state, named):
    with pytest.raises(ValueError, match=named):
        Preparation.of(state, (8, 8, 3), "here")


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing more")
    (tmp_path / "b.png").write_text("no picture")
    whole = tmp_path / "c.png"
    Image.fromarray(picture(64, 64, 3)).save(whole)
    whole.write_bytes(whole.read_bytes()[:500])
    use = classifier()
    for name in "abc":
        with pytest.raises(ValueError, match=f"{name}.png is no picture that can be read"):
            use.read(tmp_path / f"{name}.png")
    for wrong, named in (
        (tmp_path / "none.png", "there is no file .*none.png"),
        (picture(8, 8, 3) / 255, "an array of float64, expected the name of a file, or an array of uint8"),
        (picture(8), r"an array of shape \(8,\)"),
        (picture(8, 8, 2), r"an array of shape \(8, 8, 2\)"),
        (picture(0, 8), r"an array of shape \(0, 8\)"),
        (3, "a int, expected"),
    ):
        with pytest.raises(ValueError, match=named):
            use.read(wrong)
    with pytest.raises(ValueError, match="the model reads 2 channels"):
        classifier(2).read(picture(8, 8, 3))
    with pytest.raises(ValueError, match="function_to_apply is 'relu'"):
        tinytx.pipeline("image-classification", use)(picture(8, 8, 3), function_to_apply="relu")


def test_a_folder_and_the_run_made_of_it(tmp_path):
    """Catches a preparation or labels that convert has lost, on either way."""
    pytest.importorskip("safetensors")
    model, pixels = vit(dtype=np.float32), picture(20, 30, 3)
    model.body.published, model.body.preprocessor = {"id2label": dict(enumerate(LABELS))}, STATE
    hub.save(model, tmp_path / "one")
    convert(tmp_path / "one", tmp_path / "run")
    convert(tmp_path / "run", tmp_path / "two")
    said = [tinytx.pipeline("image-classification", tmp_path / name)(pixels) for name in ("one", "run", "two")]
    assert said[0] == said[1] == said[2] and {answer["label"] for answer in said[0]} == set(LABELS)
    assert json.loads((tmp_path / "two" / "preprocessor_config.json").read_text()) == STATE
    (tmp_path / "one" / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match="one does not say how a picture becomes"):
        load_run(tmp_path / "one", ImageClassifier)


def test_a_run_that_does_not_say_what_pictures_are(tmp_path):
    save_checkpoint(tmp_path, vit())
    with pytest.raises(ValueError, match="does not say how a picture becomes"):
        load_run(tmp_path, ImageClassifier)
