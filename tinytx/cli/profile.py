"""``python -m tinytx profile``: where a training step spends its time and its memory, layer by layer."""

import dataclasses

import numpy as np

from tinytx.cli.options import add_options, add_run, given, own_of
from tinytx.recipes import RECIPES, load_recipe
from tinytx.recipes.settings import MOST_ROWS
from tinytx.settings import LAYERS, Flags, flag_of, setting
from tinytx.training import Adam, AdamW, load_checkpoint
from tinytx.training.profiler import by_class, profile, time_update
from tinytx.wording import counted

ORDERS = {  # by what the table is sorted, the most first
    "model": None,
    "time": lambda row: row.forward + row.backward,
    "forward": lambda row: row.forward,
    "backward": lambda row: row.backward,
    "memory": lambda row: row.kept,
}


class ProfileFlags(Flags):
    """The new model, the batch, and how the table is made."""

    command = "profile"
    model: str = setting("gpt", "recipe whose model is made anew", choices=tuple(RECIPES))
    vocab_size: int = setting(65, "tokens in the vocabulary", minimum=4)
    max_len: int = setting(64, "positions in a sequence", minimum=2)
    batch_size: int = setting(12, "sequences in the batch", minimum=1, maximum=MOST_ROWS)
    n_layers: int = setting(4, "layers; an encoder-decoder has as many in each of its halves", minimum=1)
    d_model: int = setting(128, "width of the model, D", minimum=1)
    n_heads: int = setting(4, "attention heads, H, a divisor of D, of a model that has such", minimum=1)
    dropout: float = setting(0.0, "dropout", minimum=0, below=1)
    steps: int = setting(10, "steps to take medians of", minimum=1)
    sort: str = setting("model", "order of the layers: the model's, or the most first", choices=tuple(ORDERS))


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = (
        "Time a model's layers, forward and backward, in one thread, count what each keeps for backward, "
        "and time the optimiser. The model is a new one, or that of a run's folder."
    )
    parser.epilog = "Example: python -m tinytx profile --d-model 384 --n-heads 6 --n-layers 6 --max-len 256 --sort time"
    add_run(parser, nargs="?")
    add_options(parser, ProfileFlags)


def run(arguments):
    """Print the tables."""
    flags = given(arguments, ProfileFlags)
    settings = ProfileFlags(**flags)
    if arguments.dir is None:
        model, optimizer, n_rows = *_new(settings), settings.batch_size
    else:
        model, optimizer, n_rows = _trained(arguments.dir, flags, own_of(arguments))
    batch = model.random_batch(np.random.default_rng(0), n_rows, getattr(model.config, "max_len", settings.max_len))
    rows = profile(model, *batch, steps=settings.steps)
    total = sum(row.forward + row.backward for row in rows)
    key = ORDERS[settings.sort]
    _print(("layer", "class"), rows if key is None else sorted(rows, key=key, reverse=True), total)
    print()
    _print(("class", "layers"), sorted(by_class(rows), key=key or ORDERS["time"], reverse=True), total)
    update = time_update(optimizer, model, *batch, steps=settings.steps)
    shapes = ", ".join(str(array.shape) for array in batch)
    steps = counted(settings.steps, "step")
    print(f"\nA {type(model.body).__name__} on arrays of shapes {shapes}, in one thread; medians of {steps}")
    print(f"A step's forward and backward: {total * 1e3:.2f} ms, keeping {sum(row.kept for row in rows):,} bytes")
    print(f"{type(optimizer).__name__}'s update: {update * 1e3:.2f} ms")
    print("A layer's figures are its own, without the layers inside it.")


def _new(settings):
    """Return (the model of a recipe, in the sizes of the settings; an optimiser)."""
    recipe, values = load_recipe(settings.model), {}
    for field in dataclasses.fields(recipe.config):
        if field.default is dataclasses.MISSING:
            values[field.name] = settings.vocab_size
        elif LAYERS.fullmatch(field.name):
            values[field.name] = settings.n_layers
        elif field.name in ("max_len", "d_model", "n_heads", "dropout"):
            values[field.name] = getattr(settings, field.name)
    model = recipe.task.around(recipe.model, recipe.config(**values), rng=np.random.default_rng(0))
    return model, AdamW(model, 1e-6)


def _trained(folder, flags, own):
    """Return (the model of a run's folder; its optimiser; rows in a batch, by default as many as in training)."""
    for name in sorted(flags.keys() - {"batch_size", "steps", "sort"}):
        raise ValueError(f"{flag_of(name)} is for a new model, and {folder} holds one: leave it out")
    model, _, meta = load_checkpoint(folder, own=own)
    own = meta.get("settings")
    own = own if isinstance(own, dict) else {}
    optimizer = Adam if own.get("optimizer") == "adam" else AdamW
    n_tokens = own.get("max_tokens")
    n_rows = own.get("batch_size") if n_tokens is None else max(1, n_tokens // model.config.max_len)
    fits = type(n_rows) is int and 1 <= n_rows <= MOST_ROWS  # a stranger's checkpoint may say anything
    return model, optimizer(model, 1e-6), flags.get("batch_size") or (n_rows if fits else ProfileFlags.batch_size)


def _print(titles, rows, total):
    """Print a table of rows, with the share of each in the total time."""
    width = max(len(title) for title in (titles[0], *(row.path for row in rows)))
    print(f"{titles[0]:<{width}}  {titles[1]:<18}  {'forward':>10}  {'backward':>10}  {'share':>6}  {'kept':>13}")
    for row in rows:
        share = (row.forward + row.backward) / total
        times = f"{row.forward * 1e3:>7.3f} ms  {row.backward * 1e3:>7.3f} ms"
        print(f"{row.path:<{width}}  {row.layer:<18}  {times}  {share:>6.1%}  {row.kept:>11,} B")
