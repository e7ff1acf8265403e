"""The from-scratch BERT tutorial's training step, against its script's in plain PyTorch: same words and batches.

    python benchmarks/bert_tutorial.py --data europarl.fr --lines 2999 --json tutorial.json
    python benchmarks/bert_tutorial.py --data europarl.fr --lines 2999 --train 1000 --json curves.json

``torch`` does what the script does: attention of products and a softmax, a head on every word, Adam. ``torch_tuned``
has PyTorch's fused attention, and its head on the hidden words only, as ours. All start from the same weights, and
differ in their dropout. Every side is a process of its own, and they take turns (turns.py). With ``--train N`` each side
takes N steps, a hundred in a turn, and the losses are printed beside those of the tutorial's own script. To a rival's
memory belongs what the library's own modules take, since its weights come from there.
"""

import time
from pathlib import Path

import numpy as np
import turns

LR, DECAY, BATCH, LENGTH, DROPOUT, SEED = 2e-3, 1e-4, 128, 20, 0.1, 0
REFERENCE = {0: 9.11, 100: 6.36, 200: 6.01, 400: 5.55, 600: 4.72, 800: 4.07, 1000: 3.43}  # 2,999 lines of europarl.fr
REACH = 10  # steps on either side that a printed loss is the mean of


def make_batches(data, lines):
    """Return the tutorial's batches of the first so many lines, or all: a function of the step; and its tokenizer."""
    from tinytx.data import MaskedBatches, TutorialTokenizer, builtin_corpus, joined, read_text

    text = read_text(data) if data else builtin_corpus()
    texts = [line for line in text.split("\n")[:lines] if line.strip()]
    tokenizer = TutorialTokenizer.from_texts(texts)
    rows = joined([tokenizer.encode(text) for text in texts], LENGTH)
    options = {"replace": (1, 0, 0), "never": [tokenizer.pad_id], "drop_last": len(rows) >= BATCH}
    return MaskedBatches(rows, tokenizer=tokenizer, batch_size=BATCH, seed=SEED, **options), tokenizer


def ours(config, threads):
    """Return the library's Trainer; like PyTorch's Adam it decays biases and gains, too."""
    from tinytx.models import Bert
    from tinytx.tasks import HiddenWords
    from tinytx.training import Adam, Trainer

    model = HiddenWords.around(Bert, config, rng=np.random.default_rng(SEED), settings={"head": "untied"})
    return Trainer(model, Adam(model, LR, groups=[("*", {"weight_decay": DECAY})]), clip=None, threads=threads)


def torch(config, threads, tuned=False):
    """Return the script's step, from the same weights."""
    import torch
    from torch_bert import Tutorial, TutorialTrainer

    from tinytx.models import Bert
    from tinytx.tasks import HiddenWords

    torch.set_num_threads(threads)
    torch.manual_seed(SEED)
    model = Tutorial(config, config.dropout, fused=tuned)
    model.load_ours(HiddenWords.around(Bert, config, rng=np.random.default_rng(SEED), settings={"head": "untied"}).state_dict())
    return TutorialTrainer(model, LR, DECAY, hidden_only=tuned)


def torch_tuned(config, threads):
    """Return the same with what the script could have done."""
    return torch(config, threads, tuned=True)


SIDES = {"ours": ours, "torch": torch, "torch_tuned": torch_tuned}


def child(side, arguments):
    """Go on training for a number of steps; answer with milliseconds for one, the losses and the peak memory."""
    from tinytx.models import BertConfig

    batches, tokenizer = make_batches(arguments.data, arguments.lines)
    config = BertConfig.tutorial(tokenizer.vocab_size, dropout=DROPOUT, feed_forward_dropout=DROPOUT)
    trainer, done = SIDES[side](config, arguments.threads), 0

    def answer(n):
        nonlocal done
        steps = [batches(done + i) for i in range(n)]  # made before the clock starts: it is not the script's way
        done += n
        began = time.perf_counter()
        losses = [trainer.step(*batch) for batch in steps]
        return {"ms": (time.perf_counter() - began) / n * 1e3, "losses": losses, "memory": turns.peak_memory()}

    turns.serve(answer)


def measure(running, arguments):
    """Let the sides take their turns; return the losses of each from the first step on."""
    losses = {name: [] for name in running}
    plan = [100] * (arguments.train // 100) + [arguments.train % 100] * (arguments.train % 100 > 0)
    if not arguments.train:
        turns.take_turns(running.values(), 1, 2)  # compiles, and fills the memory
        plan = [turns.steps(running["ours"], arguments.seconds)] * arguments.turns
        for side in running.values():
            side.turns.clear()
    for n in plan:
        for name, side in running.items():
            losses[name] += side.ask(n)["losses"]
        if arguments.train:
            print(", ".join(f"{name} {side.turns[-1]['ms']:.0f} ms" for name, side in running.items()), flush=True)
    return losses


def smoothed(losses, step):
    """Return the mean of a loss and its neighbours, as many on either side as there are; None if it was not reached."""
    reach = min(REACH, step, len(losses) - 1 - step)
    return float(np.mean(losses[step - reach : step + reach + 1])) if reach >= 0 else None


def curves(losses):
    """Return a table: every hundredth step, the script's loss where it is known, ours and the rival's."""
    names, n = list(losses), len(next(iter(losses.values())))
    table = [f"{'step':>6} {'script':>8} " + " ".join(f"{name:>12}" for name in names)]
    for step in sorted({*range(0, n, 100), n - 1}):
        known = f"{REFERENCE[step]:8.2f}" if step in REFERENCE else " " * 8
        table.append(f"{step:>6} {known} " + " ".join(f"{smoothed(losses[name], step):12.3f}" for name in names))
    return "\n".join(table)


def main():
    """Run the sides, print times and losses, and write the JSON."""
    parser = turns.parser(__doc__, seconds=2, quick="--lines 40 --turns 1 --seconds 0")
    text = "UTF-8 text, a sentence a line (default: the language reference that comes with Python)"
    parser.add_argument("--data", type=Path, help=text)
    parser.add_argument("--lines", type=int, help="how many of its lines (default: all)")
    parser.add_argument("--train", type=int, default=0, metavar="N", help="train for N steps, and compare the losses")
    rivals = [side for side in SIDES if side != "ours"]
    parser.add_argument("--sides", nargs="+", choices=rivals, default=rivals)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments)
    sides = ["ours", *turns.rivals(arguments.sides, "torch")]
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, sides, env)
    options = ["--threads", arguments.threads, *(["--data", arguments.data.resolve()] if arguments.data else [])]
    options += ["--lines", arguments.lines] if arguments.lines else []
    with turns.running(__file__, sides, *options, env=env) as running:
        losses = measure(running, arguments)
    turns.check_losses({name: some[-1] for name, some in losses.items()})
    figures = {"threads": arguments.threads, "losses": losses}
    for name, side in running.items():
        row = figures[name] = {"ms": side.median("ms"), "memory_mb": side.median("memory")}
        if name != "ours":
            row["ratio"] = turns.ratio(side, running["ours"], "ms")
            row["memory_ratio"] = figures["ours"]["memory_mb"] / row["memory_mb"]
        print(f"{name:>11}: {row['ms']:.1f} ms a step, peak {row['memory_mb']:.0f} MB")
        if "ratio" in row:
            print(f"{'':13}its time / ours {row['ratio']:.2f}, memory ours / its {row['memory_ratio']:.2f}")
    if arguments.train:
        print(curves(losses))
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
