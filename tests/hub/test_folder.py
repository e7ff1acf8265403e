"""Files of a folder: round trips of any array, and every message about what is missing or damaged."""

import json
import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

pytest.importorskip("safetensors")

from safetensors.numpy import load_file, save_file  # noqa: E402

from tinytx.extras import MissingExtra  # noqa: E402
from tinytx.files import FileError  # noqa: E402
from tinytx.hub.folder import CONFIG, INDEX, WEIGHTS, read_config, read_tensors, write_folder  # noqa: E402

dtypes = st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int64, np.uint16, np.bool_, ">f4", ">i8"])
arrays = npst.arrays(dtypes, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
LAYOUTS = {
    "as it is": lambda array: array,
    "transposed": np.transpose,
    "Fortran's": np.asfortranarray,
    "reversed": lambda array: array[..., ::-1] if array.ndim else array,
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array,
    "broadcast": lambda array: np.broadcast_to(array, (2, *array.shape)),
}


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__"), arrays, max_size=3),
       st.sampled_from(list(LAYOUTS)))  # fmt: skip
def test_arrays_of_any_layout_come_back(tmp_path_factory, named, layout):
    """The library alone writes wrong values for most of these; it reads ours as we do."""
    folder = tmp_path_factory.mktemp("arrays")
    named = {name: LAYOUTS[layout](array) for name, array in named.items()}
    write_folder(folder, {}, named)
    held, theirs = read_tensors(folder), load_file(folder / WEIGHTS)
    assert held.keys() == theirs.keys() == named.keys()
    for name, array in named.items():
        for found in (held[name].read(), theirs[name]):
            assert found.shape == array.shape and found.dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found, array)


def test_a_tensor_is_not_read_before_it_is_asked_for(tmp_path):
    """Its header says what it is: 16 MB here, of which nothing is copied."""
    import tracemalloc

    write_folder(tmp_path, {}, {"big": np.ones((2048, 2048), np.float32)})
    tracemalloc.start()
    tensor = read_tensors(tmp_path)["big"]
    view = tensor.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tensor.shape, tensor.dtype, tensor.n_bytes) == ((2048, 2048), "F32", 2**24)
    assert peak < 2**20 and not view.flags.writeable and view[5, 7] == 1


def test_bf16_is_read_though_numpy_has_no_such_dtype(tmp_path):
    """It is the upper half of a float32, so values that need no more bits come back exactly."""
    values = np.array([[1.0, -2.5, 0.0], [3e38, 2.0**-126, np.inf]], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
    (tmp_path / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + halves.tobytes())
    tensor = read_tensors(tmp_path)["a"]
    assert (tensor.dtype, tensor.n_bytes) == ("BF16", 12)
    expected = halves.astype(np.uint32) * 2**16  # bits
    np.testing.assert_array_equal(tensor.read().view(np.uint32), expected, strict=True)
    assert tensor.read()[0].tolist() == [1.0, -2.5, 0.0] and tensor.read()[1, 2] == np.inf


@pytest.fixture
def sharded(tmp_path):
    """A folder of two parts, and its index."""
    parts = {"model-00001-of-00002.safetensors": {"a": np.arange(3.0), "b": np.zeros((2, 2))},
             "model-00002-of-00002.safetensors": {"c": np.ones(1)}}  # fmt: skip
    for part, named in parts.items():
        save_file(named, tmp_path / part)
    index = {"metadata": {"total_size": 64}, "weight_map": {name: part for part, named in parts.items() for name in named}}
    (tmp_path / INDEX).write_text(json.dumps(index))
    return tmp_path, index


def test_parts_are_joined(sharded):
    folder, _ = sharded
    held = {name: tensor.read().tolist() for name, tensor in read_tensors(folder).items()}
    assert held == {"a": [0, 1, 2], "b": [[0, 0], [0, 0]], "c": [1]}


def test_a_model_in_one_file_replaces_one_in_several(sharded):
    folder, _ = sharded
    (folder / "adapter.safetensors").write_bytes(b"another's")
    write_folder(folder, {}, {"a": np.zeros(2)})
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.safetensors", CONFIG, WEIGHTS]
    assert list(read_tensors(folder)) == ["a"]


PATHS = ["../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..\\x.safetensors", "C:x.safetensors", "..safetensors",
         ".safetensors", "model.bin", "", "x\0.safetensors", 3, None, ["a.safetensors"], {}]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_an_index_names_files_in_its_own_folder(sharded, path, monkeypatch):
    """Catches a path that leads out of the folder: no file is opened."""
    folder, index = sharded
    save_file({"c": np.ones(1)}, folder.parent / "x.safetensors")
    index["weight_map"]["c"] = path
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(FileError, match="it says that c is in .*, expected the name of a .safetensors file in the same folder"):
        read_tensors(folder)


INDICES = {
    "no map": ({}, 'it has no "weight_map"'),
    "an empty map": ({"weight_map": {}}, 'it has no "weight_map"'),
    "a list": ({"weight_map": [1]}, 'it has no "weight_map"'),
    "parts that are not there": (
        {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}, "names one.safetensors, two.safetensors, not in the folder"
    ),
    "tensors that are elsewhere": (
        {"weight_map": {"a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors"}},
        "a is not in model-00002.*c, which the index does not say",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INDICES)
def test_an_index_that_does_not_fit_says_so(sharded, case):
    folder, (index, message) = sharded[0], INDICES[case]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(FileError, match=message) as caught:
        read_tensors(folder)
    assert str(folder / INDEX) in str(caught.value)


def test_what_is_missing_is_named_with_what_to_put_where(tmp_path):
    with pytest.raises(FileError, match="none has no config.json: there is no such folder: make it, and put there config.json and"):
        read_config(tmp_path / "none")
    with pytest.raises(FileError, match="has no config.json: the folder must hold.*nothing is fetched"):
        read_config(tmp_path)
    with pytest.raises(FileError, match="has no model.safetensors: the folder must hold"):
        read_tensors(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(FileError, match="has no model.safetensors: there is pytorch_model.bin, a pickle.*call save_pretrained"):
        read_tensors(tmp_path)


JSON = {
    "a list": (b"[]", "a JSON list, expected an object"),
    "a number": (b"3", "a JSON int, expected an object"),
    "nothing": (b"", "Expecting value"),
    "cut off": (b'{"a": 1', "delimiter"),
    "deep": (b"[" * 200_000, "recursion"),
    "deep in an object": (b'{"a":' * 200_000, "recursion"),
    "an endless number": (b'{"a": ' + b"9" * 10_000 + b"}", "digits"),
    "latin-1": (b'{"a": "\xe9"}', "decode"),
}


@pytest.mark.parametrize("case", JSON)
def test_a_config_that_is_no_object_is_refused(tmp_path, case):
    data, message = JSON[case]
    (tmp_path / CONFIG).write_bytes(data)
    with pytest.raises(FileError, match=message) as caught:
        read_config(tmp_path)
    assert str(tmp_path / CONFIG) in str(caught.value)
    (tmp_path / INDEX).write_bytes(data)
    with pytest.raises(FileError, match=message):
        read_tensors(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX's")
@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, INDEX])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(FileError, match=f"{name} is a pipe or a device"):
        read_config(tmp_path) if name == CONFIG else read_tensors(tmp_path)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    write_folder(tmp_path, {}, {"a": np.ones(1)})
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    for use in (lambda: read_tensors(tmp_path), lambda: write_folder(tmp_path, {}, {})):
        with pytest.raises(MissingExtra, match=r'safetensors: pip install "tinytx\[hub\]"'):
            use()


def test_a_full_disk_leaves_the_old_files(tmp_path, monkeypatch):
    write_folder(tmp_path, {"a": 1}, {"a": np.ones(1)})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device.*older file"):
        write_folder(tmp_path, {"a": 2}, {"a": np.zeros(1)})
    assert read_config(tmp_path) == {"a": 1} and read_tensors(tmp_path)["a"].read() == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, WEIGHTS]
