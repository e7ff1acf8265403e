"""The from-scratch BERT tutorial, whole: a small BERT learns words from a text in which some are hidden.

    python examples/bert_from_scratch.py --data europarl.fr --lines 2999 --steps 1000 --out runs/bert-tutorial
    python examples/bert_from_scratch.py --data europarl.fr --minutes 30

The settings are those of Whiax's BERT-Transformer-Pytorch. No loss is published, so its script was run, on the first
2,999 lines of Europarl's French: REFERENCE. These are losses of single training batches, before the step's update, with
dropout, in nats per hidden word. Ours are the same, and go up and down by 0.14 from batch to batch: around step 1,000
their mean is 3.83; from other weights at the start it was 3.60 and 3.65, as the plateau near 6.3 ends sooner or later,
until which the model knows how frequent words are, and nothing else. A thousand steps take five minutes on two cores.

The first Ctrl-C ends the run after a whole step and keeps the work; the same command goes on from there. At the end the
folder has loss.png, values.tsv and names.tsv (load both at https://projector.tensorflow.org), words.png and words.html.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

import numpy as np

from tinytx import workers
from tinytx.data import MaskedBatches, TutorialTokenizer, builtin_corpus, joined, read_text
from tinytx.files import read_json_lines
from tinytx.models import Bert, BertConfig
from tinytx.progress import progress, say
from tinytx.tasks import HiddenWords
from tinytx.training import Adam, Trainer, fit, load_checkpoint, save_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS
from tinytx.vectors import nearest, tsne_map, unit_rows, write_projector
from tinytx.viz import loss_curve, word_map, word_page

REFERENCE = {0: 9.11, 100: 6.36, 200: 6.01, 400: 5.55, 600: 4.72, 800: 4.07, 1000: 3.43}
LR, DECAY, BATCH, DROPOUT, SEED = 2e-3, 1e-4, 128, 0.1, 0
SHOWN = 3000  # words whose vectors are written
QUICK = "--lines 300 --steps 20 --layers 1 --iterations 50 --out runs/quick-bert-tutorial"
CLOSED = 60  # the most frequent words, articles and the like, whose neighbours say little


class Beside(Trainer):
    """A trainer that says each hundredth loss, and beside it the tutorial's."""

    def step(self, *batch):
        """As `Trainer.step`."""
        t, loss = self.optimizer.t, super().step(*batch)
        if t % 100 == 0:
            say(f"step {t:6,}: loss {loss:.2f}" + (f"   (the tutorial: {REFERENCE[t]:.2f})" if t in REFERENCE else ""))
        return loss


def prepare(data, lines, max_words):
    """Return the tokenizer of the text's most frequent words, and batches of 20 words: a function of the step."""
    text = read_text(data) if data else builtin_corpus()
    texts = [line for line in text.split("\n")[:lines] if line.strip()]
    tokenizer = TutorialTokenizer.from_texts(texts, max_words)
    rows = joined([tokenizer.encode(text) for text in texts], max_len=20)
    options = {"replace": (1, 0, 0), "never": [tokenizer.pad_id]}  # always <mask>, and <oov> is hidden too
    options["drop_last"] = len(rows) >= BATCH
    return tokenizer, MaskedBatches(rows, tokenizer=tokenizer, batch_size=BATCH, seed=SEED, **options)


def new_trainer(folder, tokenizer, threads, **sizes):
    """Return the trainer; of the run in the folder, if there is one."""
    config = BertConfig.tutorial(tokenizer.vocab_size, dropout=DROPOUT, feed_forward_dropout=DROPOUT, **sizes)
    model = HiddenWords.around(Bert, config, rng=np.random.default_rng(SEED), settings={"head": "untied"})
    state = None
    if (folder / NAME).exists():
        model, state, meta = load_checkpoint(folder)
        if model.config != config or meta["words"] != tokenizer.words:
            raise SystemExit(f"{folder} holds a run with other words or sizes: name another --out, or run it as it was")
    adam = Adam(model, LR, groups=[("*", {"weight_decay": DECAY})])  # of biases and gains too, as PyTorch's Adam
    if state is not None:
        adam.load_state_dict(state)
        print(f"Going on from step {adam.t:,}")
    return Beside(model, adam, clip=None, threads=threads, seed=SEED)


def train(trainer, batches, folder, words, steps, minutes):
    """Train until all steps are taken, or time is up; return False if somebody interrupted."""
    until, timed_out = time.monotonic() + 60 * minutes, []

    def batch(step):
        if time.monotonic() > until and not timed_out:
            timed_out.append(step)
            signal.raise_signal(signal.SIGTERM)  # as Ctrl-C, which nohup ignores: this step, a checkpoint, the end
        return batches(step)

    def save():
        save_checkpoint(folder, trainer.model, optimizer=trainer.optimizer, words=words)

    options = {"evaluate": None, "eval_every": 500, "log_every": 1}  # checkpoints every 500 steps, and no validation
    finished = fit(trainer, batch, steps=steps, out=folder, save=save, **options)
    return finished or bool(timed_out)


def report_loss(folder):
    """Draw the curve with the tutorial's points, and print both: ours as a mean over 21 steps, and as it was."""
    records = read_json_lines(folder / METRICS)
    losses = {record["step"] - 1: record["train_loss"] for record in records}  # a record's step counts its own update
    reached = {step: loss for step, loss in REFERENCE.items() if step <= max(losses) + 1}
    theirs = "the tutorial's script", reached
    loss_curve(records, folder / "loss.png", "BERT from scratch", reference=theirs, unit="hidden word", dropout=DROPOUT)
    print("\n  step  tutorial  ours  mean of 21   (the tutorial: on 2,999 lines)")
    for step, theirs in reached.items():
        near = [losses[i] for i in range(max(0, step - 10), step + 11 if step else 1) if i in losses]
        print(f"{step:6,}  {theirs:8.2f}  {losses.get(step, near[-1]):4.2f}  {np.mean(near):10.2f}")


def report_words(folder, model, tokenizer, iterations):
    """Write the words' vectors, print neighbours of ten words, and draw the map."""
    words = tokenizer.words[:SHOWN]
    vectors = model.body.encoder.token.weight.data[: len(words)]
    write_projector(folder, words, vectors, decimals=2)
    print("\nNearest words, by their vectors' cosine:")
    for word in [word for word in words[min(CLOSED, len(words) // 10) :] if word.isalpha() and len(word) > 3][:10]:
        print(f"  {word:>14}: " + ", ".join(f"{w} {cosine:.2f}" for w, cosine in nearest(vectors, words, word, 5)))
    bar, points = progress(iterations, unit="iteration"), unit_rows(vectors)
    options = {"perplexity": min(30, (len(words) - 1) / 3), "iterations": iterations}
    with workers.use():
        y, loss = tsne_map(points, update=bar.update, **options)
    bar.close()
    title = f"{len(words):,} words of BERT from scratch, by t-SNE"
    word_map(words, y, folder / "words.png", title=title)
    word_page(words, y, vectors, folder / "words.html", title=title, note=f"Divergence of the map: {loss:.3f} nats.")
    print(f"Wrote loss.png, values.tsv, names.tsv, words.png and words.html to {folder}")


def main():
    """Train, and show what was learned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = "UTF-8 text, a sentence a line (default: the language reference that comes with Python)"
    parser.add_argument("--data", type=Path, help=text)
    parser.add_argument("--lines", type=int, help="how many of its lines (default: all)")
    parser.add_argument("--max-words", type=int, default=40_000, help="of the vocabulary (default: 40000)")
    parser.add_argument("--steps", type=int, default=30_000, help="in all (default: the tutorial's 30000)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop training after so many, and show")
    parser.add_argument("--out", type=Path, default=Path("runs/bert-tutorial"), metavar="DIR")
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument("--layers", type=int, default=8, help="default: the tutorial's 8")
    parser.add_argument("--iterations", type=int, default=1000, help="of t-SNE (default: 1000)")
    parser.add_argument("--quick", action="store_true", help=f"the same as {QUICK}: shows that it runs, and no more")
    arguments = parser.parse_args([*QUICK.split(), *sys.argv[1:]] if "--quick" in sys.argv else None)
    folder = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, batches = prepare(arguments.data, arguments.lines, arguments.max_words)
    trainer = new_trainer(folder, tokenizer, arguments.threads, n_layers=arguments.layers)
    n_parameters = sum(parameter.data.size for parameter in trainer.model.parameters())
    print(f"{len(batches.rows):,} sequences, {tokenizer.vocab_size:,} words, {n_parameters:,} parameters")
    if not train(trainer, batches, folder, tokenizer.words, arguments.steps, arguments.minutes):
        print(f"\nStopped after step {trainer.optimizer.t:,}; saved. The same command goes on")
        sys.exit(130)
    report_loss(folder)
    report_words(folder, trainer.model, tokenizer, arguments.iterations)


if __name__ == "__main__":
    main()
