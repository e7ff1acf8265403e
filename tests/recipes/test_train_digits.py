"""``train digits``: files of images are what is trained on and what validates; what is learned is said and can be drawn."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tinytx as package
from tinytx.recipes import digits, load_recipe
from tinytx.recipes.digits import SETTINGS, TEST, TRAIN, drawn, prepare
from tinytx.training import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(package.__file__).parents[2] / "shared/data"
SMALL = "--d-model 16 --n-heads 2 --n-layers 1 --batch-size 8 --warmup 3 --threads 1 --lr 1e-2 --dropout 0"


@pytest.fixture
def files(tmp_path):
    """Images of 4 x 4 pixels, whose bright quarter is their class; two files."""
    rng, paths = np.random.default_rng(0), []
    for name, n in (("train.csv", 60), ("test.csv", 20)):
        labels = np.arange(n) % 4
        pixels = rng.integers(0, 4, (n, 2, 2, 2, 2))
        pixels[np.arange(n), labels // 2, :, labels % 2, :] += 12
        table = np.column_stack([pixels.reshape(n, 16), labels])
        np.savetxt(tmp_path / name, table, fmt="%d", delimiter=",")
        paths.append(str(tmp_path / name))
    return dict(zip(("images", "test"), paths))


def test_what_is_prepared(files):
    """Catches images of the test that are trained on, and sizes that are not the data's."""
    prepared = prepare(SETTINGS(**files, dtype="float64", shift=1), None)
    assert prepared.config.image_shape == (4, 4, 1) and prepared.task_settings["n_classes"] == 4
    assert prepared.batch.images.shape == (60, 4, 4, 1) and prepared.batch.images.dtype == np.float64 and prepared.batch.shift == 1
    assert prepared.batch.images.max() == 15 / 16
    ((images, labels),) = prepared.validation
    np.testing.assert_array_equal(np.sort(images.sum((1, 2, 3))), np.sort(prepared.kept[0].sum((1, 2, 3))))
    assert len(labels) == 20


def test_the_two_recipes_are_two_models(files):
    """SimpleViT: no class token, sinusoids, the mean; the ViT has the others."""
    for name, expected in (("digits", (True, "learned", "first")), ("simple_digits", (False, "sinusoidal", "mean"))):
        settings = load_recipe(name).settings(**files)
        prepared = load_recipe(name).prepare(settings, None)
        assert (prepared.config.class_token, prepared.config.positions, prepared.task_settings["pooling"]) == expected


@pytest.mark.parametrize("name", ["digits", "simple_digits"])
def test_what_is_learned_is_said_and_drawn(tinytx, name, files, tmp_path, monkeypatch, capsys):
    """Catches a report on other images, and an example that does not read a run."""
    pytest.importorskip("matplotlib")
    data, run = [word for name, path in files.items() for word in (f"--{name}", path)], tmp_path / "run"
    result = tinytx("train", name, data, SMALL, "--steps 40 --out", run)
    assert result.code == 0, result.err
    told = float(re.search(r"Told right: ([\d.]+)% of 20 images", result.out)[1])
    assert told >= 70 and "nats per image" in result.out  # 25 by chance
    other = tinytx("train", name, "--resume", run, "--steps 50 --pooling max")
    assert other.code == 2 and "--resume cannot change pooling" in other.err
    spec = importlib.util.spec_from_file_location("digit_attention", ROOT / "examples" / "digit_attention.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(sys, "argv", ["digit_attention", str(run), files["test"], "--out", str(tmp_path), "--n", "2"])
    example.main()
    assert re.search(rf"A 1, taken for a \d: {tmp_path / 'digit_attention_1.png'}", capsys.readouterr().out)
    assert (tmp_path / "digit_attention_1.png").read_bytes().startswith(b"\x89PNG")
    assert load_checkpoint(run)[0].config.class_token == (name == "digits")


def test_missing_and_other_images_are_named(files, tmp_path):
    for given in ({}, {"images": files["images"]}):
        with pytest.raises(ValueError, match="there are no images: give --images FILE and --test FILE"):
            prepare(SETTINGS(**given), None)
    (tmp_path / "large.csv").write_text(",".join(["1"] * 37))
    with pytest.raises(ValueError, match=r"--test .*large.csv has images of shape \(6, 6, 1\), expected \(4, 4, 1\), as --images"):
        prepare(SETTINGS(images=files["images"], test=str(tmp_path / "large.csv")), None)


def test_images_that_are_told_wrong_are_shown():
    """Catches an image that stands on its side."""
    assert drawn(np.array([[0.0, 1], [0.5, 0]])[..., None]) == ["  @@", "==  "]


@pytest.mark.skipif(not (DATA / "optdigits.test.csv").exists(), reason="the digits are not here")
def test_the_files_are_those_of_the_recipe(tmp_path):
    """The published files have no header; the rest is the same to the byte."""
    paths = {}
    for setting, file, name in (("images", TRAIN, "train"), ("test", TEST, "test")):
        header, _, rest = (DATA / f"optdigits.{name}.csv").read_bytes().partition(b"\n")
        assert header.startswith(b"Block 1,")
        (tmp_path / file.name).write_bytes(rest)
        assert file.differs(tmp_path / file.name) == ""
        paths[setting] = str(tmp_path / file.name)
    prepared = digits.prepare(SETTINGS(**paths), None)
    assert prepared.batch.images.shape == (3823, 8, 8, 1) and prepared.batch.images.max() == 1
    assert len(prepared.kept[1]) == 1797 and prepared.task_settings["n_classes"] == 10
