"""A Transformer learns to read dates, and its cross-attention shows where it looks.

    python examples/transformer_dates.py --out runs/dates

``tuesday, the 27th of september 1994`` becomes ``1994-09-27``, character by character. One to two minutes on two cores;
then 0.9998 of 5,000 dates are right that it saw in no form, and alignment.png shows how: the decoder has one layer, so
there is one cross-attention to look at. For 96 % of the digits of year and day its largest weight, of the mean over the
heads, lies on that part of the source. The rest is the century, 19 or 20, nearly always.

Ctrl-C saves, and the same command goes on. It needs: pip install "tinytx[train]".
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from tinytx.data import PairBatches, build_tokenizers, date_fields, date_pairs, encode_pairs, pad, split_pairs
from tinytx.decoding import greedy
from tinytx.files import read_json_lines, sweep
from tinytx.metrics import exact_match
from tinytx.models import Transformer, TransformerConfig
from tinytx.progress import tracked
from tinytx.tasks import SequenceToSequence
from tinytx.training import Adam, Trainer, WarmupCosine, fit, load_checkpoint, save_checkpoint
from tinytx.viz import alignment_picture, attention_maps, attention_picture, loss_curve
from tinytx.wording import command

MODEL = {"d_model": 64, "n_heads": 2, "d_ff": 128, "n_encoder_layers": 1, "n_decoder_layers": 1, "max_len": 48}
MODEL |= {"norm_order": "pre", "tied": "two-way", "dropout": 0.0}
LOSS = {"label_smoothing": 0.0, "loss_form": "cross_entropy"}
PEAK, WARMUP, MAX_TOKENS = 3e-3, 100, 2000  # the largest learning rate, after so many steps; ids on a side of a batch
SHOWN = "tuesday, the 27th of september 1994", "1994-09-27"  # a day that is held out in all its forms
DIGITS = {"year": (0, 1, 2, 3), "day": (8, 9)}  # where they stand in yyyy-mm-dd
CHUNK = 100  # pairs that are looked at together
QUICK = "--steps 20 --pairs 1000 --out runs/quick-dates"


def batches(pairs, tokenizers):
    """Return the batches of pairs, by length."""
    encoded = encode_pairs(pairs, *tokenizers)
    return PairBatches(encoded.sources, encoded.targets, max_tokens=MAX_TOKENS, pad_id=0, seed=0)


def train(model, tokenizers, pairs, held_out, steps, out):
    """Train, from where an earlier run in the folder ended; return whether all steps were taken."""
    optimizer = Adam(model, WarmupCosine(PEAK, WARMUP, steps), betas=(0.9, 0.98))
    trainer = Trainer(model, optimizer)
    if (out / "checkpoint.npz").exists():
        old, state, _ = load_checkpoint(out)
        if old.config != model.config:
            raise SystemExit(f"{out} holds a run of another model: choose another --out")
        model.load_state_dict(old.state_dict())
        optimizer.load_state_dict(state)
        print(f"Going on after step {optimizer.t}")
    training, judged = batches(pairs, tokenizers), batches(held_out[:1000], tokenizers)
    names = "source_tokenizer", "target_tokenizer"
    meta = {name: tokenizer.to_dict() for name, tokenizer in zip(names, tokenizers, strict=True)}
    return fit(
        trainer,
        lambda step: training.batch(step)[:2],
        steps=steps,
        out=out,
        log_every=min(10, steps),
        evaluate=lambda: trainer.evaluate(batch[:2] for batch in judged.epoch()),
        save=lambda: save_checkpoint(out, model, optimizer=optimizer, **meta),
    )


def translate(model, tokenizers, sources):
    """Return the targets that the model writes, greedily."""
    texts = []
    for start in tracked(range(0, len(sources), CHUNK), f"{CHUNK} dates translated"):
        ids = [tokenizers[0].encode(source) for source in sources[start : start + CHUNK]]
        texts += [tokenizers[1].decode(words) for words in greedy(model, ids, 12).words()]
    return texts


def maps_of(model, tokenizers, pairs):
    """Return the attention of a few pairs; row t of the decoder is the position that says character t of the target."""
    sources, targets, _, _ = encode_pairs(pairs, *tokenizers)
    return attention_maps(model, pad(sources, 0), pad(targets, 0)[:, :-1])


def alignment(maps):
    """Return where the decoder looks (B, T, S): the mean over the heads of its one cross-attention."""
    return maps["decoder.blocks.0.cross_attention.f"].mean(axis=1)


def share_on_field(model, tokenizers, pairs):
    """Return the share of digits of year and day whose largest weight lies on that part of the source.

    Of ``27th`` the digits count, of ``'94`` as well. A digit's alignment is taken with the right ones before it.
    """
    right = []
    for start in tracked(range(0, len(pairs), CHUNK), f"{CHUNK} dates looked at"):
        some = pairs[start : start + CHUNK]
        for pair, weights in zip(some, alignment(maps_of(model, tokenizers, some)), strict=True):
            fields = date_fields(*pair)
            for part, digits in DIGITS.items():
                right += [fields[part].start <= weights[t].argmax() < fields[part].stop for t in digits]
    return np.mean(right)


def main():
    """Train, judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/dates", metavar="DIR", help="the run's folder (default: runs/dates)")
    parser.add_argument("--steps", type=int, default=3000, help="optimiser steps (default: 3000)")
    parser.add_argument("--pairs", type=int, default=50_000, help="dates, a tenth of them held out (default: 50000)")
    parser.add_argument("--quick", action="store_true", help=f"the same as {QUICK}: shows that it runs, and no more")
    arguments = parser.parse_args([*QUICK.split(), *sys.argv[1:]] if "--quick" in sys.argv else None)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    pairs, held_out = split_pairs([pair for pair in date_pairs(arguments.pairs) if pair[1] != SHOWN[1]])
    tokenizers = build_tokenizers(pairs, "characters")
    config = TransformerConfig(*(tokenizer.vocab_size for tokenizer in tokenizers), **MODEL)
    model = SequenceToSequence(Transformer(config, rng=np.random.default_rng(0)), **LOSS)
    n_parameters = sum(parameter.data.size for parameter in model.parameters())
    print(f"{len(pairs):,} dates to train on, such as {pairs[0]}; {len(held_out):,} of other days to judge")
    print(f"{n_parameters:,} parameters; writing to {out}", flush=True)
    began = time.perf_counter()
    if not train(model, tokenizers, pairs, held_out, arguments.steps, out):
        raise SystemExit(f"\nStopped and saved; the same command goes on, from {out}")
    seconds = time.perf_counter() - began
    answers, references = translate(model, tokenizers, [source for source, _ in held_out]), [t for _, t in held_out]
    print(f"Exact match {exact_match(answers, references):.4f} on {len(held_out):,} held-out dates, {seconds:.0f} s")
    wrong = [(*pair, answer) for pair, answer in zip(held_out, answers, strict=True) if answer != pair[1]]
    for source, target, answer in wrong[:5]:
        print(f"  {source} -> {answer}   (expected {target})")
    share = share_on_field(model, tokenizers, held_out)
    print(f"The largest weight lies on the right part of the source for {share:.1%} of digits of year and day")
    maps, (source, target) = maps_of(model, tokenizers, [SHOWN]), SHOWN
    title, words, said = "Cross-attention, the mean of the heads", list(source), [*target, "<stop>"]
    alignment_picture(out / "alignment.png", alignment(maps)[0], words, said, title)
    attention_picture(out / "attention.png", maps, words, ["<start>", *target], next_word="<stop>")
    loss_curve(read_json_lines(out / "metrics.jsonl"), out / "loss.png", "Dates", unit="character")
    print(f"Wrote to {out}: alignment.png, attention.png, loss.png, checkpoint.npz, metrics.jsonl")
    print("Try next:", command("translate", out, "the 3rd of march, 2001", "--picture", "march.png"))


if __name__ == "__main__":
    main()
