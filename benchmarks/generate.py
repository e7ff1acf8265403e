"""Tokens per second with a key-value cache, against transformers' GPT2LMHeadModel, PyTorch's int8, and CTranslate2.

    python benchmarks/generate.py --models gpt2 nano --batches 1 8 --json generate.json
    python benchmarks/generate.py --models gpt2 --sides ours ctranslate2_float32

All have the same weights (random ones: nothing is downloaded), a prompt of 16 tokens and greedy choice; the first
tokens of all sides that compute in float32 have to agree. int8 rounds, so that its tokens may be others: how many of the
first ones are the same is printed. A turn is one call for all new tokens, the prompt included. Every side is a process
of its own and they take turns; figures are medians, a ratio is taken pair by pair. Sides whose packages (torch,
transformers, ctranslate2) are missing are left out, and it is said. For our sides a turn also measures how fast memory
is read, by all threads together; what generation reads is every weight once a token.
"""

import time

import numpy as np
import turns
from generate_sides import NEEDS, ROUNDED, SIDES
from sides import SHAPES, make_model
from threadpoolctl import threadpool_limits

from tinytx import workers

POSITIONS = 1024  # room in the cache and in the table of positions: 124,439,808 parameters for gpt2
PROMPT, FIRST = 16, 8  # tokens given, and new ones that have to agree
READ = 1 << 28  # bytes that are read to measure the memory: more than caches hold


def make(name):
    """Return a GPT of a shape; its weights are enlarged, since a fresh GPT repeats the last token for ever."""
    model, rng = make_model(SHAPES[name]._replace(max_len=POSITIONS)), np.random.default_rng(1)
    for path, parameter in model.body.named_parameters():
        if path.startswith(("blocks", "norm")):
            parameter.data += rng.normal(0, 0.1, parameter.data.shape).astype(np.float32)
    return model


def weight_bytes(model, is_rounded):
    """Return the bytes of the weights that one token reads: all but the table of positions; matrices in 8 bits if rounded."""
    arrays = [array for path, array in model.state_dict().items() if "position" not in path]
    return sum(array.size if is_rounded and array.ndim == 2 else array.nbytes for array in arrays)


def bandwidth(array, pool):
    """Return how many bytes a second the threads read together, the best of three times."""
    edges = np.linspace(0, len(array), pool.count + 1).astype(int)
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        pool.map(lambda start, stop: array[start:stop].max(), edges[:-1], edges[1:])
        best = min(best, time.perf_counter() - began)
    return array.nbytes / best


def child(side, arguments):
    """Answer each line with tokens per second and the first tokens."""
    name, batch, n_tokens = arguments.models[0], arguments.batches[0], arguments.tokens
    model = make(name)
    prompt = np.random.default_rng(0).integers(0, model.config.vocab_size, (batch, PROMPT))
    generate, read = SIDES[side](model, prompt, n_tokens, arguments.threads), weight_bytes(model, side in ROUNDED)
    is_ours = side.startswith("ours")
    array = np.ones(READ // 4, np.int32) if is_ours else None
    del model
    generate()

    pool = workers.Pool(arguments.threads)

    def answer(_):
        with workers.use(pool) if is_ours else threadpool_limits(arguments.threads, "blas"):
            began = time.perf_counter()
            tokens = generate()
            rate = tokens.size / (time.perf_counter() - began)
        assert tokens.shape == (batch, n_tokens), f"{side}: tokens of shape {tokens.shape}"
        share = read * rate / batch / bandwidth(array, pool) if is_ours else None
        return {"rate": rate, "share": share, "first": tokens[:, :FIRST].tolist()}

    turns.serve(answer)


def check_first(place, children):
    """End with an error unless all sides in float32 choose the same first tokens; return {side: share of equal ones}."""
    ours = np.array(children["ours"].turns[0]["first"])
    assert len(np.unique(ours)) > 1, f"{place}: the same token throughout proves nothing"
    equal = {side: float((np.array(child.turns[0]["first"]) == ours).mean()) for side, child in children.items()}
    wrong = [side for side in equal if side not in ROUNDED and equal[side] < 1]
    if wrong:
        raise SystemExit(f"{place}: {' and '.join(wrong)} chose other tokens than ours in float32: {equal}")
    return equal


def compare(name, batch, sides, arguments, env):
    """Return the figures of one model and batch."""
    options = "--models", name, "--batches", batch, "--tokens", arguments.tokens, "--threads", arguments.threads
    with turns.running(__file__, sides, *options, env=env) as running:
        turns.take_turns(running.values(), arguments.turns)
    equal = check_first(f"{name} batch {batch}", running)
    row = {f"{side}_tokens_per_second": child.median("rate") for side, child in running.items()}
    for mine in (side for side in sides if side.startswith("ours")):
        row[f"{mine}_share_of_bandwidth"] = running[mine].median("share")
        rivals = [side for side in sides if not side.startswith("ours")]
        row |= {f"{mine}_to_{side}_ratio": turns.ratio(running[mine], running[side], "rate") for side in rivals}
    return row | {f"{side}_equal_tokens": equal[side] for side in sides if side in ROUNDED}


def described(row):
    """Return a row's figures as lines of text."""
    rates = {key.split("_tokens")[0]: value for key, value in row.items() if key.endswith("second")}
    yield "tokens/s " + ", ".join(f"{side} {rate:.1f}" for side, rate in rates.items())
    shares = [f"{key.split('_share')[0]} {value:.0%}" for key, value in row.items() if key.endswith("bandwidth")]
    yield "weights are read at this share of the speed at which all threads read memory: " + ", ".join(shares)
    ratios = {key.removesuffix("_ratio").replace("_to_", " / "): value for key, value in row.items() if key.endswith("_ratio")}
    if ratios:
        yield "ratios " + ", ".join(f"{sides} {value:.2f}" for sides, value in ratios.items())
    equal = [f"{key.removesuffix('_equal_tokens')} {value:.0%}" for key, value in row.items() if key.endswith("equal_tokens")]
    if equal:
        yield f"of the first {FIRST} tokens equal to those in float32: " + ", ".join(equal)


def available(sides):
    """Return the sides that can run here; say which module is missing for the others."""
    return [side for side in sides if side not in NEEDS or turns.rivals([side], *NEEDS[side], without=f"no {side}")]


def main():
    """Run models and batches, print the table, and write the JSON."""
    parser = turns.parser(__doc__, turns=5, quick="--models nano --batches 1 --tokens 16 --turns 1")
    parser.add_argument("--models", nargs="+", choices=["gpt2", "nano"], default=["gpt2", "nano"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--tokens", type=int, default=64, help="new ones (default 64)")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES), help="default: all; ours always")
    arguments = parser.parse_args()
    if not FIRST <= arguments.tokens <= POSITIONS - PROMPT:
        parser.error(f"--tokens {arguments.tokens}: expected {FIRST} to {POSITIONS - PROMPT}")
    if arguments.child:
        return child(arguments.child, arguments)
    sides = available(dict.fromkeys(["ours", *arguments.sides]))
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, sides, env)
    figures = {}
    for name in arguments.models:
        for batch in arguments.batches:
            row = figures[f"{name} batch {batch}"] = compare(name, batch, sides, arguments, env)
            print(f"{name} batch {batch}:", *described(row), sep="\n    ", flush=True)
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
