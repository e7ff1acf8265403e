"""The loop of a run: what it logs, when it saves, and how it stops."""

import contextlib
import itertools
import signal
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tinytx.files import read_json_lines
from tinytx.training import fit, loop
from tinytx.training.trainer import NotFiniteError

BATCH = (np.zeros((2, 4), int),)


class Rates(SimpleNamespace):
    """An optimiser that only counts: the rate of the step 0, 1, ... that comes next is 0.1, 0.2, ..."""

    @property
    def learning_rate(self):
        return (self.t + 1) / 10

    def observe(self, loss):
        pass


class Counter:
    """A trainer that only counts: the loss of step t is 10 / t."""

    grad_norm, model, by_layer = 2.5, None, {}

    def __init__(self, t=0):
        self.optimizer = Rates(t=t)

    def step(self, *batch, **options):
        self.options = options
        self.optimizer.t += 1
        return 10 / self.optimizer.t


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run ``fit`` on a counter; what was saved, shown and closed is in ``run.saved`` and ``run.shown``."""

    def call(steps, start=0, batch=lambda step: BATCH, **options):
        trainer = call.trainer = Counter(start)
        settings = {"eval_every": 4, "log_every": 3, "evaluate": lambda: 0.5}
        settings["save"] = lambda: call.saved.append(trainer.optimizer.t)
        return fit(trainer, batch, steps=steps, out=tmp_path, **settings | options)

    call.saved, call.shown = [], []
    call.records = lambda: read_json_lines(tmp_path / loop.METRICS)
    shown = call.shown.append
    call.bar = SimpleNamespace(update=shown, say=shown, close=lambda: shown("closed"))
    monkeypatch.setattr(loop, "progress", lambda total, start: call.bar)
    call.path = tmp_path / loop.METRICS
    return call


def test_metrics_have_the_keys_that_fit_documents(run):
    """Catches a key renamed in the code alone, a rate or loss of the neighbouring step, and a step logged twice."""
    assert run(9) is True
    assert [record["step"] for record in run.records()] == [3, 4, 6, 8, 9]
    always = {"step", "train_loss", "learning_rate", "grad_norm", "tokens_per_second", "tokens", "seconds"}
    for record in run.records():
        assert set(record) == always | ({"val_loss"} if record["step"] % 4 == 0 else set())
        assert record["train_loss"] == 10 / record["step"] and record["learning_rate"] == record["step"] / 10
    for key in always | {"val_loss", "grad_norms", "update_ratios", "peak_memory"}:
        assert f"``{key}``" in fit.__doc__


def test_the_speed_is_that_of_the_steps_since_the_last_record(run, monkeypatch):
    """Catches tokens that are counted for one record and again for the next one, and a first step that counts."""
    ticks = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    run(9)
    assert [record["tokens_per_second"] for record in run.records()] == [8.0] * 5


def test_a_task_says_what_a_token_is(run, monkeypatch):
    """An image's tokens are its patches, not its pixels."""
    ticks = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    monkeypatch.setattr(Counter, "model", SimpleNamespace(n_tokens=lambda images: 3 * len(images)))
    run(9, batch=lambda step: (np.zeros((2, 4, 4, 1)), None))
    assert [record["tokens_per_second"] for record in run.records()] == [6.0] * 5


def test_what_a_run_took_is_counted_on(run):
    """Catches a run that goes on whose tokens and seconds begin at 0, or count steps twice that it takes again."""
    run(9)
    run(12, start=8)
    assert [record["tokens"] for record in run.records()] == [8 * step for step in (3, 4, 6, 8, 9, 12)]
    seconds = [record["seconds"] for record in run.records()]
    assert seconds == sorted(seconds) and seconds[0] > 0


@pytest.mark.parametrize("before", ["", '{"step": 3, "train_loss": 4.0}\n', '{"step": 3, "tokens": 24}\n'])
def test_what_a_run_of_before_took_is_not_guessed(run, before):
    """Catches tokens of a part of the run, written down as those of all of it."""
    run.path.write_text(before)
    run(9, start=5)
    assert not any("seconds" in record for record in run.records())


def test_layers_are_measured_where_it_is_due(run, monkeypatch):
    """Catches a copy of the weights in every step, a last step without it, and measures that nobody writes down."""
    watched, step = [], Counter.step

    def measured(counter, *batch):
        loss = step(counter, *batch)
        watched.append(counter.optimizer.t) if counter.watches else None
        counter.by_layer = {"grad_norms": {"a": 1.0}, "update_ratios": {"a": None}} if counter.watches else {}
        return loss

    monkeypatch.setattr(Counter, "step", measured)
    for evaluate in (lambda: 0.5, None):
        run(10, evaluate=evaluate)
        assert [record["step"] for record in run.records() if "update_ratios" in record] == [4, 8, 10]
        assert all(("grad_norms" in r) == ("peak_memory" in r) == ("update_ratios" in r) for r in run.records())
        assert all(r["peak_memory"] is None or r["peak_memory"] > 10**7 for r in run.records() if "peak_memory" in r)
        run.path.unlink()
    assert watched == 2 * [4, 8, 10]


def test_without_validation_it_saves_all_the_same(run):
    """Catches checkpoints that are left out where there is no validation, and a loss that nobody measured."""
    run(9, evaluate=None)
    assert run.saved == [4, 8, 9]
    assert not any("val" in text for text in run.shown)
    assert [set(record) & {"val_loss"} for record in run.records()] == [set()] * 3


def test_it_saves_at_evaluations_and_at_the_end(run):
    """Catches a last step that is not saved."""
    run(9)
    assert run.saved == [4, 8, 9]
    assert "step     4: train 2.5000, validation 0.5000" in run.shown
    assert run.shown[-1] == "closed"


def test_batches_are_asked_for_by_step(run):
    """Catches a resumed run that starts again with the first batch."""
    asked = []
    run(7, start=5, batch=lambda step: asked.append(step) or BATCH)
    assert asked == [5, 6]


def test_every_step_gets_the_state_of_a_run_that_has_one(run):
    state = object()
    run(2, state=state)
    assert run.trainer.options == {"state": state}
    run(2, start=0)
    assert run.trainer.options == {}


def test_a_resumed_run_replaces_the_records_it_takes_again(run):
    """Catches steps that stand twice in metrics.jsonl: those after the last checkpoint, and one torn by the kill."""
    run(9)
    with open(run.path, "a") as file:
        file.write('{"step": 12, "train_l')
    run(12, start=8)
    assert [(record["step"], record["train_loss"]) for record in run.records()] == [
        (step, 10 / step) for step in (3, 4, 6, 8, 9, 12)
    ]


@contextlib.contextmanager
def handled(number, handler):
    """Give a signal a handler for the length of a block."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", loop.STOPPING)
def test_a_signal_stops_after_a_whole_step_and_saves(run, number):
    """Catches half a step, a lost checkpoint, an evaluation that the user has to wait for, and handlers left behind."""

    def not_caught(number, frame):
        pytest.fail("the signal was not caught")

    with handled(number, not_caught):
        assert run(100, batch=lambda step: (signal.raise_signal(number) if step == 3 else None) or BATCH) is False
        assert signal.getsignal(number) is not_caught
    assert run.saved == [4]
    assert "val_loss" not in run.records()[-1]


@pytest.mark.parametrize("number", loop.STOPPING)
def test_a_signal_that_is_ignored_stays_so(run, number):
    """Catches a run that nohup started and that ends with its terminal, or that Ctrl-C for another command stops."""
    with handled(number, signal.SIG_IGN):
        assert run(9, batch=lambda step: (signal.raise_signal(number) if step == 3 else None) or BATCH) is True
        assert signal.getsignal(number) is signal.SIG_IGN


def test_a_second_ctrl_c_stops_at_once(run, heeds_ctrl_c):
    """Catches a run that cannot be stopped while a step or a save hangs."""

    def twice(step):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(100, batch=twice)
    assert run.saved == []
    assert run.shown == ["closed"]


@pytest.mark.parametrize("first", loop.STOPPING)
@pytest.mark.parametrize("second", [number for number in loop.STOPPING if number != signal.SIGINT])
def test_a_second_signal_of_another_kind_changes_nothing(run, first, second):
    """Catches a batch system's second signal, or a shell's, that ends the process while it saves."""

    def both(step):
        signal.raise_signal(first)
        signal.raise_signal(second)
        return BATCH

    def not_caught(number, frame):
        pytest.fail("the signal was not caught")

    with handled(first, not_caught), handled(second, not_caught):
        assert run(100, batch=both) is False
    assert run.saved == [1]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm here")
def test_a_second_signal_may_interrupt_the_first_ones_handler(run):
    """Catches a handler that waits for ever for a lock which the one that it interrupts has taken; a batch system sends several at once."""

    def hangs(number, frame):
        raise TimeoutError("no end after 10 s")

    def second(frame, event, argument):
        signal.raise_signal(signal.SIGTERM)  # before each line of the handler, and of what it calls
        return second

    def both(step):
        traced = sys.gettrace()
        sys.settrace(second)
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            sys.settrace(traced)
        return BATCH

    with handled(signal.SIGHUP, hangs), handled(signal.SIGTERM, hangs), handled(signal.SIGALRM, hangs):
        signal.alarm(10)
        try:
            assert run(100, batch=both) is False
        finally:
            signal.alarm(0)
    assert run.saved == [1]


def test_a_failing_step_closes_the_bar_and_keeps_the_old_checkpoint(run, monkeypatch):
    """Catches an error message that ends up on the bar's own line, and weights of half a step in a checkpoint."""

    def fails(counter, *batch):
        counter.optimizer.t += 1
        if counter.optimizer.t == 6:
            raise ArithmeticError("not finite")
        return 1.0

    monkeypatch.setattr(Counter, "step", fails)
    with pytest.raises(ArithmeticError):
        run(100)
    assert run.saved == [4]
    assert run.shown[-1] == "closed"


def fails_at(step, error):
    """Return a function of the step that raises there."""

    def batch(t):
        if t == step:
            raise error
        return BATCH

    return batch


@pytest.mark.parametrize("error", [MemoryError(), BrokenPipeError(), OSError(28, "No space left"), ValueError("a bug")])
@pytest.mark.parametrize("place", ["batch", "evaluate", "update", "say"])
def test_an_error_between_steps_saves_the_last_whole_one(run, error, place):
    """Catches steps that are lost because memory ends in a validation, or because nobody reads the progress any more."""

    def fails(*_, **__):
        raise error

    with pytest.raises(type(error)) as caught:
        if place == "batch":
            run(100, batch=fails_at(6, error), eval_every=50)
        elif place == "evaluate":
            run(100, evaluate=fails, eval_every=6)
        else:
            setattr(run.bar, place, fails)
            run(100, eval_every=6 if place == "say" else 50)
    assert caught.value is error
    assert run.saved == [1 if place == "update" else 6]
    assert run.shown[-1] == "closed"


def test_a_loss_that_is_not_finite_is_not_saved(run):
    """Catches weights of a model that diverged, written over the last good ones."""
    with pytest.raises(NotFiniteError):
        run(100, batch=fails_at(6, NotFiniteError("NaN")), eval_every=4)
    assert run.saved == [4]


def test_a_disk_that_is_full_is_not_tried_twice(run):
    """Catches a second error that hides the first."""
    with pytest.raises(OSError, match="first"):
        run(100, save=lambda errors=iter([OSError("first"), OSError("second")]): fails_at(0, next(errors))(0))


def test_outside_the_main_thread(run):
    """Catches signal.signal, which only the main thread may call: a notebook or a server may train in another."""
    results = []
    thread = threading.Thread(target=lambda: results.append(run(5)))
    thread.start()
    thread.join()
    assert results == [True]


def test_nothing_left_to_do(run):
    """Catches a step too many, or a division by zero, where all steps have been taken."""
    assert run(5, start=5) is True
    assert run.shown == ["closed"]
