"""One training step on all processors: shards of the batch in threads, their gradients summed.

NumPy's products and our kernels release the interpreter lock, so a shard runs in an ordinary Python thread, with
BLAS held to one thread: the processors are shared out once, above the products, and not again inside each.
Shards use the same weights; each has a tape of its own, and hands its gradients over one by one (``shards.py``). Where
several machines train together (`tinytx.workers.ranks`), each takes its part of the shards. In small models a shard's forward and backward
are written down after a while, and made again by compiled code (``repeater.py``), and so are the sums of gradients (``sums.py``).
"""

import contextlib
import math
import zlib
from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.core import Tape, gradients_for
from tinytx.members import is_of_the_library
from tinytx.memory import keep_freed_memory
from tinytx.state import State
from tinytx.training.by_layer import Before, squares
from tinytx.training.exchange import Exchange
from tinytx.training.optimizers.groups import some
from tinytx.training.repeater import Repeater
from tinytx.training.shards import ShardParameter, close, share_gradients
from tinytx.training.sums import Together
from tinytx.workers import ranks
from tinytx.workers.interruption import held_back


class NotFiniteError(ArithmeticError):
    """A loss or a gradient is NaN or infinite; parameters and optimiser are as they were before the call."""


class Shard(NamedTuple):
    batch: tuple  # arrays with the shard's rows
    first_row: int  # of the shard, in the whole batch
    state: State | None  # of the shard's rows
    number: int = 0  # among the shards that are cut side by side, empty ones included


class Trainer:
    """Runs training steps of a model.

    The model has three methods: ``loss(*batch, tape=tape, count=n)`` returns its loss, a sum over targets divided by n;
    ``loss_backward(tape)`` adds the gradients; ``count(*batch)`` says what n is for a whole batch. To the trainer n is
    anything that adds up: a number, or an array of several where a loss has several parts, each with its own.

    Parameters
    ----------
    model : Layer
        With the three methods above: a task (`tinytx.tasks`), or a model of your own.
    optimizer : Optimizer
        Made for the same model.
    clip : float or None
        Largest global norm of the gradient; a larger gradient is scaled down to it. None or 0: no clipping.
    threads : int, optional
        Shards that run side by side; a batch of one row is a single shard, whose heads and large products they share.
        The default is `tinytx.workers.processors`, or 1 where threadpoolctl is missing; ranks on one machine share these.
    accumulate : int
        Parts that a batch is cut into, one after the other: the same gradient with a fraction of the memory.
    seed : int
        For dropout. Masks depend on seed, step and element alone, not on ``threads`` or ``accumulate``.

    Attributes
    ----------
    grad_norm : float
        Global norm of the last step's gradient, before clipping.
    n_shards : int
        Shards that run side by side on all ranks: a step has the bits of one with so many threads on one machine, if each
        rank has 1, 2, 4, ... threads; otherwise sums are cut in other pairs (`tinytx.training.shards`).
    exchange : Exchange, or None
        Adds up the gradients of several ranks (`tinytx.training.exchange`); another object with its methods may take its place.
    watches : bool
        Whether a step also measures each layer, which takes as long as the update itself and a copy of the weights;
        False at first, and free to be set before any step.
    by_layer : dict
        Of the last step: ``grad_norms`` and ``update_ratios`` (`tinytx.training.by_layer`), {path of a layer: number}; {}
        if it was not watched.

    Raises
    ------
    ValueError
        If a setting is out of range, or the optimiser was made for another model; if ranks differ in their weights or threads.

    Notes
    -----
    Ctrl-C inside `step` or `evaluate` waits until the threads have come to an end: a step that it interrupts is either
    whole, or has changed nothing but the gradients. Pressed again after two seconds, it waits no longer.
    """

    def __init__(self, model, optimizer, *, clip=1.0, threads=None, accumulate=1, seed=0):
        if threads is not None and threads < 1 or accumulate < 1:
            raise ValueError(f"Trainer: threads is {threads} and accumulate {accumulate}, expected at least 1")
        if clip is not None and not clip >= 0:
            raise ValueError(f"Trainer: clip is {clip}, expected a positive number, or None for no clipping")
        optimizer.check_model("Trainer", model)
        self.model, self.optimizer, self.clip, self.accumulate, self.seed = model, optimizer, clip, accumulate, seed
        self._checked, self._hands_over = optimizer, all(is_of_the_library(layer) for _, layer in model.named_layers())
        keep_freed_memory()
        self._ranks = ranks.current()
        self._pool = workers.Pool(self._ranks.threads(workers.Pool().count) if threads is None else threads)
        self.threads = self._pool.count
        self.n_shards = self.threads * self._ranks.size
        self._ranks.check_same("Trainer: threads", self.threads)
        self._check_weights()
        self.exchange = Exchange(self._ranks, optimizer.named) if self._ranks.size > 1 else None
        self._models = [model.replicate(ShardParameter) for _ in range(self.threads)]
        self._parameters = [dict(each.named_parameters()) for each in self._models]
        self._repeaters = [Repeater(copy, own.values(), model) for copy, own in zip(self._models, self._parameters, strict=True)]
        self._together = Together(optimizer.named, self._repeaters, self._parameters)
        self.grad_norm, self.watches, self.by_layer, self._squares_of_sums = math.nan, False, {}, None

    def step(self, *batch, state=None):
        """Take one step on a batch: forward, backward, clip, update.

        Parameters
        ----------
        *batch : arrays whose first axis is the batch's rows
            What the model's ``loss`` takes: for `tinytx.tasks.NextToken`, ids and targets (B, T).
        state : State, optional
            What the model remembers of earlier steps: truncated backpropagation, as no gradient goes through it. The
            model's ``loss`` takes it, each shard's with the shard's rows; afterwards it holds what this step left.

        Returns
        -------
        float
            The loss before the step.

        Raises
        ------
        TypeError
            If the batch is no arrays.
        ValueError
            If they have unequal numbers of rows, or none, or fewer than ranks; if ranks have different ones; if no target counts; if the optimiser is
            another model's; if a learning rate is not finite or negative; if a parameter gets a gradient that
            ``named_parameters`` does not list.
        NotFiniteError
            If loss or gradient are not finite. After any of these errors parameters, optimiser and state are as before.
        """
        place = f"Trainer: step {self.optimizer.t}"
        if self.optimizer is not self._checked:
            self.optimizer.check_model(place, self.model)
            self._checked = self.optimizer
        _check_rows(place, batch)
        self._check_ranks(place, len(batch[0]))
        self._check_batches(place, batch)
        count = self.model.count(*batch)
        _check_count(place, count)
        self.optimizer.learning_rates()  # looks at them, before anything is computed
        with held_back() as interruption, workers.use(self._pool), self.optimizer.resting():
            self.optimizer.zero_grad()
            loss, states = self._gradients(Shard(batch, 0, state), count)
            self.grad_norm = self._norm()
            if not math.isfinite(loss + self.grad_norm):
                facts = f"loss is {loss}, gradient norm {self.grad_norm}; this step was not taken"
                raise NotFiniteError(f"{place}: {facts}. {self._remedy()}")
            scale = min(1.0, self.clip / (self.grad_norm + 1e-6)) if self.clip else 1.0
            before = Before({n: p for n, p in self.optimizer.named.items() if not p.frozen}) if self.watches else None
            interruption.check()
            self.optimizer.step(scale=scale)
            if state is not None:
                state.join(states)
            self.by_layer = before.to_now() if before else {}
        return loss

    def evaluate(self, batches, *, update=None):
        """Return the mean loss per target over ``batches``, each a tuple as for `step`; no gradients, no dropout.

        Parameters
        ----------
        batches : iterable of tuples of arrays
        update : function (), optional
            Called after each batch, in any thread.

        Raises
        ------
        TypeError, ValueError
            If there are no batches, or no targets in all of them; if a batch cannot be one, as for `step`.
        NotFiniteError
            If it is not finite, so that no checkpoint of such a model takes the place of a good one.
        """
        batches = list(batches)  # they are gone through twice
        place = "Trainer: evaluate"
        if not batches:
            raise ValueError(f"{place}: there are no batches, expected at least one to take the mean loss of")
        for number, batch in enumerate(batches):
            _check_rows(f"{place}: batch {number}", batch)
        count = sum(self.model.count(*batch) for batch in batches)
        _check_count(place, count)

        def loss_of(batch):
            loss = self.model.loss(*batch, count=count)
            if update is not None:
                update()
            return loss

        self._check_weights()
        self._check_batches(place, *batches)
        with self.measuring():
            loss = math.fsum(workers.each(loss_of, batches))  # exact, whatever the order
        if not math.isfinite(loss):
            facts = f"after step {self.optimizer.t} the validation loss is {loss}"
            raise NotFiniteError(f"Trainer: {facts}. {self._remedy()}")
        return loss

    @contextlib.contextmanager
    def measuring(self):
        """Return a context for `tinytx.workers.each`: with this trainer's threads and ranks, and the weights that count at the end."""
        with ranks.use(self._ranks), workers.use(self._pool), self.optimizer.averaged():
            yield

    def _remedy(self):
        """Return what may help where a loss is not finite."""
        spoilt = [name for name, p in self.optimizer.named.items() if not np.isfinite(p.data).all()]
        if spoilt:
            return f"Not finite are already {some(spoilt)}: go back to a checkpoint or to other initial values"
        return "All parameters are finite: a smaller learning rate or clipping may help"

    def _check_weights(self):
        """Raise ValueError unless all ranks have the same weights after the same step."""
        if self._ranks.size > 1:
            sums = [zlib.crc32(np.ascontiguousarray(parameter.data)) for parameter in self.optimizer.named.values()]
            name = f"Trainer: step {self.optimizer.t}: checksum of the weights"
            self._ranks.check_same(name, (self.optimizer.t, zlib.crc32(np.array(sums))))

    def _check_batches(self, place, *batches):
        """Raise ValueError unless all ranks have the same batches."""
        if self._ranks.size > 1:
            sums = [zlib.crc32(np.ascontiguousarray(array)) for batch in batches for array in batch]
            self._ranks.check_same(f"{place}: checksum of the batch", zlib.crc32(np.array(sums)), "draw batches by seed and step alone")

    def _check_ranks(self, place, n_rows):
        """Raise ValueError where a rank would have no row of a batch."""
        n, parts = self._ranks.size, min(self.accumulate, n_rows)
        if n > 1 and n_rows // parts < n:
            cut = f" in {parts} parts" if parts > 1 else ""
            raise ValueError(f"{place}: the batch has {n_rows} rows{cut} for {n} ranks, expected at least one for each: start fewer")

    def _gradients(self, whole, count):
        """Leave the gradient of the batch's loss in the model's parameters; return the loss, and the shards' states."""
        losses, states = [], []
        for part in _split(whole, self.accumulate):
            shards = [shard for shard in _split(part, self.n_shards) if shard.number // self.threads == self._ranks.rank]
            if self.exchange is not None:
                done = self._exchanged(shards, count)
            elif len(shards) < 2:  # its operations have all workers
                with workers.awake.use():
                    done = self._side_by_side(shards, count) if self._repeaters[0].stands_for_its_original() else self._as_it_is(shards, count)
            else:
                done = self._side_by_side(shards, count)
            left = [] if whole.state is None else [shard.state.state_dict() for shard in shards]
            for own, arrays in self._ranks.gather((done, left)):
                losses += own
                states += map(State.of, arrays)
        return math.fsum(losses), states

    def _as_it_is(self, shards, count):
        """Return the losses of one shard, or none, whose gradients go into the model's own parameters."""
        return [self._shard(self.model, self.optimizer.named.values(), shard, count)[0] for shard in shards]

    def _exchanged(self, shards, count):
        """Return the losses of this rank's shards; the sum of gradients is that over all ranks."""
        self.exchange.begin()
        try:
            losses = self._side_by_side(shards, count, self.exchange.offer)
        except BaseException:
            self.exchange.abandon()
            raise
        sums = self.exchange.finish()
        for total in self._totals:
            total.take(sums.get(total.name, {}))
        return losses

    def _side_by_side(self, shards, count, offer=None):
        """Return the losses of shards, whose gradients are summed while they run."""
        own = [self._parameters[i] for i in range(len(shards))]
        numbered = {shard.number % self.threads: parameters for shard, parameters in zip(shards, own)}
        options = {"size": self.threads, "n_shards": self.n_shards if offer or len(shards) > 1 else 1, "offer": offer, "hands_over": self._hands_over}
        batches = [shard.batch for shard in shards if offer is None and self.accumulate == 1 and shard.state is None]
        losses, self._squares_of_sums = self._together.step(batches, count)
        if losses:
            return losses
        self._totals = share_gradients(self.optimizer.named, numbered, **options)
        known = [[*self.optimizer.named.values(), *parameters.values()] for parameters in own]

        def loss(repeater, model, known, shard):
            def ordinary(*batch):
                return self._shard(model, known, shard._replace(batch=batch), count)

            return repeater.loss(ordinary, shard.batch, count, offer is not None) if shard.state is None else ordinary(*shard.batch)[0]

        losses = workers.map(loss, self._repeaters, self._models, known, shards)
        close(self._totals)
        self._together.look(batches, count, numbered, options["size"], options["n_shards"])
        return losses

    def _shard(self, model, known, shard, count):
        """Return a shard's loss, and its tape; the gradients go into the parameters."""
        tape = Tape(seed=self.seed, step=self.optimizer.t, first_row=shard.first_row)
        remembered = {} if shard.state is None else {"state": shard.state}
        loss = model.loss(*shard.batch, tape=tape, count=count, **remembered)
        with gradients_for(known):
            model.loss_backward(tape)
        tape.check_empty()
        return loss, tape

    def _norm(self):
        """Return the global norm of the gradient: parameters in their own order, whatever thread did which."""
        trained, known, self._squares_of_sums = [p for p in self.optimizer.named.values() if not p.frozen], self._squares_of_sums, None
        return math.sqrt(math.fsum(known or workers.map_grouped(lambda p: squares(p.grad), trained, lambda p: p.data.size)))


def _split(shard, parts):
    """Cut a shard's rows into as many shards of nearly equal size, leaving out empty ones."""
    n_rows = len(shard.batch[0])
    edges = [n_rows * i // parts for i in range(parts + 1)]
    return [
        Shard(
            tuple(array[start:stop] for array in shard.batch),
            shard.first_row + start,
            shard.state and shard.state.part(start, stop),
            number,
        )
        for number, (start, stop) in enumerate(zip(edges, edges[1:]))
        if start < stop
    ]


def _check_rows(place, batch):
    """Raise TypeError or ValueError unless a batch is arrays of one number of rows, at least 1."""
    kinds = ", ".join(type(array).__name__ for array in batch)
    try:
        n_rows = {len(array) for array in batch}
    except TypeError:  # None, a number, an array without axes
        raise TypeError(f"{place}: the batch is ({kinds}), expected arrays whose first axis is the batch's rows") from None
    if not n_rows:
        raise TypeError(f"{place}: the batch has no arrays, expected what the model's loss takes")
    if len(n_rows) > 1:
        rows = ", ".join(str(len(array)) for array in batch)
        raise ValueError(f"{place}: the batch's arrays have {rows} rows, expected one number for all")
    if n_rows == {0}:
        raise ValueError(f"{place}: the batch has no rows")


def _check_count(place, count):
    """Raise ValueError unless a number of targets is finite, and above 0: the loss is a mean over them."""
    if not (count > 0 if isinstance(count, int) else (np.isfinite(count) & np.greater_equal(count, 0)).all() and np.any(count)):
        raise ValueError(f"{place}: by the model's count there are {count} targets, expected at least one to take the mean loss of")
