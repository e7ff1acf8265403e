"""Folders as Hugging Face libraries write them: ``config.json``, and named tensors in one file or in several.

::

    config.json                       a JSON object: sizes, ids of special tokens, "architectures"
    model.safetensors                 all tensors; or, of a large model,
    model.safetensors.index.json      which file holds which tensor: {"weight_map": {name: "model-00001-of-00002.safetensors"}}
    generation_config.json            may be missing: how texts are generated
    preprocessor_config.json          of a model of images: what is done with a picture before the model

A folder may come from an untrusted source. Nothing in it is run or unpickled, and nothing is fetched. The `safetensors`
library checks the lengths and offsets that a file states; then a tensor is a view of the file, which is read where it is
used. So no tensor takes memory before somebody has looked at its name, its shape and its dtype.
"""

import json
import mmap
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinytx.extras import require
from tinytx.files import FileError, as_file_error, atomic_write, check_regular, read_json

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
FURTHER = {"generation": "generation_config.json", "preprocessor": "preprocessor_config.json"}  # files that may be missing
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8", "BOOL": "?", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")
REMEDY = "fetch the file again, or write the folder again with save_pretrained"


class Tensor(NamedTuple):
    """What the header of a file says of one tensor; the bytes themselves are not read.

    Attributes
    ----------
    path : Path
        Of the file.
    dtype : str
        As the file names it: F64, F32, F16, BF16, I64, ...
    shape : tuple of int
    start, stop : int
        The bytes of the file.
    """

    path: Path
    dtype: str
    shape: tuple
    start: int
    stop: int

    @property
    def n_bytes(self):
        """How many bytes it takes."""
        return self.stop - self.start

    def read(self):
        """Return the tensor: a view of the file that cannot be written to; a new float32 array if it is BF16.

        Raises
        ------
        FileError
            If the file is no longer what it was, or NumPy has no such dtype.
        """
        with as_file_error(f"read: {self.path}", REMEDY), open(self.path, "rb") as file:
            if self.dtype not in DTYPES:
                raise ValueError(f"dtype {self.dtype}, expected one of {', '.join(DTYPES)}")
            data, dtype = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.dtype(DTYPES[self.dtype])
            flat = np.frombuffer(data, dtype, self.n_bytes // dtype.itemsize, self.start)
            if self.dtype == "BF16":  # the upper half of a float32
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            return flat.reshape(self.shape)


def read_config(folder):
    """Return what a folder's ``config.json`` holds.

    Raises
    ------
    FileError
        If the folder or the file is missing, or the file is no JSON object.
    """
    path = Path(folder) / CONFIG
    if not path.exists():
        raise FileError(f"{folder} has no {CONFIG}: {_what_to_put(folder)}")
    return read_json(path)


def read_further(folder, name):
    """Return what a further file of a folder holds, {} if there is none; raise FileError if it is no JSON object."""
    path = Path(folder) / name
    return read_json(path) if path.exists() else {}


def read_tensors(folder):
    """Return {name: `Tensor`} of all files of weights in a folder; no tensor is read yet.

    Raises
    ------
    FileError
        If there is no such file, or one is damaged, or does not hold what the index says.
    MissingExtra
        If the library safetensors is not installed.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).exists():
        return read_header(folder / WEIGHTS)
    if not (folder / INDEX).exists():
        raise FileError(f"{folder} has no {WEIGHTS}: {_what_to_put(folder)}")
    place = folder / INDEX
    with as_file_error(f"read_tensors: {place}", REMEDY):
        parts = _parts_of(read_json(place))
        missing = [part for part in parts if not (folder / part).exists()]
        if missing:
            raise ValueError(f"it names {', '.join(missing)}, not in the folder")
        tensors, wrong = {}, []
        for part, names in parts.items():
            held = read_header(folder / part)
            tensors |= {name: held[name] for name in names if name in held}
            wrong += [f"{name:.80} is not in {part}" for name in names if name not in held]
            wrong += [f"{part} holds {name:.80}, which the index does not say" for name in held.keys() - set(names)]
        if wrong:
            more = f"; ... ({len(wrong)} in all)" if len(wrong) > 30 else ""
            raise ValueError("; ".join(wrong[:30]) + more)
    return tensors


def _parts_of(index):
    """Return {file: [names]} of an index, whose files must be beside it: a path could lead anywhere."""
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError('it has no "weight_map" that says which file holds which tensor')
    parts = {}
    for name, part in weight_map.items():
        if not isinstance(part, str) or not part.endswith(".safetensors") or set(part) & set("/\\:\0") or part[0] == ".":
            raise ValueError(
                f"it says that {name:.80} is in {part!r:.80}, expected the name of a .safetensors file in the same folder"
            )
        parts.setdefault(part, []).append(name)
    return parts


def read_header(path):
    """Return {name: `Tensor`} of one file of the format safetensors, as the library accepts it.

    Raises
    ------
    FileError
        If it is missing or damaged.
    MissingExtra
        If the library safetensors is not installed.
    """
    safe_open = require("safetensors", "hub", "reading .safetensors files").safe_open
    path = Path(path)
    check_regular(path)
    with as_file_error(f"read_header: {path}", REMEDY):
        with safe_open(path, framework="numpy") as checked, open(path, "rb") as file:
            first = 8 + struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(first - 8))
            tensors = {}
            for name in sorted(checked.keys()):
                start, stop = header[name]["data_offsets"]
                told = checked.get_slice(name)
                tensors[name] = Tensor(path, told.get_dtype(), tuple(told.get_shape()), first + start, first + stop)
    return tensors


def _what_to_put(folder):
    """Return the remedy where a file is missing."""
    pickles = sorted(Path(folder).glob("*.bin")) if Path(folder).is_dir() else []
    if pickles:
        return (
            f"there is {pickles[0].name}, a pickle, which can run any program while it is read, so tinytx does not read it: "
            "load the folder with transformers, if you trust it, and call save_pretrained, which writes model.safetensors"
        )
    there = "the folder must hold" if Path(folder).is_dir() else "there is no such folder: make it, and put there"
    return (
        f"{there} {CONFIG} and {WEIGHTS} of a model, as transformers' save_pretrained writes them or as the model's page "
        "offers them; nothing is fetched from the network"
    )


def write_folder(folder, config, arrays, further=None):
    """Write ``config.json``, ``model.safetensors`` and further files of JSON, each atomically; the folder is made if it is missing.

    If the folder held a model in several files, these are removed once the new file is there, as transformers does.

    Parameters
    ----------
    folder : str or Path
    config : dict
        A JSON object.
    arrays : dict of str to array
        Any strides: the library writes wrong values, without a word, of an array that is not C-contiguous.
    further : dict of str to dict, optional
        A JSON object by the name of its file; an empty one is not written.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OSError
        If a file cannot be written; the old one is unchanged.
    MissingExtra
        If the library safetensors is not installed.
    """
    save = require("safetensors.numpy", "hub", "writing .safetensors files").save
    folder = Path(folder)
    objects = {CONFIG: config} | {name: each for name, each in (further or {}).items() if each}
    data = save({name: _plain(array) for name, array in arrays.items()}, metadata={"format": "pt"})
    texts = {name: json.dumps(each, indent=2, sort_keys=True) + "\n" for name, each in objects.items()}
    files = {WEIGHTS: data} | {name: text.encode() for name, text in texts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with atomic_write(folder / name) as file:
            file.write(content)
    for old in (folder / INDEX, *folder.glob("model-?????-of-?????.safetensors")):
        old.unlink(missing_ok=True)
    return [folder / name for name in files]


def _plain(array):
    """Return an array in C's order and this machine's byte order."""
    array = np.asarray(array)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)  # it makes () of shape (1,)
