"""Helpers that stay awake: they help, fall asleep, give way to other programs, and outlive forks, signals and the end of a program."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tinytx import workers
from tinytx.kernel import ASKED, AWAKE, HELPED, TAKEN, WAITED, WORDS
from tinytx.ops.few_rows import few_rows
from tinytx.workers import awake

pytest.importorskip("threadpoolctl")
compiled = pytest.mark.compiled
RNG = np.random.default_rng(0)
X, WEIGHT = RNG.normal(size=(1, 400)), RNG.normal(size=(400, 2000))
Y = few_rows(X, WEIGHT) if os.environ.get("NUMBA_DISABLE_JIT", "0") == "0" else None


def multiply_until(condition):
    """Multiply until the condition holds; end with an error if it does not within 20 seconds."""
    began = time.monotonic()
    while not condition():
        np.testing.assert_array_equal(few_rows(X, WEIGHT), Y)
        assert time.monotonic() - began < 20


@pytest.fixture
def helpers(monkeypatch):
    """Helpers of this test alone, which are never of no use."""
    helpers = awake.Helpers()
    monkeypatch.setattr(awake, "_helpers", helpers)
    monkeypatch.setattr(helpers, "may_help", lambda: True)
    with workers.use(workers.Pool(2)):
        yield helpers
    helpers.end()


@compiled
def test_a_helper_helps_falls_asleep_and_is_woken(helpers):
    with awake.use():
        multiply_until(lambda: helpers.words[HELPED] > 0 and helpers.words[WAITED] > 0)
        began = time.monotonic()
        while helpers.words[AWAKE]:
            time.sleep(1e-3)
            assert time.monotonic() - began < 20
        before = helpers.words[HELPED]
        multiply_until(lambda: helpers.words[HELPED] > before)
    assert [thread.name for thread in helpers._threads] == ["tinytx-helper"]


@compiled
def test_a_helper_that_is_asked_for_stays_awake():
    """Catches one that falls asleep after it was counted on: all the work that follows would be computed without it."""
    words, look = np.zeros(WORDS, np.int64), awake._seconds_of_a_look()
    thread = threading.Thread(target=awake._help, args=(words, int(0.1 / look)), daemon=True)
    thread.start()
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        words[ASKED] += 1
    assert words[AWAKE] == 1
    thread.join(60)
    assert words[AWAKE] == 0 and not thread.is_alive()


@compiled
def test_whoever_wants_helpers_asks_those_that_are_awake(helpers):
    with awake.use():
        before = int(helpers.words[ASKED])
        assert awake.words()[ASKED] == before + 1


@compiled
def test_outside_and_inside_a_worker_there_is_no_helper(helpers):
    """Catches helpers in training, where all processors have work."""
    assert awake.words().size == 0
    with awake.use():
        assert awake.words(False).size == 0
        assert awake.words() is helpers.words
        assert workers.map(lambda _: awake.words().size, range(2)) == [0, 0]
        assert awake.parts() == 2 and workers.map(lambda _: awake.parts(), range(2)) == [1, 1]
        helpers.may_help = lambda: False
        with awake.use():
            assert awake.words().size == 0 and awake.parts() == 2, "bits depend on whether a helper is awake"
        with workers.use(workers.Pool(1)), awake.use():
            assert awake.words().size == 0
        assert awake.words() is helpers.words
    assert awake.words().size == 0 and awake.parts() == 1


@compiled
def test_as_many_helpers_as_threads_but_four_in_all(helpers):
    with workers.use(workers.Pool(9)), awake.use():
        multiply_until(lambda: helpers.words[HELPED] > 0)
    assert len(helpers._threads) == awake.MOST - 1


@compiled
def test_several_threads_multiply_at_once(helpers):
    """Whoever comes second computes alone. Catches two jobs in the same words."""
    wrong = []

    def multiply():
        with workers.use(workers.Pool(2)), awake.use():
            wrong.extend(1 for _ in range(300) if not np.array_equal(few_rows(X, WEIGHT), Y))

    threads = [threading.Thread(target=multiply) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert helpers.words[TAKEN] == 0


@compiled
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_an_interruption_leaves_the_helper_as_it_was(helpers):
    """Ctrl-C comes between two products, wherever Python is."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for i in range(20):
            with pytest.raises(KeyboardInterrupt), awake.use():
                signal.setitimer(signal.ITIMER_REAL, 1e-3 * (1 + i / 7))
                while True:
                    few_rows(X, WEIGHT)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert helpers.words[TAKEN] == 0
    assert awake.words().size == 0
    with awake.use():
        before = helpers.words[HELPED]
        multiply_until(lambda: helpers.words[HELPED] > before)


@compiled
def test_an_interruption_while_helpers_start_leaves_none_that_nobody_ends(helpers, monkeypatch, heeds_ctrl_c):
    """Catches a thread that runs and is in no list: it may take the word to end that is meant for another, which is waited for for ever."""
    start, started = threading.Thread.start, []

    def interrupted(thread):
        start(thread)
        started.append(thread)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), awake.use():
        few_rows(X, WEIGHT)
    assert helpers._threads == started
    with awake.use():
        multiply_until(lambda: helpers.words[HELPED] > 0)
    assert helpers._threads == started and len(started) == 1


@pytest.mark.parametrize(("on_processor", "looks"), [(0.8, 0), (1.0, 300)])
def test_helpers_give_way_where_time_is_lost(monkeypatch, on_processor, looks):
    """Another program needs the processor of the thread that decodes, or that of a helper. Twice as long each time."""
    now = [0.0]
    monkeypatch.setattr(awake.time, "perf_counter", lambda: now[0])
    helpers = awake.Helpers()
    helpers._look = 1e-3
    for pause in (0.5, 1, 2, 4, 8, 16, 16):
        helpers.judge(awake.SPAN * 0.9, awake.SPAN * 0.9)
        assert helpers.may_help()  # that was too short to tell
        helpers.words[WAITED] += looks
        helpers.judge(1.0, on_processor)
        assert not helpers.may_help()
        now[0] += pause * 0.99
        assert not helpers.may_help()
        now[0] += pause * 0.02
        assert helpers.may_help()
    helpers.words[WAITED] += 200
    helpers.judge(1.0, 0.95)
    assert helpers.may_help()
    assert helpers._pause == awake.SHORTEST


def test_to_wait_for_other_threads_is_not_taken_for_time_without_a_processor(monkeypatch):
    """A prompt's large products are shared out; catches helpers that are of no use for a while behind it."""
    judged, both, decodes = [], threading.Barrier(2), threading.get_ident()
    monkeypatch.setattr(awake.Helpers, "judge", lambda _, *times: judged.append(times))
    monkeypatch.setattr(awake.Helpers, "may_help", lambda _: True)

    def work(_):
        both.wait()
        if threading.get_ident() != decodes:
            time.sleep(0.3)

    with workers.use(workers.Pool(2)), awake.use():
        time.sleep(0.05)
        workers.map(work, range(2))
    ((seconds, on_processor),) = judged
    assert on_processor < 0.05 <= seconds < 0.3


PROGRAM = """
import os, sys, threading, time
import numpy as np
from tinytx import workers
from tinytx.kernel import HELPED, is_plain
from tinytx.ops.few_rows import few_rows
x, weight = np.ones((1, 40)), np.ones((40, 70))
def multiply():
    with workers.use(workers.Pool(2)), workers.awake.use():
        for _ in range(200):
            assert (few_rows(x, weight) == 40).all()
"""
FORK = """
multiply()
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
workers.awake._helpers.may_help = lambda: True  # whatever else is running here
helped, ends = workers.awake.memory()[HELPED], time.monotonic() + 20
multiply()
while not is_plain() and workers.awake.memory()[HELPED] == helped:
    multiply()
    assert time.monotonic() < ends, "nobody helps"
"""


@pytest.mark.parametrize("plain", ["0", "1"])
@pytest.mark.parametrize(
    "rest",
    [
        "multiply()",
        pytest.param(FORK, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")),
        "import atexit\nmultiply()\natexit.register(multiply)\nthreading.Thread(target=multiply).start()",
    ],
    ids=["end", "fork", "at the end"],
)
def test_programs_end(rest, plain):
    """With a helper awake, after a fork, which takes no threads along, and while others still multiply; in plain Python, too."""
    program = PROGRAM.replace("range(200)", "range(2)") if plain == "1" else PROGRAM
    run = [sys.executable, "-W", "ignore", "-c", program + rest]
    done = subprocess.run(run, env=os.environ | {"NUMBA_DISABLE_JIT": plain}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
