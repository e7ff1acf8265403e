"""``python -m tinytx inspect FOLDER``: what a folder's model is, which tensors its files hold, and what a batch costs."""

from collections import Counter
from pathlib import Path

import numpy as np

from tinytx import hub
from tinytx.cli.options import add_options, given
from tinytx.hub.folder import read_config, read_header, read_tensors
from tinytx.pipelines.convert import holds_run
from tinytx.settings import Flags, setting
from tinytx.tasks import Task
from tinytx.terminal import visible
from tinytx.training import load_checkpoint
from tinytx.training.profiler import profile
from tinytx.wording import counted

ADAM = 2  # arrays of each parameter's size that the optimiser keeps


class InspectFlags(Flags):
    """Which batch is timed."""

    command = "inspect"
    batch_size: int = setting(1, "rows of the batch that is timed; 0 times none, and reads only the headers of Hugging Face's files", minimum=0, maximum=4096)
    length: int = setting(64, "tokens of each row, if the model reads so many", minimum=2)


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Print what a model is: its class, its parameters, every tensor of its files, and the memory
    and seconds that a batch takes in one thread. Tensors of Hugging Face's files are listed from the headers, and
    weights are loaded for the batch alone; a run's checkpoint is loaded."""
    parser.epilog = "Example: python -m tinytx inspect models/gpt2 --batch-size 8 --length 256"
    where = "folder with config.json and model.safetensors, folder of a run, or one .safetensors file"
    parser.add_argument("path", metavar="FOLDER", help=where)
    add_options(parser, InspectFlags)


def run(arguments):
    """Print the tables."""
    flags, path = InspectFlags(**given(arguments, InspectFlags)), Path(arguments.path)
    if path.is_file():
        _print_tensors([(name, t.dtype, t.shape, t.n_bytes) for name, t in read_header(path).items()])
        return
    if holds_run(path):
        model, _, _ = load_checkpoint(path)
        rows = [(name, str(array.dtype), array.shape, array.nbytes) for name, array in model.state_dict().items()]
        _print_tensors(rows)
    else:
        config, tensors = read_config(path), read_tensors(path)
        _print_tensors([(name, t.dtype, t.shape, t.n_bytes) for name, t in tensors.items()])
        print(f"architectures: {config.get('architectures')!r:.200}, model_type: {config.get('model_type')!r:.80}")
        model = hub.load(path) if flags.batch_size else None
    if model is not None:
        _print_model(model)
        if flags.batch_size:
            _print_batch(model, flags)


def _print_tensors(rows):
    """Print (name, dtype, shape, bytes) of tensors as a table, and their sum."""
    width = max((len(visible(name)) for name, *_ in rows), default=0)
    for name, dtype, shape, size in rows:
        print(f"{visible(name):<{width}}  {dtype:<8}  {size:>13,} B  {shape}")
    kinds = Counter(dtype for _, dtype, _, _ in rows)
    kinds = ", ".join(f"{n} {dtype}" for dtype, n in kinds.items())
    print(f"{counted(len(rows), 'tensor')} ({kinds}), {sum(size for *_, size in rows):,} bytes")


def _print_model(model):
    """Print what a model is made of."""
    body, parameters = getattr(model, "body", model), model.parameters()
    n, size = (sum(getattr(p.data, name) for p in parameters) for name in ("size", "nbytes"))
    task = f"{type(model).__name__} of a " if isinstance(model, Task) else ""
    print(f"\n{task}{type(body).__name__}: {counted(n, 'parameter')}, {size:,} bytes")
    print(f"{body.config}")
    print(f"To train it with AdamW: {(2 + ADAM) * size:,} bytes for weights, gradients and the optimiser's averages")


def _print_batch(model, flags):
    """Print what a batch of random ids costs."""
    if not isinstance(model, Task):
        print("A body alone has no loss: a batch is timed of a task only")
        return
    length = min(flags.length, getattr(model.config, "max_len", flags.length))
    batch = model.random_batch(np.random.default_rng(0), flags.batch_size, length)
    rows = profile(model, *batch, steps=1)
    forward, backward, kept = (sum(getattr(row, name) for row in rows) for name in ("forward", "backward", "kept"))
    shape = f"{counted(flags.batch_size, 'row')} of {counted(length, 'token')}"
    print(f"A batch of {shape}: {forward:.4f} s forward, {backward:.4f} s backward, in one thread; {kept:,} bytes kept between them")
