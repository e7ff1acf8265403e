"""Attention over an image: a panel for each layer and head, weights on the patches that they belong to."""

import numpy as np
import pytest

from tinytx.models import ViT, ViTConfig
from tinytx.viz import attention_maps, image_attention_picture
from tinytx.viz import image_attention as module

pytest.importorskip("matplotlib")

IMAGE = np.random.default_rng(0).random((2, 4, 6, 1))
MAPS = {f"blocks.{i}": np.random.default_rng(i).dirichlet(np.ones(7), size=(2, 3, 7)) for i in (0, 1)}  # (B, n, T, S), one in front


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved."""
    saved = []
    save = module.style.save
    monkeypatch.setattr(module.style, "save", lambda figure, *others, **options: (saved.append(figure), save(figure, *others, **options)))
    return saved


@pytest.mark.parametrize("query", [0, 2, None])
def test_panels(tmp_path, figures, query):
    """Catches the class token drawn as a patch, rows for columns, another row, heads and layers exchanged."""
    image_attention_picture(tmp_path / "a.png", IMAGE[1], MAPS, 2, query=query, row=1, title="A $ title")
    (figure,) = figures
    first, *panels = [axis for axis in figure.axes if axis.images][:7]
    np.testing.assert_allclose(first.images[0].get_array(), (IMAGE[1, :, :, 0] - IMAGE[1].min()) / np.ptp(IMAGE[1]))
    assert len(first.images) == 1 and [text.get_text() for text in figure.texts] == ["A $ title", "layer 1", "layer 2"]
    expected = [maps[1, head].mean(0) if query is None else maps[1, head, query] for maps in MAPS.values() for head in range(3)]
    largest = max(weights[1:].max() for weights in expected)
    for axis, weights in zip(panels, expected, strict=True):
        np.testing.assert_allclose(axis.images[1].get_array(), weights[1:].reshape(2, 3))
        assert axis.images[1].norm.vmax == largest and axis.images[1].get_extent() == [-0.5, 5.5, 3.5, -0.5]
        np.testing.assert_allclose(axis.images[1].get_alpha(), np.sqrt(weights[1:].reshape(2, 3) / largest))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_models_own_maps(tmp_path, figures):
    """Without a class token, in colour."""
    config = ViTConfig.simple(image_size=4, patch_size=2, d_model=8, n_heads=2, n_layers=1)
    images = np.random.default_rng(0).normal(size=(1, 4, 4, 3))
    maps = attention_maps(ViT(config, rng=np.random.default_rng(0), dtype=np.float64), images)
    image_attention_picture(tmp_path / "a.png", images[0], maps, 2, query=None)
    assert figures[0].axes[0].images[0].get_array().shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"maps": {}}, "no maps, expected what attention_maps returns"),
        ({"image": IMAGE[0, :, :, 0]}, r"image has shape \(4, 6\), expected \(H, W, C\), H and W divisible by patch_size 2"),
        ({"patch_size": 4}, ".*divisible by patch_size 4"),
        ({"patch_size": 1}, "maps look at 7 positions, expected at least 24, the patches of the image"),
        ({"row": 2}, r"row is 2, expected 0..1"),
        ({"query": 7}, r"query is 7, expected 0..6, or None for the mean of all"),
        ({"maps": {"a": np.full((1, 1, 7, 7), np.nan)}}, "a has a NaN or an infinity"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, says):
    arguments = {"image": IMAGE[0], "maps": MAPS, "patch_size": 2} | changes
    with pytest.raises(ValueError, match=f"image_attention_picture: {says}"):
        image_attention_picture(tmp_path / "a.png", **arguments)
    assert not list(tmp_path.iterdir())
