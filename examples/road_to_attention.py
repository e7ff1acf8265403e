"""The road to attention: three encoder-decoders learn to translate, in the order in which they were invented.

    python examples/road_to_attention.py --out road_to_attention.png

1. Recurrent nets (Sutskever et al. 2014, Cho et al. 2014): the encoder ends with a state of fixed size, and the decoder
   begins with it. It is all that the decoder knows of the source.
2. The same with attention (Bahdanau et al. 2014): before each word, the decoder chooses among the encoder's outputs.
3. The Transformer (Vaswani et al. 2017): attention alone. Nothing goes from position to position.

One task is a translation: dates as people write them, such as "tuesday, the 27th of september 1994", into 1994-09-27. The
other one is to copy 2 to 24 letters, where nothing is to be understood, only remembered: the share of right copies by
their length shows what a state of fixed size loses. 1,200 steps of each task; 1,000 held-out dates, and 1,000 new copies of
each length:

===============  =======  ===========  =========  ============================
encoder-decoder  weights  right dates  ms a step  right copies of 4, 8, 16, 24
===============  =======  ===========  =========  ============================
recurrent nets   129,984  0.888        46         0.74, 0.07, 0.00, 0.00
with attention   195,648  1.000        69         1.00, 1.00, 1.00, 0.95
Transformer      194,304  0.998        78         1.00, 1.00, 1.00, 1.00
===============  =======  ===========  =========  ============================

Times are those of dates, on one processor; all six trainings take seven minutes of it. The recurrent nets are GRUs, which
read the source from both sides. The picture has the curves, and shows where the nets with attention look while they write
a date: the query is the decoder's output after it has read the last word.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from tinytx.data import PairBatches, build_tokenizers, date_pairs, encode_pairs, pad, split_pairs
from tinytx.decoding import greedy
from tinytx.metrics import exact_match
from tinytx.models import RecurrentSeq2Seq, RecurrentSeq2SeqConfig, Transformer, TransformerConfig
from tinytx.progress import progress
from tinytx.tasks import SequenceToSequence
from tinytx.training import Adam, Trainer, WarmupCosine
from tinytx.viz import attention_maps, style

LOSS = {"label_smoothing": 0.0, "loss_form": "cross_entropy"}
SIZES = {"dates": 128, "copying": 64}  # the width of states
LONGEST, N_LETTERS, ROWS = 24, 20, 64  # of copying; the last one is the batch
LENGTHS = range(2, LONGEST + 1, 2)
RATE, WARMUP, MAX_TOKENS = 3e-3, 100, 2000  # the largest learning rate, after so many steps; ids on a side of a batch
SHOWN = "tuesday, the 27th of september 1994", "1994-09-27"  # a day that is held out in all its forms
COLORS = {"recurrent nets": style.WRONG, "with attention": style.OURS, "Transformer": style.REFERENCE}
TITLE = "A state of fixed size forgets long sources; attention looks them up"
QUICK = "--steps 3 --pairs 300 --judged 8 --out quick-road.png"


def make(name, sizes, width):
    """Return one of the three, as a task, for vocabularies of these sizes."""
    rng = np.random.default_rng(0)
    if name == "Transformer":
        width = 3 * width // 4  # as many weights as recurrent nets with attention
        layers = {"n_heads": 4, "d_ff": 2 * width, "n_encoder_layers": 1, "n_decoder_layers": 1, "norm_order": "pre"}
        kind, config = Transformer, TransformerConfig(*sizes, width, tied="none", dropout=0.0, max_len=64, **layers)
    else:
        score = "additive" if name == "with attention" else "none"
        kind, config = RecurrentSeq2Seq, RecurrentSeq2SeqConfig(*sizes, 64, width, "gru", attention=score, max_len=64)
    return SequenceToSequence.around(kind, config, rng=rng, settings=LOSS)


def learn(model, batch, steps, threads, bar):
    """Train on ``batch(step)``; return the milliseconds of processor time that a step takes."""
    optimizer = Adam(model, WarmupCosine(RATE, WARMUP, steps), betas=(0.9, 0.98))
    trainer, began = Trainer(model, optimizer, clip=1.0, threads=threads), time.process_time()
    for step in range(steps):
        bar.update(f"loss {trainer.step(*batch(step)):.3f}")
    return 1000 * (time.process_time() - began) / steps


def copies(rng, lengths):
    """Return a batch for these lengths: random letters and padding, and the same letters between start and stop."""
    rows = [rng.integers(3, 3 + N_LETTERS, length) for length in lengths]
    return pad(rows, 0), pad([np.array([1, *row, 2]) for row in rows], 0)


def copied(model, n):
    """Return, for each length, the share of n new sources whose copy is right."""
    shares = []
    for length in LENGTHS:
        sources, _ = copies(np.random.default_rng([9, length]), [length] * n)
        written = greedy(model, sources, LONGEST + 2).words()
        shares.append(np.mean([np.array_equal(*pair) for pair in zip(written, sources, strict=True)]))
    return shares


def translated(model, tokenizers, pairs):
    """Return the share of pairs whose target is written rightly."""
    sources, answers = [tokenizers[0].encode(source) for source, _ in pairs], []
    for start in range(0, len(pairs), 100):
        answers += [tokenizers[1].decode(words) for words in greedy(model, sources[start : start + 100], 12).words()]
    return exact_match(answers, [target for _, target in pairs])


def alignment(model, tokenizers):
    """Return where the decoder looks (T, S) while it writes `SHOWN`."""
    sources, targets, _, _ = encode_pairs([SHOWN], *tokenizers)
    ((_, weights),) = attention_maps(model, pad(sources, 0), pad(targets, 0)[:, :-1]).items()
    return weights[0, 0]


def draw(path, curves, weights):
    """Draw right copies by length, and the alignment of a date."""
    figure = style.new_figure("drawing the curves", 12, 4.6, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    for name, shares in curves.items():
        left.plot(LENGTHS, shares, color=COLORS[name], marker="o", markersize=4, clip_on=False, zorder=3)
    left.set(xlabel="letters to copy", ylabel="share of right copies", ylim=(0, 1), xticks=[*LENGTHS])
    style.tidy(left)
    style.write_legend(left, list(zip(curves, left.lines)), fontsize=style.LABEL, loc="center right")
    right.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    right.set_xticks(range(len(SHOWN[0])), SHOWN[0], fontsize=style.SMALL)
    right.set_yticks(range(len(SHOWN[1]) + 1), [*SHOWN[1], "stop"], fontsize=style.SMALL)
    right.tick_params(length=0, labelcolor=style.TEXT)
    right.spines[:].set_color(style.FAINT)
    right.set_xlabel("the source that it looks at", color=style.TEXT)
    right.set_ylabel("what recurrent nets with attention write", color=style.TEXT)
    style.write_heading(figure, TITLE)
    style.save(figure, path, 110)


def main():
    """Train, judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="road_to_attention.png", metavar="FILE", help="the picture")
    parser.add_argument("--steps", type=int, default=1200, help="of each of six trainings (default: 1200)")
    parser.add_argument("--pairs", type=int, default=50_000, help="dates, a tenth of them held out (default: 50000)")
    parser.add_argument("--judged", type=int, default=1000, help="dates, and copies of each length (default: 1000)")
    parser.add_argument("--threads", type=int, help="shards of a batch that run side by side")
    parser.add_argument("--quick", action="store_true", help=f"the same as {QUICK}: shows that it runs, and no more")
    arguments = parser.parse_args([*QUICK.split(), *sys.argv[1:]] if "--quick" in sys.argv else None)
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    pairs, held_out = split_pairs([pair for pair in date_pairs(arguments.pairs) if pair[1] != SHOWN[1]])
    tokenizers = build_tokenizers(pairs, "characters")
    encoded = encode_pairs(pairs, *tokenizers)
    batches = PairBatches(encoded.sources, encoded.targets, max_tokens=MAX_TOKENS, pad_id=0, seed=0)
    data = {
        "dates": ([tokenizer.vocab_size for tokenizer in tokenizers], lambda step: batches.batch(step)[:2]),
        "copying": ([3 + N_LETTERS] * 2, copying_batch),
    }
    bar, curves = progress(2 * len(COLORS) * arguments.steps), {}
    for name in COLORS:
        dates, copying = (make(name, sizes, SIZES[task]) for task, (sizes, _) in data.items())
        times = [
            learn(model, batch, arguments.steps, arguments.threads, bar)
            for model, (_, batch) in zip((dates, copying), data.values())
        ]
        share, curves[name] = translated(dates, tokenizers, held_out[: arguments.judged]), copied(copying, arguments.judged)
        n_weights = sum(parameter.data.size for parameter in dates.parameters())
        bar.say(f"{name:14}  dates {share:.4f} right, {n_weights:,} weights, {times[0]:.0f} ms a step")
        lengths = "  ".join(f"{length}: {share:.2f}" for length, share in zip(LENGTHS, curves[name]))
        bar.say(f"{'':14}  copies right by length  {lengths}; {times[1]:.0f} ms a step")
        if name == "with attention":
            weights = alignment(dates, tokenizers)
    bar.close()
    draw(arguments.out, curves, weights)
    print(f"Wrote {arguments.out}")


def copying_batch(step):
    """Return the batch of a step: it depends on the step alone."""
    rng = np.random.default_rng([0, step])
    return copies(rng, rng.integers(2, LONGEST + 1, ROWS))


if __name__ == "__main__":
    main()
