"""nanoGPT's laptop recipe, whole: the library and PyTorch, from the same weights on the same batches.

    python benchmarks/laptop_recipe.py --data tinyshakespeare.txt --seeds 1337 1338 1339

Each run is a process of its own, and the two take turns. A run is 2,000 steps of batch 12 x 64 characters with
clipping, AdamW and the cosine schedule, a validation on 256 windows every 250 steps, and one over the whole
validation part at the end. Needs torch for the rival (pip install torch); without it the library runs alone.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

from tinytx.data import CharTokenizer, random_batch, read_text, split, windows
from tinytx.models import GPT, GPTConfig
from tinytx.training import AdamW, Trainer, WarmupCosine

BATCH, LENGTH, EVAL_EVERY, EVAL_WINDOWS = 12, 64, 250, 256


def ours(model, schedule, threads):
    """Return step and evaluate of the library."""
    trainer = Trainer(model, AdamW(model, schedule, betas=(0.9, 0.99), weight_decay=0.1), clip=1.0, threads=threads)
    return lambda step, *batch: trainer.step(*batch), trainer.evaluate


def torch_eager(model, schedule, threads):
    """Return step and evaluate of PyTorch."""
    import torch
    from torch_gpt import TorchGPT

    torch.set_num_threads(threads)
    rival = TorchGPT(model.config)
    rival.load_ours(model.state_dict())
    optimizer = rival.adamw(1e-3, (0.9, 0.99), 0.1)

    def step(t, *batch):
        for group in optimizer.param_groups:
            group["lr"] = schedule(t)
        loss = rival(*(torch.from_numpy(array) for array in batch))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rival.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    def evaluate(batches):
        with torch.no_grad():
            counts = [int((targets >= 0).sum()) for _, targets in batches]
            losses = [rival(*(torch.from_numpy(array) for array in batch)).item() for batch in batches]
        return float(np.dot(losses, counts) / np.sum(counts))

    return step, evaluate


def child(who, data, seed, steps, threads):
    """Run one side, and print its figures as a line of JSON."""
    text = read_text(data)
    tokenizer = CharTokenizer.from_text(text)
    train, validation = split(tokenizer.encode(text))
    inputs, targets = windows(validation, LENGTH)

    def parts(every):
        ins, outs = inputs[::every], targets[::every]
        return [(ins[i : i + 64], outs[i : i + 64]) for i in range(0, len(ins), 64)]

    began = time.perf_counter()
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, max_len=LENGTH), rng=np.random.default_rng(seed))
    schedule = WarmupCosine(1e-3, 100, steps, 1e-4)
    step, evaluate = {"ours": ours, "torch": torch_eager}[who](model, schedule, threads)
    for t in range(steps):
        step(t, *random_batch(train, max_len=LENGTH, batch_size=BATCH, seed=seed, step=t))
        if (t + 1) % EVAL_EVERY == 0:
            evaluate(parts(max(1, len(inputs) // EVAL_WINDOWS)))
    loss = evaluate(parts(1))
    print(json.dumps({"val_loss": loss, "seconds": time.perf_counter() - began}))


def main():
    """Run both sides for every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="UTF-8 text file")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1337, 1338, 1339])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--child", choices=["ours", "torch"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.data, arguments.seeds[0], arguments.steps, arguments.threads)
    sides = ["ours", "torch"] if importlib.util.find_spec("torch") else ["ours"]
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    results = {side: [] for side in sides}
    for seed in arguments.seeds:
        for side in sides:
            command = [sys.executable, __file__, "--data", arguments.data, "--child", side, "--seeds", str(seed)]
            command += ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
            output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
            results[side].append(json.loads(output.splitlines()[-1]))
            print(f"seed {seed} {side:>5}: {results[side][-1]}", flush=True)
    for side in sides:
        median = {key: statistics.median(run[key] for run in results[side]) for key in ("val_loss", "seconds")}
        print(f"{side:>5}: median validation loss {median['val_loss']:.4f}, median time {median['seconds']:.1f} s")
    if len(sides) == 2:
        ratios = [b["seconds"] / a["seconds"] for a, b in zip(results["ours"], results["torch"])]
        print(f"PyTorch's time / ours: {statistics.median(ratios):.2f} (of pairs: {[round(r, 2) for r in ratios]})")
    else:
        print("torch is not installed: no rival")


if __name__ == "__main__":
    main()
