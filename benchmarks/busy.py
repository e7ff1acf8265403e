"""Tokens per second beside programs that compute all the time, with and without the threads that stay awake while tokens are chosen.

    python benchmarks/busy.py --model gpt2 --programs 0 1 2 --json busy.json

While nothing else runs, such a thread (`tinytx.workers.awake`) makes generation faster; where it would take the processor from another
program, it has to withdraw. Four sides continue a prompt of 16 tokens greedily and take turns: weights in float32 and in 8 bits, helped and alone.
The programs beside them count for ever. What is counted begins after the first token, and so after the prompt. Helped and alone
have to choose the same tokens.
"""

import contextlib
import subprocess
import sys
import time

import numpy as np
import turns
from generate import FIRST, POSITIONS, PROMPT, make

from tinytx import workers

SIDES = ("float32", "float32_alone", "int8", "int8_alone")


def child(side, arguments):
    """Answer each line with tokens per second, and the tokens."""
    from tinytx.decoding import generate

    model = make(arguments.model)
    model = model.quantized() if side.startswith("int8") else model
    prompt = np.random.default_rng(0).integers(0, model.config.vocab_size, (1, PROMPT))
    if side.endswith("alone"):
        workers.awake.MOST = 1  # thread for each product

    def answer(_):
        with workers.use(workers.Pool(arguments.threads)):
            tokens = generate(model, prompt, arguments.tokens, temperature=0)
            made = [next(tokens)]
            began = time.perf_counter()
            made += tokens
            seconds = time.perf_counter() - began
        return {"rate": (len(made) - 1) / seconds, "tokens": np.concatenate(made).tolist()}

    answer(None)
    turns.serve(answer)


@contextlib.contextmanager
def counting(n):
    """Return a context beside which n programs, which it gives, compute all the time."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield programs
    finally:
        for program in programs:
            program.kill()
            program.wait()


def main():
    """Let the sides take turns beside 0, 1, ... programs, print the table, and write the JSON."""
    parser = turns.parser(__doc__, turns=5, quick="--model nano --programs 0 1 --tokens 16 --turns 1")
    parser.add_argument("--model", choices=["gpt2", "nano"], default="gpt2")
    parser.add_argument("--programs", nargs="+", type=int, default=[0, 1, 2], help="that compute beside us (default 0 1 2)")
    parser.add_argument("--tokens", type=int, default=24, help="new ones (default 24)")
    arguments = parser.parse_args()
    if not FIRST <= arguments.tokens <= POSITIONS - PROMPT:
        parser.error(f"--tokens {arguments.tokens}: expected {FIRST} to {POSITIONS - PROMPT}")
    if arguments.child:
        return child(arguments.child, arguments)
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, SIDES, env)
    options = "--model", arguments.model, "--tokens", arguments.tokens, "--threads", arguments.threads
    figures = {}
    with turns.running(__file__, SIDES, *options, env=env) as running:
        for n in arguments.programs:
            with counting(n):
                turns.take_turns(running.values(), arguments.turns)
            row = figures[f"{n} programs"] = compare(running)
            print(f"{arguments.model} beside {n} programs: tokens/s", *described(row), sep="\n    ", flush=True)
    turns.write_json(arguments.json, figures)


def compare(running):
    """Return the figures of the sides' turns; end with an error where helped and alone choose other tokens."""
    row = {}
    for side in ("float32", "int8"):
        helped, alone = running[side], running[f"{side}_alone"]
        if helped.turns[0]["tokens"] != alone.turns[0]["tokens"]:
            raise SystemExit(f"{side}: with the threads that stay awake other tokens are chosen than without")
        row |= {f"{side}_tokens_per_second": helped.median("rate"), f"{side}_alone_tokens_per_second": alone.median("rate")}
        row[f"{side}_helped_to_alone_ratio"] = turns.ratio(helped, alone, "rate")
    return row


def described(row):
    """Return a row's figures as lines of text."""
    for side in ("float32", "int8"):
        helped, alone = row[f"{side}_tokens_per_second"], row[f"{side}_alone_tokens_per_second"]
        yield f"{side} {helped:.1f}, alone {alone:.1f}, ratio {row[f'{side}_helped_to_alone_ratio']:.2f}"


if __name__ == "__main__":
    main()
