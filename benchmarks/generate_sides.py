"""The sides that generate.py compares: each continues prompts with the same weights, and is imported where it is used.

A side is a function ``(model, prompt, n_tokens, threads)``. It returns a function without arguments that makes the
tokens (B, n_tokens), greedily, and does not end a sequence before its last token.
"""

import contextlib
import io
import tempfile
import warnings

import numpy as np


def ours(model, prompt, n_tokens, threads):
    """Return a function that continues the prompt by (B, n_tokens), greedily."""
    from tinytx.decoding import generate

    return lambda: np.stack(list(generate(model, prompt, n_tokens, temperature=0)), axis=1)


def ours_int8(model, prompt, n_tokens, threads):
    """Return the same with weights in 8 bits; inputs stay float32."""
    return ours(model.quantized(), prompt, n_tokens, threads)


def hugging_face(model, prompt, n_tokens, threads, change=lambda rival: rival):
    """Return the same of transformers; ``change`` is given the model before it is used."""
    import torch

    torch.set_num_threads(threads)
    rival, prompt = change(torch_model(model)), torch.from_numpy(prompt)
    options = {"do_sample": False, "max_new_tokens": n_tokens, "attention_mask": torch.ones_like(prompt)}
    return lambda: rival.generate(prompt, **options)[:, prompt.shape[1] :].numpy()


def torch_int8(model, prompt, n_tokens, threads):
    """Return the same with PyTorch's dynamic quantisation: int8 weights, and inputs that are rounded in each call."""
    return hugging_face(model, prompt, n_tokens, threads, change=_dynamic_int8)


def ctranslate2_float32(model, prompt, n_tokens, threads, compute_type="float32"):
    """Return the same of CTranslate2, whose own converter reads the model of transformers."""
    import ctranslate2

    v = model.config.vocab_size
    with tempfile.TemporaryDirectory() as folder:
        _convert(torch_model(model), v, folder)
        rival = ctranslate2.Generator(folder, compute_type=compute_type, inter_threads=1, intra_threads=threads)
    assert rival.compute_type == compute_type, f"CTranslate2 computes in {rival.compute_type}, expected {compute_type}"
    words = [[str(i) for i in row] for row in prompt]
    options = {"max_length": n_tokens, "end_token": [], "include_prompt_in_result": False, "beam_size": 1, "sampling_topk": 1}
    return lambda: np.array([row.sequences_ids[0] for row in rival.generate_batch(words, **options)])


def ctranslate2_int8(model, prompt, n_tokens, threads):
    """Return the same with int8 weights, and inputs that are rounded in each call."""
    return ctranslate2_float32(model, prompt, n_tokens, threads, "int8_float32")


SIDES = {
    "ours": ours,
    "ours_int8": ours_int8,
    "hugging_face": hugging_face,
    "ctranslate2_float32": ctranslate2_float32,
    "torch_int8": torch_int8,
    "ctranslate2_int8": ctranslate2_int8,
}
ROUNDED = {name for name in SIDES if name.endswith("int8")}  # may choose other tokens than float32
NEEDS = {
    "hugging_face": ("torch", "transformers"),
    "torch_int8": ("torch", "transformers"),
    "ctranslate2_float32": ("ctranslate2", "torch", "transformers"),
    "ctranslate2_int8": ("ctranslate2", "torch", "transformers"),
}


def torch_model(model):
    """Return transformers' GPT2LMHeadModel with the weights of ours."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    c = model.config
    sizes = {"vocab_size": c.vocab_size, "n_positions": c.max_len, "n_embd": c.d_model}
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}  # no token ends a sequence
    rival = GPT2LMHeadModel(GPT2Config(n_layer=c.n_layers, n_head=c.n_heads, **sizes, **ids)).eval()
    weights = {name: torch.from_numpy(array) for name, array in renamed(model.body.state_dict()).items()}
    rival.transformer.load_state_dict(weights)  # strict: a name too many or too few raises
    return rival


def _dynamic_int8(rival):
    """Return the model with its linear maps in int8; GPT-2's are of a class that PyTorch does not quantise."""
    import torch
    from transformers.pytorch_utils import Conv1D

    for module in list(rival.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                linear = torch.nn.Linear(*child.weight.shape)
                linear.weight.data, linear.bias.data = child.weight.data.T.contiguous(), child.bias.data
                setattr(module, name, linear)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another package is to take its place
        return torch.ao.quantization.quantize_dynamic(rival, {torch.nn.Linear}, dtype=torch.qint8)


def _convert(rival, vocab_size, folder):
    """Write a model of transformers as CTranslate2 reads it; its vocabulary is "0", "1", ..."""
    from ctranslate2.converters.transformers import GPT2Loader

    loader, names = GPT2Loader(), [str(i) for i in range(vocab_size)]
    with contextlib.redirect_stdout(io.StringIO()):
        spec = loader.get_model_spec(rival)
    loader.set_vocabulary(spec, names)
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = names[0]
    spec.validate()
    spec.optimize()
    spec.save(folder)


PLACES = {
    "attention.norm": "ln_1",
    "attention.f.output": "attn.c_proj",
    "feed_forward.norm": "ln_2",
    "feed_forward.f.expand": "mlp.c_fc",
    "feed_forward.f.contract": "mlp.c_proj",
}


def renamed(state):
    """Return our weights under GPT-2's names, q, k and v side by side; both keep matrices as (d_in, d_out)."""
    new = {"wte.weight": state["token.weight"], "wpe.weight": state["position.weight"]}
    new |= {f"ln_f.{kind}": state[f"norm.{kind}"] for kind in ("weight", "bias")}
    n_layers = sum(name.endswith("expand.weight") for name in state)
    for i in range(n_layers):
        for kind in ("weight", "bias"):
            qkv = [state[f"blocks.{i}.attention.f.{part}.{kind}"] for part in ("query", "key", "value")]
            new[f"h.{i}.attn.c_attn.{kind}"] = np.concatenate(qkv, axis=-1)
            for here, there in PLACES.items():
                new[f"h.{i}.{there}.{kind}"] = state[f"blocks.{i}.{here}.{kind}"]
    return new
