"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one file."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tinytx.extras import MissingExtra, require
from tinytx.files import FileError, load_arrays, save_arrays
from tinytx.models import MODELS

FORMAT = 1
NAME = "checkpoint.npz"
MOST_FIXED = 2**22  # numbers in a table of positions that is computed, not loaded


def save_checkpoint(folder, model, *, optimizer=None, **meta):
    """Write model, optimiser and ``meta`` to ``folder/checkpoint.npz``, atomically.

    Parameters
    ----------
    folder : str or Path
    model : Layer
        One of `tinytx.models.MODELS`.
    optimizer : Optimizer, optional
    **meta : anything that JSON can say
        Tokenizer, settings, step, ...

    Returns
    -------
    Path

    Raises
    ------
    TypeError
        If ``model`` is something else, which `load_checkpoint` could not make anew.
    OSError
        If the file cannot be written; an older one still stands.
    """
    kind = next((name for name, (cls, _) in MODELS.items() if type(model) is cls), None)
    if kind is None:
        raise TypeError(f"save_checkpoint: model is a {type(model).__name__}, expected one of {', '.join(MODELS)}")
    arrays = {f"model.{name}": array for name, array in model.state_dict().items()}
    if optimizer is not None:
        arrays |= {f"optimizer.{name}": array for name, array in optimizer.state_dict().items()}
    meta = {"format": FORMAT, "model": kind, "config": asdict(model.config), "fingerprint": fingerprint(), **meta}
    path = Path(folder) / NAME
    save_arrays(path, arrays, meta)
    return path


def load_checkpoint(folder):
    """Read what `save_checkpoint` wrote.

    Returns
    -------
    model : Layer
        Made anew from its config, with the weights of the file.
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
    if meta.get("format") != FORMAT or meta.get("model") not in list(MODELS):
        raise FileError(
            f"load_checkpoint: {path} has format {meta.get('format')!r} and model {meta.get('model')!r}, "
            f"expected format {FORMAT} and one of {', '.join(MODELS)}"
        )
    parts = {"model": {}, "optimizer": {}}
    for name, array in arrays.items():
        part, _, rest = name.partition(".")
        if part not in parts:
            raise FileError(f"load_checkpoint: {path}: {name} belongs neither to the model nor to the optimizer")
        parts[part][rest] = array
    cls, config = MODELS[meta["model"]]
    try:
        config = config(**meta["config"])
        _check_size(config, parts["model"])
        model = cls(config, rng=np.random.default_rng(0), dtype=_dtype(parts["model"]))
        model.load_state_dict(parts["model"])
    except (TypeError, ValueError, KeyError) as error:
        raise FileError(f"load_checkpoint: {path}: config and weights do not fit: {error}") from error
    return model, parts["optimizer"], meta


def _check_size(config, arrays):
    """Raise ValueError, before anything is allocated, where a config asks for far more than the file holds."""
    held = sum(array.size for array in arrays.values())
    d_ff = config.d_ff or config.d_model
    tables = config.vocab_size + getattr(config, "n_segments", 0)
    asked = config.d_model * (tables + config.n_layers * (config.d_model + d_ff))
    positions = config.d_model * config.max_len
    if getattr(config, "positions", "learned") == "learned":
        asked += positions
    elif positions > max(held, MOST_FIXED):  # a table that is no weight: nothing in the file vouches for it
        raise ValueError(f"max_len is {config.max_len:,}, which makes a table of {positions:,} numbers")
    if asked > held:
        raise ValueError(f"the config asks for more than {asked:,} weights and the file holds {held:,}")


def _dtype(arrays):
    """Return the one dtype of all weights; raise ValueError if they have several, or one that is no model's."""
    dtypes = {str(array.dtype) for array in arrays.values()}
    if dtypes not in ({"float32"}, {"float64"}):
        raise ValueError(f"the weights have dtypes {sorted(dtypes)}, expected all float32 or all float64")
    return np.dtype(dtypes.pop())


def fingerprint(threads=None):
    """Return what the last bits of a run depend on, beside its settings: versions, BLAS, processor, threads."""
    try:
        libraries = require("threadpoolctl", "train", "naming the BLAS library").threadpool_info()
        libraries = [library for library in libraries if library["user_api"] == "blas"]
        blas = [f"{x['internal_api']} {x['version']} {x.get('architecture')}" for x in libraries]
    except MissingExtra:
        blas = []
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": version("numba"),
        "machine": platform.machine(),
        "threads": threads,
        "blas": sorted(set(blas)),
    }


def differences(old, new):
    """Return a line that says how two fingerprints differ, or "" where they agree; ``old`` may be anything."""
    old = old if isinstance(old, dict) else {}
    return "; ".join(f"{key}: {old.get(key)} then, {new[key]} now" for key in new if old.get(key) != new[key])
