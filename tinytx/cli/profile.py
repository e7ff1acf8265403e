"""``python -m tinytx profile``: where a training step spends its time and its memory, layer by layer."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from tinytx.cli.options import add_options, check, given, option
from tinytx.models import GPT, GPTConfig
from tinytx.training.profiler import profile


@dataclass(frozen=True)
class Settings:
    """The shape of the model and of the batch."""

    vocab_size: int = option(65, "tokens in the vocabulary", minimum=1)
    max_len: int = option(64, "positions in a sequence", minimum=1)
    batch_size: int = option(12, "sequences in the batch", minimum=1)
    d_model: int = option(128, "width of the model", minimum=1)
    n_heads: int = option(4, "attention heads", minimum=1)
    n_layers: int = option(4, "blocks", minimum=1)
    steps: int = option(10, "steps to average over", minimum=1)

    def __post_init__(self):
        check(self)


def add_parser(commands, name):
    """Add this command to the command line."""
    parser = commands.add_parser(
        name,
        help="time and bytes of each layer",
        description="Time a GPT's layers, forward and backward, in one thread, and count what each keeps for backward.",
        epilog="Example: python -m tinytx profile --d-model 384 --n-heads 6 --n-layers 6 --max-len 256",
    )
    add_options(parser, Settings)
    parser.set_defaults(run=run)


def run(arguments):
    """Print the table."""
    settings = Settings(**given(arguments, Settings))
    fields = {field.name for field in dataclasses.fields(GPTConfig)}
    shape = {name: value for name, value in vars(settings).items() if name in fields}
    model = GPT(GPTConfig(**shape), rng=np.random.default_rng(0))
    ids = np.random.default_rng(0).integers(0, settings.vocab_size, (settings.batch_size, settings.max_len))
    rows = profile(model, ids, ids, steps=settings.steps)
    total = sum(row.forward + row.backward for row in rows)
    width = max(len(row.path) for row in rows)
    print(f"{'layer':<{width}}  {'class':<18}  {'forward':>10}  {'backward':>10}  {'share':>6}  {'kept':>13}")
    for row in rows:
        share = (row.forward + row.backward) / total
        times = f"{row.forward * 1e3:>7.3f} ms  {row.backward * 1e3:>7.3f} ms"
        print(f"{row.path:<{width}}  {row.layer:<18}  {times}  {share:>6.1%}  {row.kept:>11,} B")
    print(f"A step's forward and backward: {total * 1e3:.2f} ms, keeping {sum(row.kept for row in rows):,} bytes")
    print("A layer's figures are its own, without the layers inside it.")
