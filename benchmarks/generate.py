"""Tokens per second with a key-value cache, against Hugging Face's GPT2LMHeadModel.generate.

    python benchmarks/generate.py --models gpt2 nano --batches 1 8 --json generate.json

Both have the same weights (random ones: nothing is downloaded), a prompt of 16 tokens and greedy choice; the first
tokens have to agree. A turn is one call for all new tokens, the prompt included. Every side is a process of its own
and they take turns; figures are medians, a ratio is taken pair by pair. Needs torch and transformers for the rival.
"""

import time

import numpy as np
import turns
from sides import SHAPES, make_model
from threadpoolctl import threadpool_limits

from tinytx import workers

POSITIONS = 1024  # room in the cache and in the table of positions: 124,439,808 parameters for gpt2
PROMPT, FIRST = 16, 8  # tokens given, and new ones that have to agree


def make(name):
    """Return a GPT of a shape; its weights are enlarged, since a fresh GPT repeats the last token for ever."""
    model, rng = make_model(SHAPES[name]._replace(max_len=POSITIONS)), np.random.default_rng(1)
    for path, parameter in model.body.named_parameters():
        if path.startswith(("blocks", "norm")):
            parameter.data += rng.normal(0, 0.1, parameter.data.shape).astype(np.float32)
    return model


def ours(model, prompt, n_tokens):
    """Return a function that continues the prompt by (B, n_tokens), greedily."""
    from tinytx.decoding import generate

    return lambda: np.stack(list(generate(model, prompt, n_tokens, temperature=0)), axis=1)


def hugging_face(model, prompt, n_tokens, threads):
    """Return the same of transformers, with the same weights."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(threads)
    c = model.config
    sizes = {"vocab_size": c.vocab_size, "n_positions": c.max_len, "n_embd": c.d_model}
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}  # no token ends a sequence
    rival = GPT2LMHeadModel(GPT2Config(n_layer=c.n_layers, n_head=c.n_heads, **sizes, **ids)).eval()
    weights = {name: torch.from_numpy(array) for name, array in renamed(model.body.state_dict()).items()}
    rival.transformer.load_state_dict(weights)  # strict: a name too many or too few raises
    prompt = torch.from_numpy(prompt)
    options = {"do_sample": False, "max_new_tokens": n_tokens, "attention_mask": torch.ones_like(prompt)}
    return lambda: rival.generate(prompt, **options)[:, prompt.shape[1] :].numpy()


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


def child(side, arguments):
    """Answer each line with tokens per second and the first tokens."""
    name, batch, n_tokens = arguments.models[0], arguments.batches[0], arguments.tokens
    model = make(name)
    prompt = np.random.default_rng(0).integers(0, model.config.vocab_size, (batch, PROMPT))
    if side == "ours":
        generate = ours(model, prompt, n_tokens)
    else:
        generate = hugging_face(model, prompt, n_tokens, arguments.threads)
    del model
    generate()

    pool = workers.Pool(arguments.threads)

    def answer(_):
        with workers.use(pool) if side == "ours" else threadpool_limits(arguments.threads, "blas"):
            began = time.perf_counter()
            tokens = generate()
            rate = tokens.size / (time.perf_counter() - began)
        assert tokens.shape == (batch, n_tokens), f"{side}: tokens of shape {tokens.shape}"
        return {"rate": rate, "first": tokens[:, :FIRST].tolist()}

    turns.serve(answer)


def compare(name, batch, sides, arguments, env):
    """Return the figures of one model and batch."""
    options = "--models", name, "--batches", batch, "--tokens", arguments.tokens, "--threads", arguments.threads
    with turns.running(__file__, sides, *options, env=env) as running:
        turns.take_turns(running.values(), arguments.turns)
    row = {f"{side}_tokens_per_second": child.median("rate") for side, child in running.items()}
    if "hugging_face" in running:
        first, theirs = (child.turns[0]["first"] for child in running.values())
        assert first == theirs, f"{name}: other tokens: {first} and {theirs}"
        assert len(np.unique(first)) > 1, f"{name}: the same token throughout proves nothing"
        row["ratio"] = turns.ratio(running["ours"], running["hugging_face"], "rate")
    return row


def main():
    """Run models and batches, print the table, and write the JSON."""
    parser = turns.parser(__doc__, turns=5, quick="--models nano --batches 1 --tokens 16 --turns 1")
    parser.add_argument("--models", nargs="+", choices=["gpt2", "nano"], default=["gpt2", "nano"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--tokens", type=int, default=64, help="new ones (default 64)")
    arguments = parser.parse_args()
    if not FIRST <= arguments.tokens <= POSITIONS - PROMPT:
        parser.error(f"--tokens {arguments.tokens}: expected {FIRST} to {POSITIONS - PROMPT}")
    if arguments.child:
        return child(arguments.child, arguments)
    sides = ["ours", *turns.rivals(["hugging_face"], "torch", "transformers")]
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, sides, env)
    figures = {}
    for name in arguments.models:
        for batch in arguments.batches:
            row = figures[f"{name} batch {batch}"] = compare(name, batch, sides, arguments, env)
            rates = ", ".join(f"{key.split('_tokens')[0]} {row[key]:.1f}" for key in row if key.endswith("second"))
            ratio = f", ours / Hugging Face {row['ratio']:.2f}" if "ratio" in row else ""
            print(f"{name} batch {batch}: tokens/s {rates}{ratio}", flush=True)
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
