"""Small models of each published family, made here: name -> function (dtype) -> body or task, every weight random."""

import numpy as np
from cases import Seeded

from tinytx.models import GPT, T5, GPTConfig, T5Config
from tinytx.tasks import NextToken, SequenceToSequence

GPT_SIZES = {"max_len": 9, "d_model": 8, "n_heads": 2, "n_layers": 2}
T5_SIZES = {"d_model": 8, "n_heads": 2, "d_key": 6, "d_ff": 10, "n_encoder_layers": 2, "n_decoder_layers": 3, "start_id": 3}


def of(task, body, config):
    """Return the function that makes a task, or a body alone."""

    def make(dtype=np.float32):
        settings = {"rng": np.random.default_rng(0), "dtype": dtype}
        model, seeded = body(config, **settings) if task is None else task.around(body, config, **settings), Seeded(0)
        for parameter in model.parameters():
            parameter.data[...] = seeded.array(*parameter.data.shape, scale=0.4)
        return model

    return make


HUB_CASES = {
    "GPT2Model": of(None, GPT, GPTConfig(11, **GPT_SIZES, d_ff=12)),
    "GPT2LMHeadModel": of(NextToken, GPT, GPTConfig(11, **GPT_SIZES, tied_head=False, activation="relu", eps=0.01)),
    "OpenAIGPTModel": of(None, GPT, GPTConfig.gpt1(11, **GPT_SIZES)),
    "OpenAIGPTLMHeadModel": of(NextToken, GPT, GPTConfig.gpt1(11, **GPT_SIZES, embedding_dropout=0.3)),
    "T5Model": of(None, T5, T5Config.v1_1(11, **T5_SIZES, tied_head=True)),
    "T5ForConditionalGeneration": of(SequenceToSequence, T5, T5Config.v1_1(11, **T5_SIZES, max_len=30)),
}
