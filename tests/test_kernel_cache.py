"""The machine code that is kept on disk: torn files are written anew, and a full disk is no error."""

import errno
import importlib.util

import numba
import numpy as np
import pytest
from numba.core import caching

from tinytx import compiler, kernel

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")

SOURCE = """
from tinytx.kernel import kernel

@kernel
def double(y, x):
    for i in range(x.size):
        y[i] = x[i] + x[i]

@kernel
def triple(y, x):
    for i in range(x.size):
        y[i] = x[i] + x[i] + x[i]
"""


class Folder:
    """A module with two kernels, and the folder that keeps their machine code."""

    def __init__(self, path):
        self.path, self.compiled = path / "kept", []
        self.source = path / "kernels_of_a_test.py"
        self.source.write_text(SOURCE)

    def run(self, name="double"):
        """Call a kernel as a new process would; return its result, which is checked, and whether it was compiled."""
        spec = importlib.util.spec_from_file_location("kernels_of_a_test", self.source)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.compiled.clear()
        x, y = np.arange(3.0), np.empty(3)
        getattr(module, name)(y, x)
        np.testing.assert_array_equal(y, {"double": 2, "triple": 3}[name] * x)
        return self.compiled == [name]

    def file(self, suffix):
        (file,) = self.path.rglob(f"*double*.{suffix}")
        return file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder.path))
    monkeypatch.setattr(kernel, "on_compile", folder.compiled.append)
    monkeypatch.setattr(compiler, "_warned", False)
    return folder


def test_machine_code_is_kept(folder):
    assert folder.run() and not folder.run()


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("part", ["nothing", "a hundred bytes", "half", "zeros at the end", "zeros"])
def test_a_torn_file_is_compiled_and_written_anew(folder, suffix, part):
    """Catches EOFError and UnpicklingError in this process and in every one after it."""
    assert folder.run()
    file = folder.file(suffix)
    whole = file.read_bytes()
    half = len(whole) // 2
    torn = {
        "nothing": b"",
        "a hundred bytes": whole[:100],
        "half": whole[:half],
        "zeros at the end": whole[:half] + bytes(len(whole) - half),
        "zeros": bytes(len(whole)),
    }
    file.write_bytes(torn[part])
    assert folder.run(), "machine code made of half a file"
    assert not folder.run(), "the torn file is still there"


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_missing_file_is_written_anew(folder, suffix):
    assert folder.run()
    folder.file(suffix).unlink()
    assert folder.run() and not folder.run()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_one_warning(folder, monkeypatch, number):
    """Catches a run that ends because its kernels cannot be kept, and a file that is left half written."""

    def refuse(path, mode="r", **options):
        if "w" in mode:
            with open(path, mode, **options) as file:
                file.write(b"half")
            raise OSError(number, "No room here")
        return open(path, mode, **options)

    monkeypatch.setattr(caching, "open", refuse, raising=False)
    with pytest.warns(RuntimeWarning, match=r"cannot be kept on disk \(No room here\).*NUMBA_CACHE_DIR") as record:
        assert folder.run()
        assert folder.run("triple")
    assert len(record) == 1
    monkeypatch.undo()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder.path))
    folder.run()  # whatever is there now is no harm


def test_a_folder_that_cannot_be_made_is_one_warning(folder, monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.warns(RuntimeWarning, match=r"cannot be kept on disk \(no folder") as record:
        folder.run()
    assert len(record) == 1
