"""T5: the weights that it starts with, its tables of distances, what later words and padding must not do, its config."""

from functools import partial

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.core import Tape
from tinytx.layers import DotProduct, Sequential
from tinytx.models import T5, T5Config

SIZES = {"d_model": 48, "n_heads": 3, "d_key": 24, "d_ff": 80, "n_encoder_layers": 2, "n_decoder_layers": 2}
versions = pytest.mark.parametrize("name", ["t5", "t5 v1.1"])


@pytest.mark.parametrize("make", [T5Config, T5Config.v1_1])
def test_weights_start_as_the_authors_have_it(make):
    """Catches scores that are not divided by sqrt(K) and whose queries do not start smaller instead."""
    body = T5(make(90, **SIZES), rng=np.random.default_rng(0), dtype=np.float64)
    d, k, h, f = (SIZES[name] for name in ("d_model", "d_key", "n_heads", "d_ff"))
    expected = {"token": 1, "relative": d**-0.5, "query": (d * k) ** -0.5, "key": d**-0.5, "value": d**-0.5}
    expected |= {"output": (h * k) ** -0.5, "expand": d**-0.5, "gate": d**-0.5, "contract": f**-0.5}
    seen = set()
    for path, parameter in body.named_parameters():
        part = path.split(".")[-2]
        if part in expected:
            seen.add(part)
            error = 4 / np.sqrt(2 * parameter.data.size)  # four standard deviations of a sample's own
            assert abs(parameter.data.std() / expected[part] - 1) < error, path
        else:
            assert (parameter.data == 1).all() and path.endswith("weight"), path
    assert expected.keys() - seen == (set() if body.config.gated else {"gate"})
    assert body.encoder.token is body.decoder.token


@versions
def test_settings_reach_the_layers(name):
    """Catches scores that are divided, distances with two sides where the mask is causal, and another activation."""
    body = MODEL_CASES[name](np.float64)[0].body
    cores = [layer for _, layer in body.named_layers() if isinstance(layer, DotProduct)]
    assert len(cores) == 2 + 2 * 2 and all((core.scale, core.p) == (1.0, 0.2) for core in cores)
    assert (body.encoder.relative.two_sided, body.decoder.relative.two_sided) == (True, False)
    for block in (*body.encoder.blocks, *body.decoder.blocks):
        f = block.feed_forward.f
        activation = f.activation if body.config.gated else f.activation.name
        assert activation == body.config.activation and f.dropout.p == 0.2


@versions
def test_a_constant_in_a_table_changes_nothing(name):
    """Softmax does not see it, so each head's gradients add up to 0; catches a block that is left out, or a bias scaled."""
    task, batch = MODEL_CASES[name](np.float64)
    tape = Tape()
    task.loss(*batch, tape=tape)
    task.loss_backward(tape)
    for stack in (task.body.encoder, task.body.decoder):
        gradient = stack.relative.weight.grad  # (buckets, H)
        np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-15)
        assert (np.abs(gradient).max(axis=0) > 1e-6).all()


@versions
def test_later_words_and_padding_do_not_matter(name):
    task, (source, target) = MODEL_CASES[name](np.float64)
    expected = task(source, target[:, :-1])
    other = target[:, :-1].copy()
    other[:, 3:] = 9
    np.testing.assert_allclose(task(source, other)[:, :3], expected[:, :3], rtol=0, atol=1e-13)
    assert np.abs(task(source, other)[:, 3:] - expected[:, 3:]).max() > 1e-3
    longer = np.concatenate([source, np.full((len(source), 2), task.config.pad_id)], axis=1)
    np.testing.assert_allclose(task(longer, target[:, :-1]), expected, rtol=0, atol=1e-13)


def test_the_first_version_scales_what_its_head_reads():
    """Catches the factor on the wrong version, where the loss still falls."""
    (first, batch), (second, _) = (MODEL_CASES[name](np.float64) for name in ("t5", "t5 v1.1"))
    source, target = batch
    for task, factor in ((first, first.config.d_model**-0.5), (second, 1)):
        body, last = task.body, task.body.decoder.norm
        decode = partial(body.decode, target[:, :-1], body.encode(source), body.source_mask(source))
        y, body.decoder.norm = decode(), Sequential()
        np.testing.assert_allclose(y, last.layers[0](decode()) * factor, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"stop_id": 0}, "T5Config: stop_id is 0, and so is pad_id"),
        ({"start_id": 1}, "T5Config: stop_id is 1, and so is start_id"),
        ({"pad_id": 90}, "T5Config: pad_id is 90"),
        ({"activation": "tanh"}, "T5Config: activation is 'tanh'"),
        ({"n_buckets": 2}, "T5Config: n_buckets is 2"),
        ({"d_key": 0}, "T5Config: d_key is 0"),
    ],
)
def test_bad_settings_are_named(changes, match):
    with pytest.raises(ValueError, match=match):
        T5Config(90, **SIZES | changes)
