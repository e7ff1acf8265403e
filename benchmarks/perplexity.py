"""What 8 bits cost: the perplexity of a character model on a text, with weights in float32 and in 8 bits.

    python -m tinytx train gpt --data wikitext2.valid.txt --valid wikitext2.test.txt --steps 6000 --out run
    python benchmarks/perplexity.py --run run --text wikitext2.test.txt --json perplexity.json

Each character of the text is predicted once, from those before it in its window; windows are as long as the model has positions.
`model.quantized()` rounds inputs of products to 16 bits, too (`tinytx/ops/quantized_linear.py`), for many rows as for one, so that
this is the perplexity of what it writes. Without --run a small model is trained first, on the first nine tenths of the text, and measured
on the last.
"""

import time

import numpy as np
import turns
from sides import SIDES

from tinytx import workers
from tinytx.data import CharTokenizer, builtin_corpus, random_batch, read_text, split, windows
from tinytx.models import GPT, GPTConfig
from tinytx.pipelines import Writer, load_run
from tinytx.tasks import NextToken
from tinytx.training import WarmupCosine

BATCH, LENGTH = 12, 64


def trained(text, steps, threads):
    """Return (a model, the ids of the part of the text that it has not seen)."""
    tokenizer = CharTokenizer.from_text(text)
    train, rest = split(tokenizer.encode(text))
    model = NextToken(GPT(GPTConfig(vocab_size=tokenizer.vocab_size, max_len=LENGTH), rng=np.random.default_rng(0)))
    trainer = SIDES["ours"](model, threads, WarmupCosine(1e-3, 100, steps, 1e-4))
    for step in range(steps):
        trainer.step(*random_batch(train, max_len=LENGTH, batch_size=BATCH, seed=0, step=step))
    return model, rest


def main():
    """Measure both, print them, and write the JSON."""
    parser = turns.parser(__doc__, turns=None, quick="--steps 20 --characters 2000")
    parser.add_argument("--run", help="folder of a trained character model (default: one is trained here)")
    parser.add_argument("--text", help="UTF-8 text file (default: the language reference that comes with Python)")
    parser.add_argument("--characters", type=int, help="of the text, at most (default: all)")
    parser.add_argument("--steps", type=int, default=2000, help="of the training without --run (default %(default)s)")
    arguments = parser.parse_args()
    text = read_text(arguments.text) if arguments.text else builtin_corpus()
    if arguments.run:
        writer = load_run(arguments.run, Writer)
        model, ids = writer.model, writer.tokenizer.encode(text)
    else:
        model, ids = trained(text, arguments.steps, arguments.threads)
    inputs, targets = windows(np.asarray(ids[: arguments.characters]), model.config.max_len)
    batches = [(inputs[i : i + 64], targets[i : i + 64]) for i in range(0, len(inputs), 64)]
    turns.describe(arguments.threads, ["float32", "int8"], turns.environment(arguments.keep_env))
    figures = {"characters": int((targets >= 0).sum())}
    for name, measured in (("float32", model), ("int8", model.quantized())):
        began = time.perf_counter()
        with workers.use(workers.Pool(arguments.threads)):
            figures[name] = measured.measure(batches)["perplexity"]
        print(f"{name:>8}: perplexity {figures[name]:.4f} on {figures['characters']:,} characters, {time.perf_counter() - began:.1f} s", flush=True)
    figures["int8_ratio"] = figures["int8"] / figures["float32"]
    print(f"in 8 bits {figures['int8_ratio']:.5f} times as much")
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
