"""``python -m tinytx profile``: where a training step spends its time and its memory, layer by layer."""

import numpy as np

from tinytx.cli.options import add_options, given
from tinytx.models import GPT, Bert, BertConfig, GPTConfig, Transformer, TransformerConfig
from tinytx.recipes.settings import MOST_ROWS
from tinytx.settings import Flags, extended, flag_of, setting
from tinytx.tasks import HiddenWords, NextToken, SequenceToSequence
from tinytx.tasks.hidden_words import IGNORE
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
HIDDEN = 0.15  # share of a BERT's words that are asked for


class ProfileFlags(Flags):
    """The kind of the model, the batch, and how the table is made."""

    command = "profile"
    model: str = setting("gpt", "kind of a new model", choices=("gpt", "transformer", "bert"))
    vocab_size: int = setting(65, "tokens in the vocabulary", minimum=4)
    max_len: int = setting(64, "positions in a sequence", minimum=2)
    batch_size: int = setting(12, "sequences in the batch", minimum=1, maximum=MOST_ROWS)
    n_layers: int = setting(4, "blocks; a transformer has as many in its encoder and in its decoder", minimum=1)
    steps: int = setting(10, "steps to take medians of", minimum=1)
    sort: str = setting("model", "order of the layers: the model's, or the most first", choices=tuple(ORDERS))


OWN = ("vocab_size", "max_len", "n_layers")  # that mean something else, or have no default, in a config
SETTINGS = extended(ProfileFlags, GPTConfig, without=(*OWN, "d_ff", "tied_head", "norm_order", "activation"))


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = (
        "Time a model's layers, forward and backward, in one thread, count what each keeps for backward, "
        "and time the optimiser. The model is a new one, or that of a run's folder."
    )
    parser.epilog = "Example: python -m tinytx profile --d-model 384 --n-heads 6 --n-layers 6 --max-len 256 --sort time"
    parser.add_argument("dir", metavar="DIR", nargs="?", help="folder of a run, whose model is timed")
    add_options(parser, SETTINGS)


def run(arguments):
    """Print the tables."""
    flags = given(arguments, SETTINGS)
    settings = SETTINGS(**flags)
    if arguments.dir is None:
        model, optimizer, n_rows = *_new(settings), settings.batch_size
    else:
        model, optimizer, n_rows = _trained(arguments.dir, flags)
    batch = _batch(model, n_rows)
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
    """Return (a new model, its optimiser)."""
    shape = {name: getattr(settings, name) for name in ("max_len", "d_model", "n_heads", "dropout")}
    rng, v, n = np.random.default_rng(0), settings.vocab_size, settings.n_layers
    if settings.model == "gpt":
        model = NextToken(GPT(GPTConfig(vocab_size=v, n_layers=n, **shape), rng=rng))
    elif settings.model == "bert":
        model = HiddenWords.around(Bert, BertConfig(vocab_size=v, n_layers=n, **shape), rng=rng)
    else:
        depth = {"n_encoder_layers": n, "n_decoder_layers": n}
        config = TransformerConfig(source_vocab_size=v, target_vocab_size=v, **depth, **shape)
        model = SequenceToSequence(Transformer(config, rng=rng))
    return model, AdamW(model, 1e-6)


def _trained(folder, flags):
    """Return (the model of a run's folder, its optimiser, rows in a batch: as many as it was trained with)."""
    for name in sorted(flags.keys() - {"batch_size", "steps", "sort"}):
        raise ValueError(f"{flag_of(name)} is for a new model, and {folder} holds one: leave it out")
    model, _, meta = load_checkpoint(folder)
    own = meta.get("settings")
    own = own if isinstance(own, dict) else {}
    optimizer = Adam if own.get("optimizer") == "adam" else AdamW
    n_tokens = own.get("max_tokens")
    n_rows = own.get("batch_size") if n_tokens is None else max(1, n_tokens // model.config.max_len)
    fits = type(n_rows) is int and 1 <= n_rows <= MOST_ROWS  # it may be a stranger's
    return model, optimizer(model, 1e-6), flags.get("batch_size") or (n_rows if fits else SETTINGS.batch_size)


def _batch(model, n):
    """Return a batch of n random rows as a model's ``loss`` takes it, each as long as the model reads, if there is a limit."""
    config, rng = model.config, np.random.default_rng(0)
    shape = n, getattr(config, "max_len", SETTINGS.max_len)
    if isinstance(model, SequenceToSequence):
        source = rng.integers(3, config.source_vocab_size, shape)  # the first three are special
        words = rng.integers(3, config.target_vocab_size, (n, config.max_len - 1))
        start, stop = np.full((n, 1), config.start_id), np.full((n, 1), config.stop_id)
        return source, np.concatenate([start, words, stop], axis=1)
    ids = rng.integers(0, config.vocab_size, shape)
    if not isinstance(model, HiddenWords):
        return ids, np.roll(ids, -1, axis=1)
    ids = np.maximum(ids, 1)  # no padding
    hidden = rng.random(shape) < HIDDEN
    hidden[:, 0] = True
    targets = np.where(hidden, ids, IGNORE)
    if not config.next_sentence:
        return ids, targets
    return ids, targets, np.arange(config.max_len) * np.ones(shape, int) * 2 // config.max_len, rng.integers(0, 2, n)


def _print(titles, rows, total):
    """Print a table of rows, and which share of the total time each is."""
    width = max(len(title) for title in (titles[0], *(row.path for row in rows)))
    print(f"{titles[0]:<{width}}  {titles[1]:<18}  {'forward':>10}  {'backward':>10}  {'share':>6}  {'kept':>13}")
    for row in rows:
        share = (row.forward + row.backward) / total
        times = f"{row.forward * 1e3:>7.3f} ms  {row.backward * 1e3:>7.3f} ms"
        print(f"{row.path:<{width}}  {row.layer:<18}  {times}  {share:>6.1%}  {row.kept:>11,} B")
