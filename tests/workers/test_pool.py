"""The trainer's threads: results in order, and an error that waits for the other calls."""

import threading
import time

import pytest

from tinytx.workers import Pool, machine, processors

threadpoolctl = pytest.importorskip("threadpoolctl")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_are_in_the_order_of_the_calls(count):
    assert Pool(count).map(lambda a, b: (a, b), range(50), range(50, 100)) == list(zip(range(50), range(50, 100)))


def test_no_calls():
    assert Pool(2).map(str, []) == []


@pytest.mark.parametrize("here", [True, False])
def test_an_error_waits_for_the_other_calls(here):
    """Catches one that is raised while another thread still writes: in the calling thread, and in one of the pool's."""
    both, ended = threading.Barrier(2, timeout=10), []

    def call(number):
        both.wait()  # each thread has one of the two
        if (threading.current_thread() is threading.main_thread()) == here:
            raise ValueError(f"call {number}")
        time.sleep(0.1)
        ended.append(number)

    with pytest.raises(ValueError, match="call"):
        Pool(2).map(call, range(2))
    assert len(ended) == 1


def test_after_an_error_no_call_is_begun():
    """Catches Ctrl-C that seems dead, since the other threads make all the calls that are left."""
    both, begun = threading.Barrier(2, timeout=10), []

    def call(number):
        begun.append(number)
        if number < 2:
            both.wait()
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        Pool(2).map(call, range(50))
    assert len(begun) < 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_calls_inside_calls_inside_calls(count):
    """Catches a thread that waits for one that is never begun."""
    workers, found = Pool(count), []

    def nested(depth):
        return 1 if not depth else sum(workers.map(lambda _: nested(depth - 1), range(4)))

    thread = threading.Thread(target=lambda: found.append(nested(3)), daemon=True)
    thread.start()
    thread.join(20)
    assert found == [4**3]


# ------------------------------------------------------------------------------------------------ BLAS


def blas_threads():
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture
def two_blas_threads():
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        yield blas_threads()


def test_two_trainers_in_two_threads_leave_blas_as_they_found_it(two_blas_threads):
    """Catches a limit of the whole process that one takes back while the other needs it, and sets again for good."""
    one, two = Pool(1), Pool(1)
    begun, ended = threading.Event(), threading.Event()

    def first(_):
        begun.set()
        ended.wait(10)  # until the other, which begins later, is done

    thread = threading.Thread(target=lambda: one.map(first, [0]))
    thread.start()
    begun.wait(10)
    assert two.map(lambda _: blas_threads(), [0]) == [[1] * len(two_blas_threads)]
    assert blas_threads() == [1] * len(two_blas_threads)  # the first still works
    ended.set()
    thread.join()
    assert blas_threads() == two_blas_threads


def test_overlapping_limits(two_blas_threads):
    """Catches an order of ends that is not the reverse of the beginnings': A, B, then A ends, then B."""
    one, two = Pool(1).one_blas_thread(), Pool(1).one_blas_thread()
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    assert blas_threads() == [1] * len(two_blas_threads)
    two.__exit__(None, None, None)
    assert blas_threads() == two_blas_threads


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_gives_blas_its_threads_back(two_blas_threads, error):
    def call(_):
        raise error

    with pytest.raises(error):
        Pool(2).map(call, range(5))
    assert blas_threads() == two_blas_threads


def test_many_threads_at_once(two_blas_threads):
    """Catches a count that two threads change at a time."""
    workers = [Pool(1) for _ in range(4)]

    def work(own):
        for _ in range(200):
            own.map(lambda i: i, range(2))

    threads = [threading.Thread(target=work, args=(own,)) for own in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blas_threads() == two_blas_threads


# ------------------------------------------------------------------------------------------------ processors


@pytest.fixture
def eight(monkeypatch):
    """A machine of eight processors where nothing else is said."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHON_CPU_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_quotas", lambda: [])


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHON_CPU_COUNT"])
@pytest.mark.parametrize(
    "value, expected", [("1", 1), ("3", 3), (" 2 ", 2), ("4,2", 4), ("64", 8), ("", 8), ("0", 8), ("-1", 8), ("x", 8),
                        ("1.5", 8), ("default", 8), ("²", 8), ("9" * 5000, 8)]
)  # fmt: skip
def test_variables_that_say_how_many_threads(eight, monkeypatch, name, value, expected):
    monkeypatch.setenv(name, value)
    assert processors() == expected
    assert Pool().count == expected


def test_the_smallest_counts(eight, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert processors() == 3
    monkeypatch.setattr(machine, "_quotas", lambda: [2, 4])
    assert processors() == 2
    monkeypatch.setattr(machine, "_quotas", lambda: [0])  # half a processor
    assert processors() == 1
    assert Pool(3).count == 3  # asked for


def groups_of(tmp_path, lines, files):
    """The files of a system's control groups, in a folder."""
    (tmp_path / "cgroup").write_text("".join(f"{line}\n" for line in lines))
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text + "\n")
    return list(machine._quotas(tmp_path / "fs", tmp_path / "cgroup"))


@pytest.mark.parametrize(
    "lines, files, expected",
    [
        (["0::/"], {"cpu.max": "150000 100000"}, [1]),  # inside a container
        (["0::/user/app"], {"user/app/cpu.max": "max 100000", "user/cpu.max": "300000 100000"}, [3]),  # of a parent
        (["0::/a"], {"a/cpu.max": "max 100000"}, []),
        (["0::/a"], {"a/cpu.max": "nonsense"}, []),
        (["3:cpu,cpuacct:/docker/1"], {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, [2]),
        (["3:cpu:/"], {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, []),
        (["4:cpuset:/"], {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, []),
        (["no such", "0::/"], {}, []),
    ],
)
def test_quotas_of_control_groups(tmp_path, lines, files, expected):
    """Catches four threads where a container has the time of one processor: each waits for the others."""
    assert groups_of(tmp_path, lines, files) == expected


def test_no_control_groups(tmp_path):
    assert list(machine._quotas(tmp_path, tmp_path / "missing")) == []
