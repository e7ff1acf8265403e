"""Writing atomically, and the round trips. What hostile files do is in test_hostile_files.py."""

import errno
import json
import math
import os
import random
import runpy
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tinytx import files
from tinytx.files import FileError, append_json, atomic_write, load_arrays, read_json_lines, save_arrays, sweep


def start(script, *args):
    """Start Python on a script that has ``files``, the module's names: without tinytx, whose import takes a second."""
    script = "import os, runpy, sys, numpy as np\nfiles = runpy.run_path(sys.argv[1])\npath = sys.argv[2]\n" + script
    command = [sys.executable, "-c", script, files.__file__, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


SAVE_FOREVER = """
for i in range(10**9):
    files["save_arrays"](path, {"a": np.full(300_000, i), "b.c": np.full((2, 3), i)}, {"i": i})
    print("saved", flush=True)
"""


def test_killed_while_saving_leaves_a_whole_file(tmp_path):
    path = tmp_path / "model.npz"
    delays = random.Random(0)
    for _ in range(8):
        child = start(SAVE_FOREVER, path)
        assert child.stdout.readline().strip() == b"saved"
        time.sleep(delays.uniform(0, 0.02))
        child.kill()
        child.communicate()
        arrays, meta = load_arrays(path)
        assert set(arrays) == {"a", "b.c"}
        assert all((array == meta["i"]).all() for array in arrays.values())
    sweep(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.npz"]


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_process_that_dies_leaves_the_old_file_and_one_orphan(tmp_path, moment):
    path = tmp_path / "model.npz"
    path.write_bytes(b"old")
    script = {
        "write": "with files['atomic_write'](path) as file: file.write(b'new'); os._exit(7)",
        "fsync": "os.fsync = lambda handle: os._exit(7)\nwith files['atomic_write'](path) as file: file.write(b'new')",
        "replace": "os.replace = lambda *_: os._exit(7)\nwith files['atomic_write'](path) as file: file.write(b'new')",
    }[moment]
    child = start(script, path)
    child.communicate()
    assert child.returncode == 7
    assert path.read_bytes() == b"old"
    (orphan,) = sweep(tmp_path)
    assert orphan.name.startswith(".model.npz.") and orphan.name.endswith(".tmp")
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_replaces_only_at_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), OSError(errno.ENOENT, "other", "else")])
def test_an_exception_in_the_block_comes_out_as_it_is(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as caught:
        with atomic_write(path) as file:
            file.write(b"new")
            raise error
    assert caught.value is error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_a_clear_error(tmp_path, monkeypatch, function):
    path = tmp_path / "model.npz"
    save_arrays(path, {"a": np.arange(3)}, {})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left on device.*older file") as caught:
        save_arrays(path, {"a": np.arange(4)}, {})
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert load_arrays(path)[0]["a"].shape == (3,)
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "none" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        with atomic_write(path):
            pass
    assert caught.value.filename == str(path) and f"there is no folder {path.parent}: make it first" in str(caught.value)


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("no symbolic links here")
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_sweep_removes_nothing_else(tmp_path):
    kept = ["a.npz", ".a.npz.tmp", "a.npz.0123abcd.tmp", ".a.npz.0123abcg.tmp", ".a.npz.0123abcd.tmp.bak"]
    for name in [*kept, ".a.npz.0123abcd.tmp"]:
        (tmp_path / name).touch()
    assert sweep(tmp_path) == [tmp_path / ".a.npz.0123abcd.tmp"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(kept)
    assert sweep(tmp_path) == []


names = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=9)
dtypes = st.sampled_from([np.bool_, np.int8, np.int64, np.uint32, np.float16, np.float32, np.float64, np.complex64])
some_arrays = npst.arrays(dtypes, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**130), 2**130) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(names.filter(lambda name: name != files.META), some_arrays, max_size=4),
       st.dictionaries(st.text(), json_values, max_size=3), st.booleans())
def test_what_is_saved_is_loaded(tmp_path_factory, arrays, meta, transpose):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    arrays = {name: array.T if transpose else array for name, array in arrays.items()}
    save_arrays(path, arrays, meta)
    loaded, loaded_meta = load_arrays(path)
    assert loaded_meta == meta
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].flags.writeable
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_shapes_are_read_without_arrays(tmp_path):
    """Catches shapes that cost the time of the arrays: here their bytes are damaged, which is seen where they are read."""
    path = tmp_path / "a.npz"
    save_arrays(path, {"a": np.full((20, 3000), 7.0), "b": np.ones(())}, {"c": [1]})
    path.write_bytes(path.read_bytes().replace(np.float64(7).tobytes(), np.float64(8).tobytes()))
    assert load_arrays(path, shapes=True) == ({"a": (20, 3000), "b": ()}, {"c": [1]})
    with pytest.raises(FileError, match="a.npy"):
        load_arrays(path)


def test_a_large_strided_array_comes_back(tmp_path):
    array = np.random.default_rng(0).normal(size=(300, 301))[::2, ::-3]
    save_arrays(tmp_path / "a.npz", {"a": array}, {})
    np.testing.assert_array_equal(load_arrays(tmp_path / "a.npz")[0]["a"], array, strict=True)


def test_numpy_reads_the_file_and_finds_no_date_in_it(tmp_path):
    path = tmp_path / "a.npz"
    save_arrays(path, {"blocks.0.weight": np.arange(6.0).reshape(2, 3)}, {"step": 3})
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["blocks.0.weight"], np.arange(6.0).reshape(2, 3))
        assert json.loads(file["meta.json"].tobytes()) == {"step": 3}
    with zipfile.ZipFile(path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize(
    "arrays, meta, error, match",
    [
        ({"a/b": np.zeros(1)}, {}, ValueError, "'a/b' cannot name"),
        ({"a\\b": np.zeros(1)}, {}, ValueError, "cannot name"),
        ({"": np.zeros(1)}, {}, ValueError, "'' cannot name"),
        ({"meta.json": np.zeros(1)}, {}, ValueError, "cannot name"),
        ({"a": np.array([None])}, {}, ValueError, "a has dtype object"),
        ({"a": np.array(["text"])}, {}, ValueError, "a has dtype <U4"),
        ({}, {"loss": math.nan}, ValueError, r"meta\.loss is nan, which JSON cannot store"),
        ({}, {"loss": np.float32(1)}, TypeError, r"meta\.loss is a float32, which would not be read back"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_writing(tmp_path, arrays, meta, error, match):
    with pytest.raises(error, match=match):
        save_arrays(tmp_path / "a.npz", arrays, meta)
    assert list(tmp_path.iterdir()) == []


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_record_is_one_line_of_strict_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_json(path, {"step": np.int64(1), "loss": np.float32(0.5), "norms": np.array([1.0, np.inf])})
    append_json(path, {"step": 2, "loss": math.nan, "inner": {"a": (-math.inf, np.float64("nan"))}, "text": "a\nb"})
    expected = [
        {"step": 1, "loss": 0.5, "norms": [1.0, None]},
        {"step": 2, "loss": None, "inner": {"a": [None, None]}, "text": "a\nb"},
    ]
    assert [strict_json(line) for line in path.read_text().splitlines()] == expected
    assert read_json_lines(path) == expected


def test_a_torn_last_line_is_forgotten_wherever_it_is_torn(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first, last, new = {"step": 1}, {"step": 22, "inner": {"a": [1, 2]}, "text": "é"}, {"step": 3}
    append_json(path, first)
    start_of_last = path.stat().st_size
    append_json(path, last)
    whole = path.read_bytes()
    for end in range(start_of_last, len(whole) + 1):
        path.write_bytes(whole[:end])
        kept = [first] if end < len(whole) - 1 else [first, last]  # only its newline is missing: it is whole
        assert read_json_lines(path) == kept
        append_json(path, new)
        assert read_json_lines(path) == [*kept, new]
        assert path.read_bytes().count(b"\n") == len(kept) + 1


def test_zeros_that_a_power_cut_left_at_the_end_are_forgotten(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n\0\0\0\0\0')
    assert read_json_lines(path) == [{"step": 1}]


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b"", b"\xff", b'{"step": 2'])
def test_a_whole_line_that_is_no_record_is_an_error(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b"\n")
    with pytest.raises(FileError, match="metrics.jsonl: line 2"):
        read_json_lines(path)


def test_no_metrics_at_all(tmp_path):
    with pytest.raises(FileError, match="none.jsonl"):
        read_json_lines(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    assert read_json_lines(tmp_path / "empty.jsonl") == []


def test_the_module_stands_alone():
    """It runs without the package, as the tests above rely on; it needs NumPy alone."""
    assert "save_arrays" in runpy.run_path(files.__file__)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX's")
@pytest.mark.parametrize("use", [load_arrays, read_json_lines, lambda path: append_json(path, {"step": 1})])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
def test_what_is_no_file_is_neither_read_nor_written(tmp_path, use, kind):
    """Catches a process that waits for ever for a pipe's other end, or reads zeros until memory ends."""
    path = tmp_path / "metrics.jsonl"
    {
        "pipe": os.mkfifo,
        "device": lambda path: path.symlink_to("/dev/zero"),
        "folder": Path.mkdir,
        "link": lambda path: (os.mkfifo(tmp_path / "pipe"), path.symlink_to(tmp_path / "pipe")),
    }[kind](path)
    with pytest.raises(FileError, match=f"metrics.jsonl is a .*{'folder' if kind == 'folder' else 'pipe or a device'}"):
        use(path)
