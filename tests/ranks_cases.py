"""Trainings that are to have the same bits on one machine and on several; as a program under mpirun it prints them as JSON."""

import hashlib
import json
import sys

import numpy as np

from tinytx.core import Layer, Parameter
from tinytx.models import GPT, CharRNN, CharRNNConfig, GPTConfig
from tinytx.state import State
from tinytx.tasks import NextToken
from tinytx.training import AdamW, Trainer
from tinytx.workers import ranks


class Uneven(Layer):
    """A loss of rows x (B, 3), whose labels say how often a row adds to the gradient, in steps that differ, by what way."""

    def __init__(self):
        self.often, self.written = Parameter(np.full(3, 0.5)), Parameter(np.ones(3))
        self.table = Parameter(np.ones((2000, 1)))

    def loss(self, x, times, tape=None, *, count=None):
        if tape is not None:
            tape.push(self, (x, times, self.count(x, times) if count is None else count))
        return float((x * self.often.data).sum() + (x * self.written.data).sum()) / (count or len(x))

    def loss_backward(self, tape):
        x, times, count = tape.pop(self)
        for n in range(times.max()):
            self.often.add_grad(x[times > n].sum(axis=0) / count)
        if times.sum() % 3:
            self.written.grad += (x**3).sum(axis=0) / count
        self.table.add_into_grad(lambda grad: np.add.at(grad, times, x[:, :1]))

    @staticmethod
    def count(x, times):
        return len(x)


def _tokens(step, vocab_size, rows=6, length=8):
    ids = np.random.default_rng([7, step]).integers(vocab_size, size=(rows, length + 1))
    return ids[:, :-1], ids[:, 1:]


def _gpt(vocab_size, **settings):
    config = GPTConfig(vocab_size=vocab_size, max_len=8, d_model=16, n_heads=2, n_layers=2, dropout=0.3, **settings)
    rng = np.random.default_rng(1)
    return NextToken(GPT(config, rng=rng), rng=rng), lambda step: _tokens(step, vocab_size), None


def _recurrent():
    config = CharRNNConfig(vocab_size=30, d_embedding=8, d_model=12, n_layers=2, dropout=0.2)
    rng = np.random.default_rng(1)
    return NextToken(CharRNN(config, rng=rng), rng=rng), lambda step: _tokens(step, 30), State()


def _shared():
    model, batch, _ = _gpt(30)
    model.body.blocks[1] = model.body.blocks[0]
    return model, batch, None


def _uneven():
    def batch(step):
        rng = np.random.default_rng([9, step])
        return rng.standard_normal((6, 3)), rng.integers(0, 1 + step % 4, size=6)

    return Uneven(), batch, None


CASES = {
    "a table smaller than the batch": lambda: _gpt(30, tied_head=False),
    "a tied table larger than the batch": lambda: _gpt(3000),
    "a table larger than the batch": lambda: _gpt(3000, tied_head=False),
    "shared blocks": _shared,
    "a state": _recurrent,
    "contributions that differ": _uneven,
}


def result(case, threads=1, accumulate=1, divide=False, steps=4):
    """Return what four steps of a case come to: losses, norms, a digest of weights, and one of moments, of the first rank."""
    model, batch, state = CASES[case]()
    optimizer = AdamW(model, 1e-2)
    if divide:
        optimizer.divide()
    trainer = Trainer(model, optimizer, clip=0.1, threads=threads, accumulate=accumulate, seed=5)
    numbers = []
    for step in range(steps):
        trainer.watches = step == 1
        numbers += [trainer.step(*batch(step), state=state), trainer.grad_norm]
    numbers += [trainer.evaluate([batch(step) for step in range(3)])] if state is None else []
    if optimizer.owners:
        rank, moments = ranks.current().rank, optimizer.state["v"]
        assert all(moments[name].any() == any(moments[name].strides) == (owner == rank) for name, owner in optimizer.owners.items())
    weights = model.state_dict() | (state.state_dict() if state else {})
    return [*map(float.hex, map(float, numbers)), _digest(weights), _digest(optimizer.state_dict())]


def _digest(arrays):
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]))
    return digest.hexdigest()


def main():
    """Print {case: result} of the first rank; all ranks must have it, but for moments that are divided."""
    from mpi4py import MPI

    threads, accumulate, divide = map(int, sys.argv[1:])
    with ranks.use(ranks.Ranks(MPI.COMM_WORLD)) as world:
        results = {case: result(case, threads, accumulate, divide) for case in CASES}
        world.check_same("results", [numbers[: -1 if divide else None] for numbers in results.values()])
        if world.is_first:
            print(json.dumps(results))


if __name__ == "__main__":
    main()
