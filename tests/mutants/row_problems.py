"""More problems for `by_gradcheck`: what cuts, moves and sorts rows."""

from mutants.problems import _draw, _rng, _sampled, layer, pair
from tinytx.layers.init import normal
from tinytx.models import ViTConfig


def vit(m, **options):
    """All of a ViT, by its parameters and by the pixels."""
    sizes = {"image_size": 4, "patch_size": 2, "n_channels": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 5}
    return _sampled(layer(m.ViT(ViTConfig(**sizes | options), rng=_rng()), 2, 4, 4, 2))


PROBLEMS = {
    "patches": lambda m: pair(lambda x: m.patches(x, 2), m.patches_backward, _draw(2, 4, 6, 3)),
    "patches square": lambda m: pair(lambda x: m.patches(x, 2), m.patches_backward, _draw(2, 4, 4, 2)),
    "prepend": lambda m: pair(m.prepend, m.prepend_backward, _draw(2, 3, 4), _draw(2, 4, seed=1)),
    "PatchEmbedding": lambda m: layer(m.PatchEmbedding(2, 3, 4, rng=_rng(), init=normal(1.0)), 2, 4, 6, 3),
    "ClassToken": lambda m: layer(m.ClassToken(4, rng=_rng()), 2, 3, 4),
    "ViT": vit,
}
