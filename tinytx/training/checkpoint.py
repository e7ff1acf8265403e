"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one file."""

import platform
from dataclasses import asdict, is_dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tinytx.core import check_arrays
from tinytx.files import FileError, load_arrays, save_arrays
from tinytx.layers.init import Zeros
from tinytx.layers.low_rank import adapt_to_load, adapted_layers
from tinytx.models import MODELS
from tinytx.models.config import check_vouched
from tinytx.pretrained import Pooler
from tinytx.state import State
from tinytx.tasks import TASKS
from tinytx.tasks.task import Task
from tinytx.training.old_checkpoint import TASK_OF, upgraded, with_task_settings

FORMAT = 2
NAME = "checkpoint.npz"
OWN = ("format", "task", "task_settings", "model", "config", "low_rank", "frozen")  # names of meta that are the checkpoint's


def save_checkpoint(folder, model, *, optimizer=None, state=None, **meta):
    """Write model, optimiser and ``meta`` to ``folder/checkpoint.npz``, atomically.

    Parameters
    ----------
    folder : str or Path
    model : Layer
        One of `tinytx.tasks.TASKS`, around one of `tinytx.models.MODELS`; or one of your own, which the checkpoint
        names by its class: made by ``Class(config, rng=rng, dtype=dtype)``, with a dataclass as its ``config``.
    optimizer : Optimizer, optional
    state : State, optional
        What the model remembers between steps, for `load_state`.
    **meta : what `tinytx.files.save_arrays` takes
        Tokenizer, settings, step, ... Not those of ``OWN``, which are the checkpoint's own. A ``fingerprint``
        takes the place of the one that is saved without it.

    Returns
    -------
    Path

    Raises
    ------
    TypeError, ValueError
        If `load_checkpoint` could not read the file, or not as it was: another kind of model, parameters that are not
        those of the model's config, an optimiser of another model, ``meta`` that JSON would bend. Nothing is written.
    OSError
        If the file cannot be written; an older one still stands.
    """
    kinds, make = _kinds(model)
    taken = [name for name in OWN if name in meta]
    if taken:
        raise ValueError(f"save_checkpoint: {taken[0]} is a name of the checkpoint's own: call it my_{taken[0]}, say")
    weights, branches = model.state_dict(), {path: layer.settings for path, layer in adapted_layers(model).items()}
    try:
        _dtype(weights)
        if kinds["model"] in MODELS:
            blank = _blank(make, model.config, weights)
            adapt_to_load(blank, branches, weights)
            expected = {name: array.shape for name, array in blank.state_dict().items()}
            check_arrays(type(model.config).__name__, expected, weights)
    except ValueError as error:
        raise ValueError(f"save_checkpoint: the model is not what its config says: {error}") from error
    arrays = {f"model.{name}": array for name, array in weights.items()}
    if optimizer is not None:
        optimizer.check_model("save_checkpoint", model)
        arrays |= {f"optimizer.{name}": array for name, array in optimizer.state_dict().items()}
    if state is not None:
        arrays |= {f"state.{name}": array for name, array in state.state_dict().items()}
    pooler = getattr(getattr(model, "body", model), "pooler", None)
    if isinstance(pooler, Pooler):
        arrays |= {f"pooler.{name}": array for name, array in pooler._asdict().items()}
    frozen = [path for path, parameter in model.named_parameters() if parameter.frozen]
    kinds |= {"config": asdict(model.config)} | {n: x for n, x in (("low_rank", branches), ("frozen", frozen)) if x}
    meta = {"format": FORMAT, **kinds, "fingerprint": fingerprint(), **meta}
    path = Path(folder) / NAME
    save_arrays(path, arrays, meta)
    return path


def load_checkpoint(folder, *, own=None):
    """Read what `save_checkpoint` wrote.

    Parameters
    ----------
    folder : str or Path
    own : dict, optional
        Models and tasks that are in no table, by the names of their classes: {"Body": (Body, BodyConfig), "Asked": Asked}.

    Returns
    -------
    model : Layer
        The task, made anew around a body of the config, with the weights of the file; what was frozen is frozen.
    optimizer_state : dict of str to array
        For ``Optimizer.load_state_dict``; empty if none was saved.
    meta : dict

    Raises
    ------
    FileError
        If the file is missing, damaged, or not a checkpoint of this version.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise FileError(f"load_checkpoint: there is no {NAME} in {folder}: name the folder of a run")
    arrays, meta = load_arrays(path)
    if meta.get("format") == 1 and meta.get("model") in list(TASK_OF):
        arrays, meta = upgraded(arrays, meta)
    meta = with_task_settings(meta)
    models = MODELS | {name: pair for name, pair in (own or {}).items() if isinstance(pair, tuple)}
    tasks = {None: None} | TASKS | {name: cls for name, cls in (own or {}).items() if isinstance(cls, type)}
    task, kind = meta.get("task"), meta.get("model")
    if meta.get("format") != FORMAT or kind not in list(models) or task not in list(tasks):
        raise FileError(
            f"load_checkpoint: {path} has format {meta.get('format')!r:.80}, task {task!r:.80} and model {kind!r:.80}, "
            f"expected format {FORMAT}, one of {', '.join(TASKS)} and one of {', '.join(MODELS)}, or classes of your own: "
            "own={'Body': (Body, BodyConfig)} here, --recipe FILE.py in a command"
            + (f"; own names {', '.join(map(str, own))}" if own else "")
        )
    parts = {"model": {}, "optimizer": {}, "state": {}, "pooler": {}}
    for name, array in arrays.items():
        part, _, rest = name.partition(".")
        if part not in parts:
            raise FileError(f"load_checkpoint: {path}: {name:.80} belongs to none of {', '.join(parts)}")
        parts[part][rest] = array
    try:
        body, config = models[kind]
        settings = dict(meta.get("task_settings") or {})
        config, make = config(**meta["config"]), _maker(tasks[task], body, settings)
        weights = parts["model"]
        if kind in MODELS:
            model = _blank(make, config, weights)
        else:
            model = make(config, rng=np.random.default_rng(0), dtype=_dtype(weights))
        adapt_to_load(model, meta.get("low_rank", {}), weights)
        model.load_state_dict(weights)
        named = dict(model.named_parameters())
        for name in meta.get("frozen", ()):
            named[name].frozen = True
        if parts["pooler"]:
            d = getattr(config, "d_model", 0)
            check_arrays("pooler", {"weight": (d, d), "bias": (d,)}, parts["pooler"])
            getattr(model, "body", model).pooler = Pooler(**parts["pooler"])
    except (TypeError, ValueError, KeyError) as error:
        raise FileError(f"load_checkpoint: {path}: config and weights do not fit: {_cut(error)}") from error
    return model, parts["optimizer"], meta


def load_state(folder):
    """Return the `State` that `save_checkpoint` wrote beside a model; a new one if there was none.

    Raises
    ------
    FileError
        If the file is missing or damaged, or its state is.
    """
    path, state = Path(folder) / NAME, State()
    arrays = {name.removeprefix("state."): array for name, array in load_arrays(path)[0].items() if name[:6] == "state."}
    try:
        if arrays:
            state.load_state_dict(arrays)
    except ValueError as error:
        raise FileError(f"load_state: {path}: {error}") from error
    return state


def _kinds(model):
    """Return (a dict that names a model: its task, the task's settings, its body; the function that makes the model)."""
    task, body = (type(model), model.body) if isinstance(model, Task) else (None, model)
    if not is_dataclass(getattr(body, "config", None)):
        expected = f"expected one of {', '.join(MODELS)}, or one of your own whose config is a dataclass"
        raise TypeError(f"save_checkpoint: the config of {type(body).__name__} is no dataclass, {expected}")
    kind = next((name for name, (cls, _) in MODELS.items() if type(body) is cls), type(body).__name__)
    asked = task and next((name for name, cls in TASKS.items() if task is cls), task.__name__)
    settings = model.settings if task else {}
    return {"task": asked, "task_settings": settings, "model": kind}, _maker(task, type(body), settings)


def _maker(task, body, settings):
    """Return the function (config, rng=, dtype=) that makes a body of a class, in a task of a class if there is one."""
    return partial(task.around, body, settings=settings) if task else body


def _blank(make, config, arrays):
    """Return a model of zeros, into which arrays are to be loaded.

    A stranger's config may ask for all memory there is: a model gets no more than the arrays vouch for. Names and shapes
    are compared when they are loaded.
    """
    held = sum(array.size for array in arrays.values())
    check_vouched(config, len(arrays), held)
    return make(config, rng=Zeros(held), dtype=_dtype(arrays))


def _cut(text, most=2500):
    """Return a message, cut to a readable length."""
    text = str(text)
    return text if len(text) <= most else f"{text[:most]} ... ({len(text):,} characters)"


def _dtype(arrays):
    """Return the dtype of all weights; raise ValueError if they have several, or none that a model may have."""
    dtypes = {str(array.dtype) for array in arrays.values()}
    if dtypes not in ({"float32"}, {"float64"}):
        raise ValueError(f"the weights have dtypes {sorted(dtypes)}, expected all float32 or all float64")
    return np.dtype(dtypes.pop())


def fingerprint(threads=None):
    """Return what the last bits of a run depend on, beside its settings: versions, BLAS, processor, threads."""
    numpy_says = np.show_config(mode="dicts")
    blas = numpy_says["Build Dependencies"]["blas"]
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": version("numba"),
        "machine": platform.machine(),
        "simd": numpy_says["SIMD Extensions"].get("found", []),  # of those that NumPy can use, this processor's
        "threads": threads,
        "blas": f"{blas['name']} {blas['version']}",
    }


def differences(old, new):
    """Return a line that says how two fingerprints differ, or "" where they agree; ``old`` may be anything."""
    old = old if isinstance(old, dict) else {}
    return "; ".join(f"{key}: {old.get(key)} then, {new[key]} now" for key in new if old.get(key) != new[key])
