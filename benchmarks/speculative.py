"""Speculative decoding: tokens per second of `speculate` and of `generate`, and how often a draft has to be right for it to pay.

    python -m tinytx train gpt --data tinyshakespeare.txt --max-len 256 --d-model 768 --n-heads 12 --out runs/target
    python -m tinytx train gpt --data tinyshakespeare.txt --max-len 256 --out runs/draft
    python benchmarks/speculative.py --run runs/target --draft runs/draft --json speculative.json

Two parts. Costs: with random weights, for each target, the time of one token, that of a call on k + 1 tokens of one text, and that of a token of
its draft: a small model, or the target itself in 8 bits. With (5) of `tinytx/decoding/speculative.py` they say which share of proposals has to be
accepted for it to pay. Texts: a target continues beginnings of texts plainly and speculatively by turns, in one process, since both sides use the
same weights: those of the first part, which have only themselves in 8 bits as a draft, and a trained target, which has a trained draft as well and
reads what neither has seen. Without --run both are trained here for a moment.
"""

import time
from typing import NamedTuple

import numpy as np
import turns
from sides import SHAPES, SIDES, make_model

from tinytx import workers
from tinytx.data import CharTokenizer, builtin_corpus, random_batch, read_text, split
from tinytx.decoding import Speculation, generate, speculate
from tinytx.decoding.sessions import Session
from tinytx.pipelines import Writer, load_run

ITSELF = "itself in 8 bits"
BEFORE, POSITIONS, REPEATS, PROMPT, LENGTH = 64, 1024, 9, 32, 128


class Pair(NamedTuple):
    """A target and its draft: a name in SHAPES, and the draft's (d_model, n_heads, n_layers)."""

    target: str
    draft: tuple


PAIRS = {"gpt2": Pair("gpt2", (256, 4, 4)), "baby": Pair("baby", (128, 4, 2))}


def milliseconds(call):
    """Return the median time of a call, after one that does not count."""
    times = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - began))
    return turns.median(times[1:])


def costs(model, n):
    """Return the milliseconds of one token, and of n tokens of one text together, after `BEFORE` positions."""
    ids = np.random.default_rng(0).integers(0, model.vocab_size, (1, BEFORE))
    session = Session(model, ids, n_tokens=4 * REPEATS)
    session.logits(ids)
    mark = session.mark()

    def read():
        session.all_logits(ids[:, :n])
        session.rewind(mark)

    together = milliseconds(read)
    return milliseconds(lambda: session.logits(ids[:, :1])), together


def tokens_per_call(a, k):
    """Return (5): how many tokens a call of the target gives if a share ``a`` of proposals is accepted."""
    return sum(a**i for i in range(k + 1))


def break_even(cost, k):
    """Return the share of accepted proposals at which a call gives ``cost`` tokens; None if even all are too few."""
    if cost > k + 1:
        return None
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if tokens_per_call(middle, k) < cost else (low, middle)
    return high


def described_costs(name, models, ks):
    """Print and return the figures of a target and its drafts, {name: model}."""
    model, *drafts = models.values()
    measured = {k: costs(model, k + 1) for k in ks}
    figures = {}
    for label, draft in zip(list(models)[1:], drafts):
        of_draft = costs(draft, 1)[0]
        figures[label] = {"draft_ms": of_draft}
        print(f"{name}: a token of its draft, {label}, {of_draft:.2f} ms")
        for k, (one, together) in measured.items():
            cost = (k * of_draft + together) / one
            even = break_even(cost, k)
            figures[label][f"{k}"] = {"token_ms": one, "together_ms": together, "cost_in_tokens": cost, "break_even": even}
            pays = f"pays if more than {even:.0%} are accepted" if even is not None else "never pays"
            print(f"    {k} proposals: a token {one:.2f} ms, {k + 1} together {together:.2f}; all cost {cost:.2f} tokens: {pays}", flush=True)
    return figures


def models_of(name, is_rounded):
    """Return {name: model}: a target with random weights, and its drafts; none is itself if the target is in 8 bits."""
    shape, (d_model, n_heads, n_layers) = SHAPES[PAIRS[name].target]._replace(max_len=POSITIONS), PAIRS[name].draft
    target, small = make_model(shape), make_model(shape._replace(d_model=d_model, n_heads=n_heads, n_layers=n_layers))
    label, rounded = f"{n_layers} layers of {d_model}", target.quantized()
    if is_rounded:
        return {name: rounded, label: small.quantized()}
    return {name: target, label: small, ITSELF: rounded}


def trained(text, steps, threads):
    """Return (target, draft, ids of the part of the text that they have not seen), trained for a moment."""
    tokenizer = CharTokenizer.from_text(text)
    train, rest = split(tokenizer.encode(text))
    models = []
    for shape in (SHAPES["nano"], SHAPES["nano"]._replace(d_model=64, n_layers=1)):
        models.append(make_model(shape._replace(vocab_size=tokenizer.vocab_size, max_len=LENGTH)))
        trainer = SIDES["ours"](models[-1], threads)
        for step in range(steps):
            trainer.step(*random_batch(train, max_len=LENGTH, batch_size=8, seed=0, step=step))
    return *models, rest


def loaded(arguments, text):
    """Return (target, draft, ids that they have not seen), of two folders."""
    writers = [load_run(folder, Writer) for folder in (arguments.run, arguments.draft)]
    if writers[0].tokenizer.names != writers[1].tokenizer.names:
        raise SystemExit(f"{arguments.run} and {arguments.draft} were not trained on the same characters")
    return *(writer.model for writer in writers), split(writers[0].tokenizer.encode(text))[1]


def written(model, draft, ids, k, temperature, arguments):
    """Return the figures of one target and draft: plain and speculative turns, one after the other, on the same prompts."""
    rates, counts, n, seen = {"plain": [], "speculative": []}, Speculation(), arguments.tokens, []
    rng = np.random.default_rng(0)
    for turn in range(1 + arguments.turns):
        start = int(rng.integers(len(ids) - PROMPT))
        prompt, own = np.asarray(ids[start : start + PROMPT])[None], Speculation()
        sides = {
            "plain": lambda: generate(model, prompt, n, temperature=temperature, rng=rng),
            "speculative": lambda: speculate(model, draft, prompt, n, draft_tokens=k, temperature=temperature, rng=rng, counts=own),
        }
        texts = {}
        for side, call in sides.items():
            began = time.perf_counter()
            texts[side] = np.concatenate(list(call()))
            if turn:
                rates[side].append(n / (time.perf_counter() - began))
        if any(len(text) != n for text in texts.values()):
            raise SystemExit(f"{ {side: len(text) for side, text in texts.items()} } tokens were written, expected {n}")
        if turn:
            counts = Speculation(*(getattr(counts, name) + getattr(own, name) for name in vars(counts)))
            seen.append(texts)
    if temperature == 0:
        same = float(np.mean([(texts["plain"] == texts["speculative"]).mean() for texts in seen]))
        if same < 0.5:
            raise SystemExit(f"greedy texts agree in {same:.0%} of their tokens only")
    row = {f"{side}_tokens_per_second": turns.median(each) for side, each in rates.items()}
    row |= {"speculative_to_plain_ratio": turns.median(b / a for a, b in zip(*rates.values()))}
    return row | {"acceptance": counts.acceptance, "tokens_per_call": counts.tokens_per_call}


def main():
    """Measure costs and texts, print both, and write the JSON."""
    parser = turns.parser(__doc__, turns=5, quick="--pairs baby --ks 2 --tokens 24 --turns 1 --steps 20 --bits 32")
    parser.add_argument("--pairs", nargs="*", choices=PAIRS, default=["gpt2", "baby"], help="targets with random weights")
    parser.add_argument("--run", help="folder of a trained target (default: one is trained here)")
    parser.add_argument("--draft", help="folder of its trained draft")
    parser.add_argument("--data", help="UTF-8 text that both were trained on (default: the language reference that comes with Python)")
    parser.add_argument("--ks", nargs="+", type=int, default=[2, 4, 7], help="tokens that are proposed at a time (default 2 4 7)")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of a text (default 128)")
    parser.add_argument("--steps", type=int, default=200, help="of the training without --run (default 200)")
    parser.add_argument("--bits", nargs="+", type=int, choices=(32, 8), default=[32, 8], help="of the targets' weights (default 32 8)")
    arguments = parser.parse_args()
    if (arguments.run is None) != (arguments.draft is None):
        parser.error("--run and --draft are given together or not at all")
    turns.describe(arguments.threads, ["plain", "speculative"], turns.environment(arguments.keep_env))
    figures = {"costs": {}, "texts": {}}

    def write(place, model, draft, ids, temperatures):
        for k in arguments.ks:
            for temperature in temperatures:
                row = figures["texts"][f"{place}, {k} proposals, temperature {temperature}"] = written(model, draft, ids, k, temperature, arguments)
                plain, fast = row["plain_tokens_per_second"], row["speculative_tokens_per_second"]
                print(
                    f"{place}, {k} proposals, temperature {temperature}: tokens/s plain {plain:.1f}, speculative {fast:.1f}; ratio "
                    f"{row['speculative_to_plain_ratio']:.2f}; {row['acceptance']:.1%} accepted, {row['tokens_per_call']:.2f} tokens for each call", flush=True
                )  # fmt: skip

    with workers.use(workers.Pool(arguments.threads)):
        for name in arguments.pairs:
            for bits in arguments.bits:
                models = models_of(name, bits == 8)
                figures["costs"][f"{name} {bits} bits"] = described_costs(f"{name}, {bits} bits", models, arguments.ks)
                if ITSELF in models:
                    ids = np.random.default_rng(2).integers(0, models[name].vocab_size, 8 * PROMPT)
                    write(f"{name}, draft {ITSELF}", models[name], models[ITSELF], ids, [1])
        text = read_text(arguments.data) if arguments.data else builtin_corpus()
        model, draft, ids = loaded(arguments, text) if arguments.run else trained(text, arguments.steps, arguments.threads)
        for bits in arguments.bits:
            both = (model, draft) if bits == 32 else (model.quantized(), draft.quantized())
            write(f"trained, {bits} bits", *both, ids, [1, 0])
            if bits == 32:
                write(f"trained, draft {ITSELF}", model, model.quantized(), ids, [1, 0])
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
