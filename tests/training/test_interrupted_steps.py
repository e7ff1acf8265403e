"""Ctrl-C at any moment of a step: nothing hangs, nothing is half done, BLAS gets its threads back."""

import contextlib
import os
import signal
import threading
import time

import numpy as np
import pytest

from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import AdamW, Trainer
from tinytx.workers import Pool, interruption
from tinytx.workers.interruption import held_back

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that send signals")
threadpoolctl = pytest.importorskip("threadpoolctl")


def interrupt(number, frame):
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def handlers():
    """Ctrl-C and the timer raise KeyboardInterrupt, however the tests were started; afterwards all is as before."""
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGALRM, signal.SIGINT)}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in before:
        assert signal.getsignal(number) is interrupt
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt_a_step(number, frame):
    """Raise if the main thread is inside ``Trainer.step``, and not in the test itself."""
    while frame is not None and frame.f_code is not Trainer.step.__code__:
        frame = frame.f_back
    if frame is not None:
        raise KeyboardInterrupt


def blas_threads():
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


def new_trainer(seed=0, threads=2):
    config = GPTConfig(vocab_size=11, max_len=8, d_model=16, n_heads=2, n_layers=2, dropout=0.2)
    model = NextToken(GPT(config, rng=np.random.default_rng(seed)))
    return Trainer(model, AdamW(model, 1e-2), threads=threads)


def batch_of(step):
    return np.random.default_rng(step).integers(11, size=(2, 4, 8))


def state(trainer):
    arrays = {**trainer.model.state_dict(), **trainer.optimizer.state_dict()}
    return {name: array.tobytes() for name, array in arrays.items()}


@contextlib.contextmanager
def watched(seconds=60):
    """End the test by an error, and with traces, where it hangs."""
    import faulthandler

    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("every", [0.0, 0.0007])
def test_interrupted_at_any_moment_a_step_is_whole_or_was_not(threads, every):
    """Catches threads that wait for a lock of the interrupted one, BLAS that stays limited, and half an update.

    The timer raises once in each step, or again and again. Whatever the moment, the steps that were taken lead where
    they lead without interruption.
    """
    trainer, straight, before = new_trainer(threads=threads), new_trainer(threads=threads), blas_threads()
    trainer.step(*batch_of(0))
    straight.step(*batch_of(0))
    signal.signal(signal.SIGALRM, interrupt_a_step)
    rng, interrupted = np.random.default_rng(0), 0
    with watched():
        for _ in range(150):
            t = trainer.optimizer.t
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, 6e-3), every)
            try:
                trainer.step(*batch_of(t))
            except KeyboardInterrupt:
                interrupted += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert blas_threads() == before
            assert signal.getsignal(signal.SIGALRM) is interrupt_a_step
    signal.signal(signal.SIGALRM, interrupt)
    assert interrupted > 30
    for step in range(1, trainer.optimizer.t):
        straight.step(*batch_of(step))
    assert state(trainer) == state(straight)


def test_an_interrupted_step_that_has_not_updated_changes_nothing():
    """Catches Ctrl-C during backward that waits for the update, too, and one that is lost."""
    trainer = new_trainer()
    before, norm = state(trainer), trainer._norm

    def norm_and_ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)
        return norm()

    trainer._norm = norm_and_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        trainer.step(*batch_of(0))
    assert state(trainer) == before


def test_an_interrupted_evaluation_ends_between_two_batches():
    """Catches Ctrl-C that is heeded after minutes, when all batches have been looked at."""
    trainer, seen = new_trainer(threads=2), []
    loss = trainer.model.loss

    def slow(*batch, **options):
        seen.append(batch)
        if len(seen) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        return loss(*batch, **options)

    trainer.model.loss = slow
    with watched(), pytest.raises(KeyboardInterrupt):
        trainer.evaluate([batch_of(0)] * 300)
    assert len(seen) < 60


def test_a_handler_that_does_not_raise_is_called_at_once():
    """Catches a flag, such as a training loop's, that is set too late."""
    called = []
    signal.signal(signal.SIGALRM, lambda number, frame: called.append(number))
    try:
        with held_back():
            os.kill(os.getpid(), signal.SIGALRM)
            assert called == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, interrupt)


def test_what_is_raised_waits_for_the_end_and_is_raised_once():
    with pytest.raises(KeyboardInterrupt):
        with held_back() as held:
            os.kill(os.getpid(), signal.SIGINT)
            with held_back() as inner:  # an inner block holds nothing of its own
                os.kill(os.getpid(), signal.SIGINT)
                inner.check()
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGINT)
            done = True
    assert done
    held.check()
    with held_back() as held:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            held.check()
    with pytest.raises(KeyboardInterrupt):  # and not the block's own error, of which it may be the cause
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError


def test_patience_has_an_end(monkeypatch):
    """Catches a call without end that nobody can leave."""
    monkeypatch.setattr(interruption, "PATIENCE", 0.05)
    with watched(20), pytest.raises(KeyboardInterrupt):
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                time.sleep(0.01)


def test_a_handler_that_was_changed_meanwhile_stays():
    """Catches the old handler put over one that the first signal has put in its place."""

    def other(number, frame):
        """Another handler."""

    with held_back():
        signal.signal(signal.SIGALRM, other)
    assert signal.getsignal(signal.SIGALRM) is other
    signal.signal(signal.SIGALRM, interrupt)


def test_calls_that_nobody_waited_for_are_waited_for_by_the_next(monkeypatch):
    """Catches threads of an interrupted step that add to the gradients of the next."""
    monkeypatch.setattr(interruption, "PATIENCE", 0.0)
    pool, both, ended = Pool(2), threading.Barrier(2, timeout=10), []

    def call(number):
        both.wait()
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            raise ValueError  # and now this thread waits for the other one, until it is interrupted twice
        time.sleep(0.3)
        ended.append(number)

    with watched(), pytest.raises(KeyboardInterrupt):
        pool.map(call, range(2))
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert not ended
    assert pool.map(lambda i: len(ended), range(2)) == [1, 1]


def test_other_threads_hold_nothing():
    found = []

    def work():
        with held_back():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [interrupt]
