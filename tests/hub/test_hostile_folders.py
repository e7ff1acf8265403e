"""Folders that somebody spoiled on purpose: a few hundred seeded mutations, or as many as MUTATIONS says.

Whatever is done to a folder, `load` returns a model or raises FileError; it takes no more memory than a few times the files,
runs nothing, opens nothing outside the folder, and accepts a file of tensors where the library safetensors does.
"""

import json
import os
import pickle
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hub_cases import HUB_CASES

safetensors = pytest.importorskip("safetensors")

from tinytx.files import FileError  # noqa: E402
from tinytx.hub import load  # noqa: E402
from tinytx.hub.folder import CONFIG, INDEX, WEIGHTS, read_header  # noqa: E402

N = int(os.environ.get("MUTATIONS", 240))
PART = 40  # mutations of one test
ODD = [0, -1, 1, 2**31, 2**63, 2**64, 1e300, True, None, "8", [], {}, [[]], float("nan"), 10**12, "../x", "\0", "F64", "BF16", 3]


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def parted(data):
    """Return (header, bytes behind it) of a file of tensors."""
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def joined(header, rest):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def pick(rng, items):
    return items[rng.integers(len(items))]


# Each mutation: (rng, the bytes of a file of tensors) -> other bytes.


def cut_off(rng, data):
    return data[: rng.integers(len(data))]


def longer(rng, data):
    return data + bytes(rng.integers(1, 100))


def changed_bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):  # in the header more often than its share of the bytes
        data[rng.integers(len(data) if rng.random() < 0.3 else min(len(data), 2000))] = rng.integers(256)
    return bytes(data)


def another_length(rng, data):
    return struct.pack("<Q", int(pick(rng, [0, 1, 7, len(data), len(data) - 8, 2**31, 2**40, 2**63, 2**64 - 1]))) + data[8:]


def another_tensor(rng, data):
    """Lying offsets, shapes and dtypes: overlapping, backwards, out of range, of another kind."""
    header, rest = parted(data)
    tensor = header[pick(rng, sorted(name for name in header if name != "__metadata__"))]
    field = pick(rng, ["dtype", "shape", "data_offsets"])
    if field == "dtype":
        tensor[field] = pick(rng, ["F64", "F16", "BF16", "I32", "F8_E4M3", "BOOL", "", "F31", *ODD])
    elif field == "shape":
        tensor[field] = pick(rng, [tensor[field][::-1], [*tensor[field], 1], tensor[field][1:], [2**32, 2**32], [0], *ODD])
    else:
        start, stop = tensor[field]
        step = int(pick(rng, [-4, 4, -100, 100, len(rest), 2**62]))
        tensor[field] = pick(rng, [[start + step, stop + step], [start, stop + step], [stop, start], [start], *ODD])
    return joined(header, rest)


def other_names(rng, data):
    header, rest = parted(data)
    name = pick(rng, sorted(header))
    others = ["", "lm_head.weight", "../../x", "h.0.ln_1.weight", "a" * 10_000, "\udce9", "__metadata__", name + "x"]
    kept, n = header.pop(name), 1 + (rng.random() < 0.2)
    return joined(header | dict.fromkeys(map(str, rng.choice(others, n)), kept), rest)


def twice(rng, data):
    """A name twice in the header, which JSON allows."""
    header, rest = parted(data)
    name = pick(rng, sorted(header))
    other = dict(header[name])
    other["data_offsets"] = [0, int(rng.integers(1, 500))]
    return joined(json.dumps(header).encode()[:-1] + f", {json.dumps(name)}: {json.dumps(other)}}}".encode(), rest)


def deep(rng, data):
    return joined(bytes(pick(rng, [b"[", b'{"a":'])) * int(10 ** rng.integers(2, 6)), parted(data)[1])


def disguised(rng, data):
    """A pickle, a zip, a page: under the name of a file of tensors."""
    return pick(rng, [pickle.dumps(Payload(os.environ["TINYTX_PROOF"])), b"PK\x03\x04" + data, b"<!DOCTYPE html>" * 9, b"", b"\0" * 100])


def same_size(rng, data):
    """Another shape, or another dtype, of as many bytes: a file without a fault, but not this model's."""
    header, rest = parted(data)
    tensor = header[pick(rng, sorted(name for name in header if name != "__metadata__"))]
    shape = tensor["shape"]
    tensor["dtype"], tensor["shape"] = pick(rng, [
        ("I32", shape), ("U32", shape), ("F32", shape[::-1]), ("F32", [1, *shape]), ("F16", [*shape, 2]), ("BF16", [2, *shape]),
        ("F8_E4M3", [*shape, 4]), ("F32", [1] * 70 + shape),
    ])  # fmt: skip
    return joined(header, rest)


LIES = [another_tensor, other_names, same_size]
FILES = [cut_off, longer, changed_bytes, another_length, twice, deep, disguised, *LIES, *LIES]


def spoil_json(rng, path):
    """Change one value of a JSON object, or its bytes."""
    held = json.loads(path.read_bytes())
    if rng.random() < 0.8:
        inner = held["weight_map"] if "weight_map" in held and rng.random() < 0.8 else held
        key = pick(rng, sorted(inner))
        inner[key] = pick(rng, [*ODD, int(2 ** rng.integers(0, 70)), "../model.safetensors", "/etc/passwd", "x.safetensors"])
        if rng.random() < 0.2:
            del inner[key]
        path.write_text(json.dumps(held))
    else:
        data = path.read_bytes()
        path.write_bytes(pick(rng, [cut_off, changed_bytes])(rng, data) if rng.random() < 0.7 else b'{"a":' * int(10 ** rng.integers(2, 6)))


def write_parts(folder, data):
    """Write the file's tensors in two files, with an index."""
    header, rest = parted(data)
    names = sorted(name for name in header if name != "__metadata__")
    index = {}
    for part, own in (("one.safetensors", names[::2]), ("two.safetensors", names[1::2])):
        tensors, body = {}, b""
        for name in own:
            start, stop = header[name]["data_offsets"]
            tensors[name] = header[name] | {"data_offsets": [len(body), len(body) + stop - start]}
            body += rest[start:stop]
            index[name] = part
        (folder / part).write_bytes(joined(tensors, body))
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))


def spoil(rng, folder, good):
    """Write a folder from good files, with one fault or two."""
    for path in folder.iterdir():
        path.unlink()
    config, data = good
    (folder / CONFIG).write_bytes(config)
    parts = [WEIGHTS] if rng.random() < 0.7 else ["one.safetensors", "two.safetensors"]
    (folder / WEIGHTS).write_bytes(data) if len(parts) == 1 else write_parts(folder, data)
    for _ in range(rng.integers(1, 3)):
        kind = rng.random()
        if kind < 0.3:
            with_json = CONFIG if len(parts) == 1 or rng.random() < 0.5 else INDEX
            try:
                spoil_json(rng, folder / with_json)
            except (ValueError, TypeError, RecursionError, AttributeError):
                pass  # spoiled before so that this fault has no place
        else:
            path = folder / pick(rng, parts)
            try:
                path.write_bytes(pick(rng, FILES)(rng, path.read_bytes()))
            except (ValueError, TypeError, KeyError, AttributeError, struct.error, RecursionError):
                pass
    return [folder / part for part in parts]


def accepts(path):
    """Return what the library makes of a file: {name: (dtype, shape)}, or None where it refuses it."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: (file.get_slice(name).get_dtype(), tuple(file.get_slice(name).get_shape())) for name in file.keys()}
    except Exception:
        return None


def check(folder, paths, limit):
    """Raise AssertionError unless a folder is loaded or refused as it should be; return whether it is loaded."""
    for path in paths:
        expected = accepts(path)
        try:
            held = read_header(path)
        except FileError:
            held = None
        assert (held is None) == (expected is None), f"{path}: the library {'refuses' if expected is None else 'accepts'} it"
        assert held is None or {name: (tensor.dtype, tensor.shape) for name, tensor in held.items()} == expected
    tracemalloc.start()
    try:
        load(folder)
        return True
    except FileError as error:
        assert len(str(error)) < 10_000 + 200 * len(str(folder)) and str(folder) in str(error)
        return False
    finally:
        assert tracemalloc.get_traced_memory()[1] < limit
        tracemalloc.stop()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Files of three small models, and a load that has compiled and imported all that it needs."""
    made = []
    for name in ("GPT2LMHeadModel", "OpenAIGPTModel", "T5ForConditionalGeneration"):
        folder = tmp_path_factory.mktemp(name)
        HUB_CASES[name](np.float32).save_pretrained(folder)
        load(folder)
        made.append(((folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()))
    return made


@pytest.mark.parametrize("part", range(-(-N // PART)))
def test_a_spoiled_folder_is_refused_or_read_and_nothing_else(tmp_path, monkeypatch, good, part):
    proof, loaded, folder = tmp_path / "proof", 0, tmp_path / "folder"
    monkeypatch.setenv("TINYTX_PROOF", str(proof))
    folder.mkdir()
    for seed in range(part * PART, (part + 1) * PART):
        rng = np.random.default_rng(seed)
        files = pick(rng, good)
        paths = spoil(rng, folder, files)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                loaded += check(folder, paths, 2**22 + 40 * sum(path.stat().st_size for path in folder.iterdir()))
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
    assert not proof.exists() and loaded < PART


def test_the_folders_that_are_spoiled_are_good(tmp_path, good):
    for config, data in good:
        (tmp_path / CONFIG).write_bytes(config)
        (tmp_path / WEIGHTS).write_bytes(data)
        assert check(tmp_path, [tmp_path / WEIGHTS], 2**24)
        (tmp_path / WEIGHTS).unlink()
        write_parts(tmp_path, data)
        assert check(tmp_path, [tmp_path / "one.safetensors", tmp_path / "two.safetensors"], 2**24)
        (tmp_path / INDEX).unlink()


def test_a_zip_of_pickles_is_not_opened(tmp_path, good):
    """What torch.save writes, under the name of a file of tensors."""
    proof = tmp_path / "proof"
    with zipfile.ZipFile(tmp_path / WEIGHTS, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(str(proof))))
    (tmp_path / CONFIG).write_bytes(good[0][0])
    with pytest.raises(FileError, match="fetch the file again"):
        load(tmp_path)
    assert not proof.exists()
