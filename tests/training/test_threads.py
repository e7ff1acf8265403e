"""The trainer's threads: results in order, and an error that waits for the other calls."""

import threading
import time

import pytest

from tinytx.training.threads import Workers


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_are_in_the_order_of_the_calls(count):
    assert Workers(count).run(lambda a, b: (a, b), range(50), range(50, 100)) == list(zip(range(50), range(50, 100)))


def test_no_calls():
    assert Workers(2).run(str, []) == []


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
        Workers(2).run(call, range(2))
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
        Workers(2).run(call, range(50))
    assert len(begun) < 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_calls_inside_calls_inside_calls(count):
    """Catches a thread that waits for one that is never begun."""
    workers, found = Workers(count), []

    def nested(depth):
        return 1 if not depth else sum(workers.run(lambda _: nested(depth - 1), range(4)))

    thread = threading.Thread(target=lambda: found.append(nested(3)), daemon=True)
    thread.start()
    thread.join(20)
    assert found == [4**3]
