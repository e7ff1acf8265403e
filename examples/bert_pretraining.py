"""BERT's own pre-training, small: hidden words and next sentences, on a text of your own or one that Python ships.

    python examples/bert_pretraining.py --out runs/bert
    python examples/bert_pretraining.py --data wikitext2.valid.txt --out runs/bert-wikitext

As in the paper (Devlin et al. 2018): WordPiece, pairs of sentences of which half follow each other, 15 % of the pieces
chosen and of these 80 % masked, 10 % replaced and 10 % kept, anew in each epoch; AdamW with warm-up, and no decay of
biases and gains. Smaller than the paper: 4 layers of width 128, texts of 64 pieces, 4,000 steps of 32 pairs, seven and
a half minutes on two cores. What it learned is measured on documents that it never saw, every tenth: on wikitext2's
validation part 36 % of the hidden pieces are said right (always the most frequent one: 6 %), perplexity 62. Next
sentences are not told apart, 50 %: the text has 5,700 pairs, the same in every epoch, and they are learned by heart.

The first Ctrl-C ends the run after a whole step and keeps the work; the same command goes on from there.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from tinytx.data import (
    MaskedBatches,
    WordPieceTokenizer,
    builtin_corpus,
    documents,
    next_sentence_pairs,
    read_text,
)
from tinytx.files import read_json_lines
from tinytx.models import Bert, BertConfig
from tinytx.progress import tracked
from tinytx.tasks import HiddenWords
from tinytx.training import AdamW, Trainer, WarmupCosine, fit, load_checkpoint, save_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS
from tinytx.viz import loss_curve

LENGTH, BATCH, SEED, PEAK, WARMUP, DECAY = 64, 32, 0, 1e-3, 400, 0.01
QUICK = "--steps 20 --vocab-size 500 --width 16 --layers 1 --out runs/quick-bert"
NO_DECAY = [("*.bias", {"weight_decay": 0.0}), ("*norm.weight", {"weight_decay": 0.0})]  # the paper's code says so


def prepare(data, layout, vocab_size):
    """Return the tokenizer, and batches of pairs to train on and to judge by."""
    found = documents(read_text(data) if data else builtin_corpus(), layout)
    held_out = found[::10]
    training = [document for i, document in enumerate(found) if i % 10]
    tokenizer = WordPieceTokenizer.from_texts((text for document in training for text in document), vocab_size)

    def batches(part, dynamic):
        encoded = [[tokenizer.encode(text) for text in document] for document in part]
        ids = {"cls_id": tokenizer.cls_id, "sep_id": tokenizer.sep_id}
        pairs = next_sentence_pairs(encoded, seed=SEED, max_len=LENGTH, **ids)
        return MaskedBatches(*pairs, tokenizer=tokenizer, batch_size=BATCH, seed=SEED, dynamic=dynamic)

    return tokenizer, batches(training, dynamic=True), batches(held_out, dynamic=False)


def new_trainer(folder, tokenizer, arguments):
    """Return the trainer; of the run in the folder, if there is one."""
    sizes = {"d_model": arguments.width, "n_heads": 4, "n_layers": arguments.layers}
    config = BertConfig(tokenizer.vocab_size, LENGTH, pad_id=tokenizer.pad_id, **sizes)
    model = HiddenWords.around(Bert, config, rng=np.random.default_rng(SEED), settings={"next_sentence": True})
    state = None
    if (folder / NAME).exists():
        model, state, meta = load_checkpoint(folder)
        if model.config != config or meta["tokenizer"] != tokenizer.to_dict():
            raise SystemExit(f"{folder} holds a run with other words or sizes: name another --out, or run it as it was")
    schedule = WarmupCosine(PEAK, min(WARMUP, arguments.steps // 10), arguments.steps)
    adam = AdamW(model, schedule, weight_decay=DECAY, groups=NO_DECAY)
    if state is not None:
        adam.load_state_dict(state)
        print(f"Going on from step {adam.t:,}")
    return Trainer(model, adam, clip=1.0, threads=arguments.threads, seed=SEED)


def baseline(training, judged):
    """Return the share of hidden words that are right if one says the most frequent one of the training text always."""
    most_frequent = np.bincount(np.concatenate([targets[targets >= 0] for _, targets, *_ in training.epoch()])).argmax()
    answers = np.concatenate([targets[targets >= 0] for _, targets, *_ in judged.epoch()])
    return np.mean(answers == most_frequent)


def main():
    """Train, and judge on what was held out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="UTF-8 text (default: the language reference that Python ships)")
    parser.add_argument("--layout", choices=("prose", "lines"), default="prose", help="see tinytx.data.texts.prose")
    parser.add_argument("--steps", type=int, default=4000, help="in all (default: 4000)")
    parser.add_argument("--vocab-size", type=int, default=4000, help="pieces (default: 4000)")
    parser.add_argument("--width", type=int, default=128, help="a multiple of 4 (default: 128)")
    parser.add_argument("--layers", type=int, default=4, help="default: 4")
    parser.add_argument("--threads", type=int, help="default: all processors")
    parser.add_argument("--out", type=Path, default=Path("runs/bert"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help=f"the same as {QUICK}: shows that it runs, and no more")
    arguments = parser.parse_args([*QUICK.split(), *sys.argv[1:]] if "--quick" in sys.argv else None)
    folder = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, batches, judged = prepare(arguments.data, arguments.layout, arguments.vocab_size)
    trainer = new_trainer(folder, tokenizer, arguments)
    model = trainer.model
    n_parameters = sum(parameter.data.size for parameter in model.parameters())
    sizes = f"{len(batches.rows):,} pairs to train on, {len(judged.rows):,} to judge by"
    print(f"{sizes}, {tokenizer.vocab_size:,} pieces, {n_parameters:,} parameters")
    few = list(judged.epoch())[:8]

    def save():
        save_checkpoint(folder, model, optimizer=trainer.optimizer, tokenizer=tokenizer.to_dict())

    evaluate = lambda: trainer.evaluate(few)  # noqa: E731 - words and pairs, added up
    options = {"steps": arguments.steps, "out": folder, "log_every": 1}
    if not fit(trainer, batches, evaluate=evaluate, save=save, **options):
        print(f"\nStopped after step {trainer.optimizer.t:,}; saved. The same command goes on")
        sys.exit(130)
    measured = model.measure(tracked(judged.epoch(), "batch judged", len(judged)))
    title = "BERT: hidden words and next sentences"
    unit, dropout = "hidden word, and per pair", model.config.dropout
    loss_curve(read_json_lines(folder / METRICS), folder / "loss.png", title, unit=unit, dropout=dropout)
    print(f"\nOn {len(judged.rows):,} pairs of documents held out, after {trainer.optimizer.t:,} steps:")
    loss, right = np.log(measured["perplexity"]), measured["accuracy"]
    print(f"  loss per hidden word      {loss:.3f} nats (perplexity {measured['perplexity']:.1f})")
    print(f"  hidden words said right   {right:.1%} (always the most frequent one: {baseline(batches, judged):.1%})")
    guess = max(np.bincount(judged.labels)) / len(judged.labels)
    print(f"  next sentences told apart {measured['pair_accuracy']:.1%} (always the same answer: {guess:.1%})")
    print(f"Wrote {NAME}, {METRICS} and loss.png to {folder}")


if __name__ == "__main__":
    main()
