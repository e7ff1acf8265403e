"""One GPT, written by others: picoGPT, minGPT and nanoGPT, and Peter Bloem's generator, beside tinytx's.

    python examples/gpt_relatives.py

Each function below is the forward of one of them, in the order of its own program, over a dict of NumPy arrays. They are
the same model but for a few settings of `GPTConfig`, and with the same weights their logits are the same to the last digits:

==================  ============================  ==============================================  ===================
program             settings                      what it does in its own way                     where
==================  ============================  ==============================================  ===================
picoGPT             none                          one sequence, a list of heads, a mask of -1e10  jaymody/picoGPT
nanoGPT             none                          q, k, v in one map, heads as an axis            karpathy/nanoGPT
minGPT              tied_head=False               as nanoGPT; an output layer of its own          karpathy/minGPT
Bloem's generator   norm_order="post",            q, k, v without biases; queries and keys are    pbloem/former
                    activation="relu",            each divided by the fourth root of K; the
                    tied_head=False               output layer has a bias
==================  ============================  ==============================================  ===================

Bloem's output bias starts near 0 and is left at 0 here, as are the biases that his maps to queries, keys and values do not
have. A test compares them.
"""

import argparse

import numpy as np

from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken

SIZES = {"max_len": 12, "d_model": 24, "n_heads": 3, "n_layers": 2}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def layer_norm(x, w, path, eps=1e-5):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return w[f"{path}.weight"] * (x - mean) / np.sqrt(variance + eps) + w[f"{path}.bias"]


def linear(x, w, path):
    return x @ w[f"{path}.weight"] + w[f"{path}.bias"]


def fused(w, path):
    """Return the one map (D, 3 D) to queries, keys and values that these programs have, and its bias."""
    return (np.concatenate([w[f"{path}.{name}.{part}"] for name in ("query", "key", "value")], -1) for part in ("weight", "bias"))


def picogpt(ids, w, n_layers, n_heads):
    """One sequence at a time: ``gpt2`` of picoGPT."""

    def attention(q, k, v, mask):  # (T, K) -> (T, K)
        return softmax(q @ k.T / np.sqrt(q.shape[-1]) + mask) @ v

    def sequence(ids):
        x = w["token.weight"][ids] + w["position.weight"][range(len(ids))]
        for i in range(n_layers):
            a, f = f"blocks.{i}.attention", f"blocks.{i}.feed_forward"
            weight, bias = fused(w, f"{a}.f")
            qkv = np.split(layer_norm(x, w, f"{a}.norm") @ weight + bias, 3, axis=-1)
            heads = list(zip(*(np.split(part, n_heads, axis=-1) for part in qkv), strict=True))
            mask = (1 - np.tri(len(x))) * -1e10
            x = x + linear(np.hstack([attention(*head, mask) for head in heads]), w, f"{a}.f.output")
            x = x + linear(gelu(linear(layer_norm(x, w, f"{f}.norm"), w, f"{f}.f.expand")), w, f"{f}.f.contract")
        return layer_norm(x, w, "norm") @ w["token.weight"].T

    return np.stack([sequence(row) for row in ids])


def nanogpt(ids, w, n_layers, n_heads, tied=True):
    """The whole batch: ``GPT.forward`` of nanoGPT, and of minGPT where the head is not tied."""
    (b, t), d = ids.shape, w["token.weight"].shape[1]
    x = w["token.weight"][ids] + w["position.weight"][:t]
    for i in range(n_layers):
        a, f = f"blocks.{i}.attention", f"blocks.{i}.feed_forward"
        weight, bias = fused(w, f"{a}.f")
        qkv = np.split(layer_norm(x, w, f"{a}.norm") @ weight + bias, 3, axis=2)
        q, k, v = (part.reshape(b, t, n_heads, d // n_heads).transpose(0, 2, 1, 3) for part in qkv)  # (B, H, T, K)
        scores = (q @ k.transpose(0, 1, 3, 2)) * (1.0 / np.sqrt(k.shape[-1]))
        y = softmax(np.where(np.tri(t, dtype=bool), scores, -np.inf)) @ v
        x = x + linear(y.transpose(0, 2, 1, 3).reshape(b, t, d), w, f"{a}.f.output")
        x = x + linear(gelu(linear(layer_norm(x, w, f"{f}.norm"), w, f"{f}.f.expand")), w, f"{f}.f.contract")
    return layer_norm(x, w, "norm") @ (w["token.weight"].T if tied else w["head.weight"])


def mingpt(ids, w, n_layers, n_heads):
    return nanogpt(ids, w, n_layers, n_heads, tied=False)


def bloem(ids, w, n_layers, n_heads):
    """``GTransformer.forward`` of former, without its log softmax: heads are folded into the batch."""
    (b, t), d = ids.shape, w["token.weight"].shape[1]
    s = d // n_heads
    x = w["token.weight"][ids] + w["position.weight"][:t][None]
    for i in range(n_layers):
        a, f = f"blocks.{i}.attention", f"blocks.{i}.feed_forward"
        keys, queries, values = (
            (x @ w[f"{a}.f.{name}.weight"]).reshape(b, t, n_heads, s).swapaxes(1, 2).reshape(b * n_heads, t, s)
            for name in ("key", "query", "value")
        )
        queries, keys = queries / s ** (1 / 4), keys / s ** (1 / 4)
        dot = queries @ keys.swapaxes(1, 2)
        dot[:, *np.triu_indices(t, 1)] = -np.inf
        out = (softmax(dot) @ values).reshape(b, n_heads, t, s).swapaxes(1, 2).reshape(b, t, d)
        x = layer_norm(linear(out, w, f"{a}.f.output") + x, w, f"{a}.norm")
        inner = np.maximum(linear(x, w, f"{f}.f.expand"), 0)
        x = layer_norm(linear(inner, w, f"{f}.f.contract") + x, w, f"{f}.norm")
    return x @ w["head.weight"]


RELATIVES = {  # name: (its forward, our settings)
    "picoGPT": (picogpt, {}),
    "nanoGPT": (nanogpt, {}),
    "minGPT": (mingpt, {"tied_head": False}),
    "Bloem's generator": (bloem, {"tied_head": False, "norm_order": "post", "activation": "relu", "scaled_init": False}),
}


def compare(name, seed=0):
    """Return (their logits, ours) with one set of random weights, float64."""
    theirs, options = RELATIVES[name]
    rng = np.random.default_rng(seed)
    model = NextToken.around(GPT, GPTConfig(50, **SIZES, **options), rng=rng, dtype=np.float64)
    for path, parameter in model.named_parameters():
        none = name.startswith("Bloem") and path.endswith(("query.bias", "key.bias", "value.bias"))
        parameter.data[...] = 0 if none else rng.normal(0, 0.3, parameter.data.shape)
    w = {path.removeprefix("body."): array for path, array in model.state_dict().items()}
    ids = rng.integers(0, 50, (3, 10))
    return theirs(ids, w, SIZES["n_layers"], SIZES["n_heads"]), model(ids)


def main():
    """Compare each; print the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the same: it takes a second")
    parser.parse_args()
    for name in RELATIVES:
        theirs, ours = compare(name)
        print(f"{name:18} logits from {ours.min():6.2f} to {ours.max():5.2f}, largest difference {np.abs(theirs - ours).max():.1e}")


if __name__ == "__main__":
    main()
