"""nanoGPT's laptop recipe, whole: the library and PyTorch, from the same weights on the same batches.

    python benchmarks/laptop_recipe.py --data tinyshakespeare.txt --seeds 1337 1338 1339

Each run is a process of its own, and the two take turns (turns.py). A run is 2,000 steps of batch 12 x 64 characters with
clipping, AdamW and the cosine schedule, a validation on 256 windows every 250 steps, and one over the whole
validation part at the end. Needs torch for the rival (pip install torch); without it the library runs alone.
"""

import time

import numpy as np
import turns
from sides import SIDES

from tinytx.data import CharTokenizer, builtin_corpus, random_batch, read_text, split, windows
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import WarmupCosine

BATCH, LENGTH, EVAL_EVERY, EVAL_WINDOWS = 12, 64, 250, 256


def run(side, data, seed, steps, threads):
    """Run one side, and answer with its figures."""
    text = read_text(data) if data else builtin_corpus()
    tokenizer = CharTokenizer.from_text(text)
    train, validation = split(tokenizer.encode(text))
    inputs, targets = windows(validation, LENGTH)

    def parts(every):
        ins, outs = inputs[::every], targets[::every]
        return [(ins[i : i + 64], outs[i : i + 64]) for i in range(0, len(ins), 64)]

    began = time.perf_counter()
    body = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, max_len=LENGTH), rng=np.random.default_rng(seed))
    model = NextToken(body)
    schedule = WarmupCosine(1e-3, 100, steps, 1e-4)
    trainer = SIDES[side](model, threads, schedule)  # sides.py's betas, decay and clipping are the recipe's
    for t in range(steps):
        trainer.step(*random_batch(train, max_len=LENGTH, batch_size=BATCH, seed=seed, step=t))
        if (t + 1) % EVAL_EVERY == 0:
            trainer.evaluate(parts(max(1, len(inputs) // EVAL_WINDOWS)))
    loss = trainer.evaluate(parts(1))
    return {"val_loss": loss, "seconds": time.perf_counter() - began}


def main():
    """Run both sides for every seed and print the table."""
    parser = turns.parser(__doc__, turns=None, quick="--seeds 1337 --steps 20")
    parser.add_argument("--data", help="UTF-8 text file (default: the language reference that comes with Python)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1337, 1338, 1339], help="a turn of each side for each")
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    if arguments.child:
        return turns.serve(lambda seed: run(arguments.child, arguments.data, seed, arguments.steps, arguments.threads))
    sides = ["ours", *turns.rivals(["torch_eager"], "torch")]
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, sides, env)
    options = ["--steps", arguments.steps, "--threads", arguments.threads]
    options += ["--data", arguments.data] if arguments.data else []
    runs = {side: [] for side in sides}
    for seed in arguments.seeds:
        for side in sides:
            runs[side].append(turns.ask_once(__file__, side, seed, *options, env=env))
            print(f"seed {seed} {side}: {runs[side][-1]}", flush=True)
        turns.check_losses({side: runs[side][-1]["val_loss"] for side in sides}, 0.01)
    for side in sides:
        loss, seconds = (turns.median(run[key] for run in runs[side]) for key in ("val_loss", "seconds"))
        print(f"{side}: median validation loss {loss:.4f}, median time {seconds:.1f} s")
    if len(sides) == 2:
        ratios = [b["seconds"] / a["seconds"] for a, b in zip(*runs.values())]
        print(f"PyTorch's time / ours: {turns.median(ratios):.2f} (of pairs: {[round(r, 2) for r in ratios]})")
    turns.write_json(arguments.json, runs)


if __name__ == "__main__":
    main()
