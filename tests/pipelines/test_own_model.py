"""A model that is in no table is saved, loaded and used by the functions that serve the library's own."""

import numpy as np
import pytest

from tinytx.core import Layer
from tinytx.data import CharTokenizer
from tinytx.layers import Embedding
from tinytx.models import GPT, GPTConfig
from tinytx.pipelines import Filler, Writer, load_run
from tinytx.settings import Settings, setting
from tinytx.tasks import NextToken
from tinytx.training import AdamW, load_checkpoint, save_checkpoint


class PairsConfig(Settings):
    """A model of pairs of letters."""

    vocab_size: int = setting(help="number of tokens", minimum=1)
    d_model: int = setting(8, "width of the table", minimum=1)
    max_len: int = setting(16, "tokens in the longest text", minimum=1)


class PairsOfLetters(Layer):
    """A body with which the next letter depends on the last one alone."""

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.token = Embedding(config.vocab_size, config.d_model, rng=rng, dtype=dtype)

    def forward(self, ids, tape=None, *, state=None):
        return self.token(ids, tape)

    def backward(self, dx, tape):
        return self.token.backward(dx, tape)


OWN = {"PairsOfLetters": (PairsOfLetters, PairsConfig)}


@pytest.fixture
def saved(tmp_path):
    """The model, its tokenizer, and the folder of its checkpoint."""
    tokenizer = CharTokenizer("abcd")
    model = NextToken.around(PairsOfLetters, PairsConfig(4), rng=np.random.default_rng(0))
    save_checkpoint(tmp_path, model, optimizer=AdamW(model, 1e-3), tokenizer=tokenizer.to_dict())
    return model, tokenizer, tmp_path


def test_it_writes_after_it_was_loaded_as_before(saved):
    """Catches a table that only the library's own models pass, and weights that get lost."""
    model, tokenizer, folder = saved
    texts = [list(writer.write("ab", 9, rng=np.random.default_rng(3)))
             for writer in (Writer(model, tokenizer), load_run(folder, Writer, own=OWN))]  # fmt: skip
    assert texts[0] == texts[1] and texts[0][0] == "ab" and len("".join(texts[0])) == 11
    assert load_checkpoint(folder, own=OWN)[2]["config"] == {"vocab_size": 4, "d_model": 8, "max_len": 16}


def test_who_does_not_know_the_class_is_told_how_to_name_it(saved):
    with pytest.raises(ValueError, match=r"model 'PairsOfLetters', expected .* or classes of your own: own="):
        load_run(saved[2], Writer)


def test_a_tokenizer_of_another_size_is_refused(saved):
    model, _, folder = saved
    save_checkpoint(folder, model, tokenizer=CharTokenizer("abc").to_dict())
    with pytest.raises(ValueError, match="the tokenizer has 3 tokens, expected 4 from the model"):
        load_run(folder, Writer, own=OWN)


def test_weights_of_another_size_are_refused(saved):
    """Catches a checkpoint whose config is not that of its weights."""
    model, tokenizer, folder = saved
    model.body.config = PairsConfig(4, d_model=9)
    save_checkpoint(folder, model, tokenizer=tokenizer.to_dict())
    with pytest.raises(ValueError, match="config and weights do not fit"):
        load_run(folder, Writer, own=OWN)


def test_a_pipeline_asks_for_its_kind(tmp_path):
    config = GPTConfig(4, max_len=4, d_model=4, n_heads=1, n_layers=1)
    model = NextToken(GPT(config, rng=np.random.default_rng(0)))
    save_checkpoint(tmp_path, model, tokenizer=CharTokenizer("abcd").to_dict())
    with pytest.raises(ValueError, match="holds gpt for NextToken, expected one for HiddenWords; for it there is python -m tinytx sample"):
        load_run(tmp_path, Filler)
    assert isinstance(load_run(tmp_path, Filler, Writer), Writer)


class Letters(NextToken):
    """A task of a user's."""


def test_a_task_of_ones_own_is_not_taken_for_another_one(tmp_path):
    """Catches a model that says next letters, handed to a pipeline for hidden words, which then fails somewhere."""
    model = Letters.around(PairsOfLetters, PairsConfig(4), rng=np.random.default_rng(0))
    save_checkpoint(tmp_path, model, tokenizer=CharTokenizer("abcd").to_dict())
    own = OWN | {"Letters": Letters}
    with pytest.raises(ValueError, match="holds PairsOfLetters for Letters, expected one for HiddenWords"):
        load_run(tmp_path, Filler, own=own)
    assert isinstance(load_run(tmp_path, Filler, Writer, own=own), Writer)
