"""A folder that one process holds."""

import os
import subprocess
import sys

import pytest

from tinytx.lock import is_locked, locked

HOLDER = "import sys; from tinytx.lock import locked\nwith locked(sys.argv[1]): print('held', flush=True); sys.stdin.read()"


def test_one_at_a_time(tmp_path):
    """Catches two holders at once, a lock that stays, and one that an error keeps."""
    with pytest.raises(KeyError), locked(tmp_path):
        with pytest.raises(ValueError, match=f"another run is writing into {tmp_path}: wait"), locked(tmp_path):
            pytest.fail("two hold it")
        raise KeyError
    with locked(tmp_path):
        pass


def test_others_see_whether_it_is_held(tmp_path):
    """Catches an answer that is always the same, a question that keeps the lock, and a folder that is gone."""
    for _ in range(2):
        assert not is_locked(tmp_path)
        with locked(tmp_path):
            assert is_locked(tmp_path)
    assert not is_locked(tmp_path / "gone")


def test_a_question_stops_nobody(tmp_path, monkeypatch):
    """Catches a run that does not begin because somebody asked at that moment whether it goes on."""
    from tinytx import lock

    handle = lock._open(tmp_path)
    assert lock._take(handle, shared=True)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: os.close(handle))
    with locked(tmp_path):
        pass


def test_other_folders_are_free(tmp_path):
    """Catches one lock for all."""
    (tmp_path / "inner").mkdir()
    with locked(tmp_path), locked(tmp_path / "inner"):
        pass


@pytest.mark.skipif(os.name == "nt", reason="on Windows there is a file .lock")
def test_it_leaves_no_trace(tmp_path):
    """Catches a file that stays, and that a kill would leave for somebody to remove."""
    with locked(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_kill_gives_it_back(tmp_path):
    """Catches a lock that outlives its process, so that nobody can go on with the run."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline().strip() == b"held"
        with pytest.raises(ValueError, match="another run"), locked(tmp_path):
            pytest.fail("two hold it")
        process.kill()
        process.wait()
    with locked(tmp_path):
        pass


@pytest.mark.skipif(os.name == "nt", reason="fcntl is POSIX's")
def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Catches a run that cannot begin on a network's file system."""
    from tinytx import lock

    def unable(handle, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", unable)
    with locked(tmp_path):
        pass
