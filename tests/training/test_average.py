"""The average of checkpoints: a mean of every parameter, of models that are alike."""

import numpy as np
import pytest

from tinytx.files import FileError
from tinytx.models import GPT, GPTConfig, Transformer, TransformerConfig
from tinytx.tasks import NextToken, SequenceToSequence
from tinytx.training import average_checkpoints, load_checkpoint, save_checkpoint

CONFIG = TransformerConfig(9, 9, d_model=8, n_heads=2, d_ff=6, n_encoder_layers=1, n_decoder_layers=2)


def saved(tmp_path, n, dtype=np.float32):
    """Save n models at random parameters; return their folders and states."""
    folders, states = [], []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        model = SequenceToSequence(Transformer(CONFIG, rng=rng, dtype=dtype))
        for parameter in model.parameters():
            parameter.data[...] = rng.normal(size=parameter.data.shape)
        folders.append(tmp_path / str(seed))
        folders[-1].mkdir()
        save_checkpoint(folders[-1], model, step=seed)
        states.append(model.state_dict())
    return folders, states


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_parameter_is_the_mean(tmp_path, n, dtype):
    """Catches a tied table counted twice, a sum that is not divided, and halves of halves."""
    folders, states = saved(tmp_path, n, dtype)
    model, meta = average_checkpoints(folders)
    assert meta["step"] == n - 1 and model.config == CONFIG
    assert list(model.state_dict()) == list(states[0])
    for name, array in model.state_dict().items():
        expected = np.mean([state[name].astype(np.float64) for state in states], axis=0)
        assert array.dtype == dtype
        np.testing.assert_allclose(array, expected, rtol=2 * np.finfo(dtype).eps, atol=1e-15)


def test_the_average_can_be_saved_again(tmp_path):
    folders, _ = saved(tmp_path, 2)
    model, _ = average_checkpoints(folders)
    save_checkpoint(tmp_path, model)
    for name, array in load_checkpoint(tmp_path)[0].state_dict().items():
        np.testing.assert_array_equal(array, model.state_dict()[name])


def test_models_that_differ_are_named(tmp_path):
    """Catches a mean of matrices that happen to have one shape."""
    folders, _ = saved(tmp_path, 1)
    other = TransformerConfig(**{**vars(CONFIG), "norm_order": "pre", "final_norm": False, "n_heads": 4})
    save_checkpoint(tmp_path, SequenceToSequence(Transformer(other, rng=np.random.default_rng(0))))
    wrong = "0 and .* differ in n_heads 2 and 4, norm_order 'post' and 'pre', final_norm None and False"
    with pytest.raises(FileError, match=wrong):
        average_checkpoints([folders[0], tmp_path])
    gpt = NextToken(GPT(GPTConfig(vocab_size=9, d_model=8, n_heads=2), rng=np.random.default_rng(0)))
    save_checkpoint(tmp_path, gpt)
    with pytest.raises(FileError, match="differ in task 'sequence_to_sequence' and 'next_token', model 'transformer' and 'gpt'"):
        average_checkpoints([folders[0], tmp_path])


def test_nothing_to_average(tmp_path):
    with pytest.raises(ValueError, match="no folders given"):
        average_checkpoints([])
    with pytest.raises(FileError, match=r"there is no checkpoint\.npz"):
        average_checkpoints([tmp_path])
