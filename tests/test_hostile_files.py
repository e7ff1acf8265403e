"""Whatever a model file holds, load_arrays returns what save_arrays wrote or raises FileError."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from tinytx.files import FileError, load_arrays, save_arrays


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape, descr="<f8", write=np.lib.format.write_array_header_1_0):
    buffer = io.BytesIO()
    write(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


META = ("meta.json.npy", npy(np.frombuffer(b"{}", np.uint8)))
A = ("a.npy", npy(np.arange(3.0)))


def zipped(*members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_meta(content):
    return zipped(A, ("meta.json.npy", npy(np.frombuffer(content, np.uint8))))


def duplicates():
    with pytest.warns(UserWarning, match="Duplicate"):
        return zipped(META, A, A)


def patched(data, name, offset, layout, *values):
    """Return a zip with values written over the entry of ``name`` in the directory at its end."""
    start = data.rindex(name.encode()) - 46
    assert data[start : start + 4] == b"PK\1\2"
    data = bytearray(data)
    struct.pack_into(layout, data, start + offset, *values)
    return bytes(data)


def flipped(data, position):
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


GOOD = zipped(META, A, ("b.npy", A[1]))
FLAGS, SIZES, COMMENT, OFFSET = 8, 20, 32, 42  # where an entry of the directory has them

CASES = {
    "empty": (b"", "not a zip"),
    "text": (b"weights, honestly " * 1000, "not a zip"),
    "a pickle": (pickle.dumps({"a": np.zeros(3)}), "not a zip"),
    "a lone npy": (A[1], "not a zip"),
    "an empty zip": (zipped(), "no member 'meta.json'"),
    "no meta": (zipped(A), "no member 'meta.json'"),
    "a changed byte": (flipped(GOOD, GOOD.index(A[1]) + len(A[1]) - 5), "member 'a.npy': Bad CRC-32"),
    "objects": (zipped(META, ("a.npy", header((3,), "|O") + b"\0" * 24)), "member 'a.npy': dtype object"),
    "text array": (zipped(META, ("a.npy", npy(np.array(["a"])))), "dtype <U1"),
    "records": (zipped(META, ("a.npy", npy(np.zeros(2, "f4,i4")))), "expected booleans or numbers"),
    "a length too long": (zipped(META, ("a.npy", header((2**40,)) + b"\0" * 8)), "member 'a.npy': shape .* it has 136"),
    "a length beyond 64 bits": (zipped(META, ("a.npy", header((2**70,)))), "shape .* it has 128"),
    "a length too short": (zipped(META, ("a.npy", header((2,)) + b"\0" * 24)), "make 144 bytes, and it has 152"),
    "negative lengths": (zipped(META, ("a.npy", header((-1, -3)) + b"\0" * 24)), "shape .*-1, -3"),
    "zero times much": (zipped(META, ("a.npy", header((0, 2**70)))), "member 'a.npy'"),
    "too many axes": (zipped(META, ("a.npy", header((1,) * 500) + b"\0" * 8)), "member 'a.npy'"),
    "a header without end": (zipped(META, ("a.npy", b"\x93NUMPY\1\0\xff\xff{")), "member 'a.npy'"),
    "a nested header": (zipped(META, ("a.npy", b"\x93NUMPY\1\0" + struct.pack("<H", 9000) + b"(" * 9000)), "'a.npy'"),
    "code as a header": (zipped(META, ("a.npy", b"\x93NUMPY\1\0\x10\0" + b"exit()".ljust(16))), "member 'a.npy'"),
    "an unknown version": (zipped(META, ("a.npy", b"\x93NUMPY\x09" + A[1][7:])), "npy version .9, 0."),
    "no npy inside": (zipped(META, ("a.npy", b"short")), "member 'a.npy'"),
    "no npy name": (zipped(META, ("a.txt", A[1])), "member 'a.txt': not an array"),
    "a bomb": (zipped(META, ("a.npy", npy(np.zeros(2**21))), compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "a bomb in bzip2": (zipped(META, ("a.npy", npy(np.zeros(2**21))), compression=zipfile.ZIP_BZIP2), "is compressed"),
    "two of one name": (duplicates(), "two members are named 'a.npy'"),
    "two of one place": (patched(GOOD, "b.npy", OFFSET, "<L", GOOD.index(A[1]) - 35), "member 'b.npy' begins at byte"),
    "one over another": (patched(GOOD, "a.npy", SIZES, "<2L", 200, 200), "member 'b.npy' begins at byte"),
    "beyond the end": (patched(GOOD, "b.npy", SIZES, "<2L", 2**31, 2**31), "its members end at byte"),
    "a hidden member": (patched(GOOD, "a.npy", COMMENT, "<H", 1000), "its members end at byte"),
    "something before": (b"#!/bin/sh\n" + GOOD, "member 'meta.json.npy' begins at byte 10, expected 0"),
    "encrypted": (patched(GOOD, "a.npy", FLAGS, "<H", 1), "encrypted"),
    "broken JSON": (with_meta(b'{"a": '), "member 'meta.json': Expecting value"),
    "nested JSON": (with_meta(b"[" * 200_000), "member 'meta.json': .*recursion"),
    "JSON in latin-1": (with_meta(b'{"a": "\xe9"}'), "member 'meta.json': .*decode"),
    "a JSON list": (with_meta(b"[]"), "member 'meta.json': a JSON list, expected an object"),
    "an endless number": (with_meta(b'{"a": ' + b"9" * 10_000 + b"}"), "member 'meta.json': .*digits"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_raises_file_error_and_takes_no_memory(tmp_path, case):
    data, match = CASES[case]
    path = tmp_path / "model.npz"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=match) as caught:
            load_arrays(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value) and "restore the file" in str(caught.value)
    assert peak < 2**23


def test_the_zip_that_the_cases_spoil_is_good(tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(GOOD)
    arrays, meta = load_arrays(path)
    assert meta == {} and {name: list(array) for name, array in arrays.items()} == dict.fromkeys("ab", [0, 1, 2])


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_unpickled(tmp_path):
    path, proof = tmp_path / "model.npz", tmp_path / "proof"
    payload = np.empty(1, object)
    payload[0] = Payload(str(proof))
    path.write_bytes(zipped(META, ("a.npy", npy(payload))))
    with pytest.raises(FileError, match="dtype object|bytes"):
        load_arrays(path)
    assert not proof.exists()


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileError, match="none.npz"):
        load_arrays(tmp_path / "none.npz")
    with pytest.raises(FileError):
        load_arrays(tmp_path)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.npz"
    arrays = {"a.weight": np.arange(6, dtype=np.int16).reshape(2, 3)}
    save_arrays(path, arrays, {"step": 12})
    return path, arrays


def test_a_file_cut_anywhere_is_refused(saved):
    path, _ = saved
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(FileError):
            load_arrays(path)


@pytest.mark.parametrize("change", [0x01, 0xFF])
@pytest.mark.filterwarnings("ignore:invalid")  # Python's, about the escapes in a header's text
def test_a_file_with_any_byte_changed_is_refused_or_means_the_same(saved, change):
    path, arrays = saved
    data = path.read_bytes()
    refused = 0
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ change]) + data[position + 1 :])
        try:
            loaded, meta = load_arrays(path)
        except FileError:
            refused += 1
            continue
        assert meta == {"step": 12} and loaded.keys() == arrays.keys(), position
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert refused > len(data) / 2
