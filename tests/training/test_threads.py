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
