"""``python -m tinytx train gpt``: a character-level GPT from a text file."""

import dataclasses
import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinytx import kernel
from tinytx.cli.options import add_options, check, given, option
from tinytx.cli.sample import default_prompt
from tinytx.data import CharTokenizer, builtin_corpus, random_batch, read_text, split, windows
from tinytx.decoding import generate
from tinytx.extras import MissingExtra
from tinytx.files import append_json, read_json_lines, sweep
from tinytx.layers.block import NORM_ORDERS
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.models import GPT, GPTConfig
from tinytx.training import AdamW, Trainer, WarmupCosine, fit, load_checkpoint, save_checkpoint
from tinytx.training.checkpoint import NAME, differences, fingerprint
from tinytx.training.loop import METRICS
from tinytx.viz import loss_curve


@dataclass(frozen=True)
class Settings:
    """The settings of a run; the defaults are nanoGPT's recipe for a laptop."""

    data: str | None = option(None, "UTF-8 text file to learn from; without it, Python's own language reference")
    steps: int = option(2000, "optimiser steps in all", minimum=1)
    batch_size: int = option(12, "sequences in a step", minimum=1)
    max_len: int = option(64, "characters in a sequence", minimum=1)
    d_model: int = option(128, "width of the model", minimum=1)
    n_heads: int = option(4, "attention heads", minimum=1)
    n_layers: int = option(4, "blocks", minimum=1)
    d_ff: int | None = option(None, "width inside the feed-forward layers; 4 x d_model if not given", minimum=1)
    dropout: float = option(0.0, "probability of dropout", minimum=0.0)
    tied_head: bool = option(True, "use the embedding's table for the output")
    norm_order: str = option("pre", "layer norm before or after each part", choices=NORM_ORDERS)
    activation: str = option("gelu_tanh", "inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    lr: float = option(1e-3, "largest learning rate", minimum=0.0)
    min_lr: float = option(1e-4, "learning rate at the end of the cosine", minimum=0.0)
    warmup: int = option(100, "steps of linear warm-up", minimum=0)
    decay_steps: int | None = option(None, "step at which min-lr is reached; steps if not given", minimum=1)
    beta1: float = option(0.9, "AdamW's decay of the first moment", minimum=0.0)
    beta2: float = option(0.99, "AdamW's decay of the second moment", minimum=0.0)
    eps: float = option(1e-8, "AdamW's epsilon", minimum=0.0)
    weight_decay: float = option(0.1, "AdamW's decay of matrices", minimum=0.0)
    clip: float = option(1.0, "largest norm of the gradient; 0 for no clipping", minimum=0.0)
    accumulate: int = option(1, "parts that a batch is cut into to save memory", minimum=1)
    train_fraction: float = option(0.9, "share of the text that is trained on; the rest validates", minimum=0.0)
    eval_every: int = option(250, "steps between validations and checkpoints", minimum=1)
    eval_windows: int = option(256, "sequences of a validation on the way; the last one reads all", minimum=1)
    log_every: int = option(10, "steps between lines of metrics.jsonl", minimum=1)
    seed: int = option(1337, "of weights, batches and dropout", minimum=0)
    threads: int | None = option(None, "shards of a batch that run side by side; processors if not given", minimum=1)
    dtype: str = option("float32", "precision", choices=("float32", "float64"))

    def __post_init__(self):
        check(self)


def add_parser(commands, name):
    """Add this command to the command line."""
    parser = commands.add_parser(
        name,
        help="a character-level GPT",
        usage="%(prog)s [--out DIR | --resume DIR] [--data FILE] [--FLAG VALUE ...]",
        description="Train a character-level GPT. Without flags: nanoGPT's laptop recipe on built-in text, a minute or "
        "two. Ctrl-C saves; --resume goes on.",
        epilog="Example: python -m tinytx train gpt --data book.txt --steps 5000 --dropout 0.1 --out runs/book",
    )
    parser.add_argument("--out", help="folder for the run's files (default: the next free runs/gpt, runs/gpt-2, ...)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR; flags given now win over its own")
    add_options(parser, Settings)
    parser.set_defaults(run=run)


def run(arguments):
    """Train, and return the exit code."""
    if arguments.resume is not None and arguments.out is not None:
        raise ValueError("--resume writes into the folder it names: leave out --out")
    old = load_checkpoint(arguments.resume) if arguments.resume is not None else None
    settings = Settings(**(_old_settings(old[2]) if old else {}) | given(arguments, Settings))
    if settings.decay_steps is None:
        settings = dataclasses.replace(settings, decay_steps=settings.steps)
    text = builtin_corpus() if settings.data is None else read_text(settings.data)
    tokenizer = CharTokenizer.from_dict(old[2].get("tokenizer")) if old else CharTokenizer.from_text(text)
    train, validation = split(tokenizer.encode(text), settings.train_fraction)
    inputs, targets = windows(validation, settings.max_len)
    random_batch(train, max_len=settings.max_len, batch_size=1, seed=0, step=0)  # raises where the text is too short
    if old and old[2].get("text") != _digest(text):
        print("Note: the text is not the one that this run began with", file=sys.stderr)
    model, trainer = _trainer(settings, tokenizer, old)
    out = Path(arguments.resume) if old else _new_folder(arguments.out)
    sweep(out)
    _announce(settings, text, tokenizer, train, validation, model, trainer, out)

    def evaluate(every=1):
        size = 64  # sequences at a time
        ins, outs = inputs[::every], targets[::every]
        return trainer.evaluate([(ins[i : i + size], outs[i : i + size]) for i in range(0, len(ins), size)])

    def save():
        save_checkpoint(
            out,
            model,
            optimizer=trainer.optimizer,
            tokenizer=tokenizer.to_dict(),
            settings=dataclasses.asdict(settings),
            step=trainer.optimizer.t,
            text=_digest(text),
            fingerprint=fingerprint(trainer.threads),
        )

    if not old:
        save()  # a run that is killed before its first evaluation can be resumed, and a full disk shows at once
    began = time.perf_counter()
    finished = fit(
        trainer,
        lambda step: random_batch(
            train, max_len=settings.max_len, batch_size=settings.batch_size, seed=settings.seed, step=step
        ),
        steps=settings.steps,
        tokens=settings.batch_size * settings.max_len,
        out=out,
        evaluate=lambda: evaluate(max(1, len(inputs) // settings.eval_windows)),
        save=save,
        eval_every=settings.eval_every,
        log_every=settings.log_every,
    )
    if not finished:
        print(f"\nStopped after step {trainer.optimizer.t}; saved. Go on: python -m tinytx train gpt --resume {out}")
        return 130
    _conclude(settings, model, tokenizer, trainer, out, evaluate(), time.perf_counter() - began)
    return 0


def _digest(text):
    """Return what tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def _old_settings(meta):
    """Return the settings in a checkpoint's meta; their values are checked where they are used."""
    settings, known = meta.get("settings"), [field.name for field in dataclasses.fields(Settings)]
    if not isinstance(settings, dict) or not settings.keys() <= set(known):
        raise ValueError(f"--resume: the checkpoint has settings {settings!r:.80}, expected those of train gpt")
    return settings


def _trainer(settings, tokenizer, old):
    """Return the model and its trainer, new or as the checkpoint holds them."""
    shape = {f.name: getattr(settings, f.name) for f in dataclasses.fields(GPTConfig) if hasattr(settings, f.name)}
    config = GPTConfig(vocab_size=tokenizer.vocab_size, **shape)
    if old:
        before = vars(old[0].config) | {"dtype": old[0].parameters()[0].data.dtype}
        now = vars(config) | {"dtype": np.dtype(settings.dtype)}
        changed = [name for name in now if name != "dropout" and now[name] != before[name]]
        if changed:
            raise ValueError(f"--resume cannot change {', '.join(changed)}: train a new model instead")
    model = GPT(config, rng=np.random.default_rng(settings.seed), dtype=np.dtype(settings.dtype))
    if old:
        model.load_state_dict(old[0].state_dict())
    schedule = WarmupCosine(settings.lr, settings.warmup, settings.decay_steps, settings.min_lr)
    optimizer = AdamW(
        model,
        schedule,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        weight_decay=settings.weight_decay,
    )
    if old:
        optimizer.load_state_dict(old[1])
        if optimizer.t >= settings.steps:
            raise ValueError(f"the run has taken its {optimizer.t} steps: give a larger --steps to train on")
    trainer = Trainer(
        model,
        optimizer,
        clip=settings.clip or None,
        threads=settings.threads,
        accumulate=settings.accumulate,
        seed=settings.seed,
    )
    changed = differences(old[2].get("fingerprint"), fingerprint(trainer.threads)) if old else ""
    if changed:
        print(f"Note: results will equal an uninterrupted run's up to rounding only: {changed}", file=sys.stderr)
    return model, trainer


def _new_folder(asked):
    """Make and return the folder of a new run; one that holds a run already is never written to."""
    if asked == "":
        raise ValueError("--out is empty: name a folder, or leave it out")
    if asked:
        folder = Path(asked)
        if (folder / NAME).exists() or (folder / METRICS).exists():
            raise ValueError(f"{folder} holds a run already: choose another --out, or go on with --resume {folder}")
    else:
        names = ("gpt" if i == 1 else f"gpt-{i}" for i in range(1, 10_000))
        folder = next(Path("runs") / name for name in names if not (Path("runs") / name).exists())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _announce(settings, text, tokenizer, train, validation, model, trainer, out):
    """Say what is going to happen, and hook the message about compiling."""
    n_parameters = sum(parameter.data.size for parameter in model.parameters())
    print(
        f"Text: {settings.data or 'the Python language reference'}, {len(text):,} characters, "
        f"{tokenizer.vocab_size} distinct; {len(train):,} to train on, {len(validation):,} to validate\n"
        f"Model: GPT, {settings.n_layers} layers, {settings.n_heads} heads, width {settings.d_model}: "
        f"{n_parameters:,} parameters; {trainer.threads} threads\n"
        f"Writing to {out}; Ctrl-C saves and stops",
        flush=True,
    )

    def compiling(name):
        kernel.on_compile = None
        print("Compiling the kernels: once, on the first run, about ten seconds ...", file=sys.stderr, flush=True)

    kernel.on_compile = compiling


def _conclude(settings, model, tokenizer, trainer, out, val_loss, seconds):
    """Report a finished run: loss, sample, files, and what to try next."""
    append_json(out / METRICS, {"step": trainer.optimizer.t, "val_loss": val_loss})
    start = tokenizer.encode(default_prompt(tokenizer))
    rng = np.random.default_rng(settings.seed)
    tokens = generate(model, start[None], 300, temperature=0.8, rng=rng)
    sample = tokenizer.decode(np.concatenate(list(tokens)))
    print(f"\nValidation loss {val_loss:.4f} nats per character after {trainer.optimizer.t} steps, {seconds:.0f} s")
    print(f"\n--- a sample ---\n{sample.strip()}\n----------------\n")
    wrote = [NAME, METRICS]
    try:
        loss_curve(read_json_lines(out / METRICS), out / "loss.png", f"GPT, validation loss {val_loss:.3f}")
        wrote.append("loss.png")
    except MissingExtra as error:
        print(f"No picture: {error}")
    print(f"Wrote {', '.join(str(out / name) for name in wrote)}")
    prompt = ' --prompt "The "' if set("The ") <= set(tokenizer.characters) else ""
    print(f"Try next: python -m tinytx sample {out}{prompt}")
    print(f"          python -m tinytx train gpt --resume {out} --steps {2 * settings.steps}")
    print("          python -m tinytx train gpt --data FILE --dropout 0.1 --n-layers 6    (every flag: --help)")
