"""Mistakes in what a training run is made of: gradients, optimisers, schedules, files."""

TABLE = {
    "parameter.py": [
        ("the second contribution is added into an array of the caller's",
         "dparameter if fresh else dparameter.copy()", "dparameter"),
        ("an embedding's gradient is added into an array of the caller's",
         "if not self._owned or not grad.flags.c_contiguous:", "if not grad.flags.c_contiguous:"),
    ],
    "members.py": [
        ("a dict is not walked", "elif isinstance(thing, dict):", "elif isinstance(thing, dict) and False:"),
        ("two parameters of one path: the last remains", "if path in paths:", "if False:"),
    ],
    "workers/interruption.py": [
        ("Ctrl-C is lost", "        held.check()", "        pass"),
        ("a handler that was put in place meanwhile is lost",
         "if signal.getsignal(number) == self._handle:", "if True:"),
    ],
    "core.py": [
        ("every step draws the same dropout masks",
         "{self.seed} {self.step} {self.sites}", "{self.seed} {self.sites}"),
        ("an array that two layers keep is counted twice",
         "counted |= {id(_owner(array)) for _, array in arrays}", "pass"),
        ("a transposed weight is found out half-way through loading",
         "if np.shape(arrays[path]) != shapes[path]", "if np.size(arrays[path]) != np.prod(shapes[path])"),
        ("a thread's copy has weights of its own", "parameter(shared.data) for", "parameter(shared.data.copy()) for"),
        ("texts are loaded as weights", '.kind not in "fiu"', '.kind not in "fiuUS"'),
        ("two layers of one class may pop each other's entries",
         "if last is not layer:", "if type(last) is not type(layer):"),
    ],
    "files.py": [
        ("bytes behind an array are not noticed", "or claimed != info.file_size", "or claimed > info.file_size"),
        ("a member that the directory hides is not noticed",
         "if end != archive.start_dir:", "if end > archive.start_dir:"),
        ("an infinite loss stops the run when it is written down",
         "not math.isfinite(value) else value", "math.isnan(value) else value"),
        ("mending a torn line joins the two before it",
         "file.truncate(size - len(last))", "file.truncate(size - len(last) - 1)"),
        ("a broken line's number is one too small", "enumerate(lines, start=1)", "enumerate(lines)"),
        ("a failed write leaves its temporary file", "temporary.unlink(missing_ok=True)", "pass"),
        ("files of the user's that begin like a temporary one are removed",
         "_TEMPORARY.fullmatch(path.name)", "_TEMPORARY.match(path.name)"),
        ("a symbolic link is replaced by the file", "Path(os.path.realpath(path))", "Path(path)"),
    ],
    "training/trainer.py": [
        ("small gradients are blown up to the clipping norm",
         "min(1.0, self.clip / (self.grad_norm + 1e-6))", "self.clip / (self.grad_norm + 1e-6)"),
        ("a gradient that is not finite is let through",
         "math.isfinite(loss + self.grad_norm)", "math.isfinite(loss)"),
        ("shards read the state of other rows", "shard.state.part(start, stop)", "shard.state.part(0, stop - start)"),
        ("parts of an accumulated batch draw each other's dropout", "shard.first_row + start,", "start,"),
        ("every step draws the same dropout masks", "step=self.optimizer.t, first_row", "first_row"),
        ("rows that do not divide evenly are left out", "n_rows * i // parts", "n_rows // parts * i"),
        ("a validation loss is the sum of the batches' means",
         "self.model.loss(*batch, count=count)", "self.model.loss(*batch)"),
    ],
    "training/shards.py": [
        ("what a layer writes into grad by itself is lost in threads",
         "if shard.has_grad:", "if shard.has_grad and False:"),
        ("threads go on with the weights of before somebody assigned others", "shard.data = parameter.data", "pass"),
        ("shards are summed up last first",
         "self._given[shard] * len(self._shards) + shard",
         "self._given[shard] * len(self._shards) + len(self._shards) - 1 - shard"),
    ],
    "workers/pool.py": [
        ("an error in a thread is lost", "other.result()", "pass"),
        ("a worker shares out its own work again", "_in_use.set(_SERIAL)", "_in_use.set(self)"),
    ],
    "training/schedules.py": [
        ("the warm-up starts with a step of 0", "(step + 1) / (self.warmup + 1)", "step / self.warmup"),
        ("the cosine rises again after its end",
         "min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))",
         "(step - self.warmup) / max(1, self.total - self.warmup)"),
        ("the cosine is stretched by the warm-up", "max(1, self.total - self.warmup)", "max(1, self.total)"),
    ],
    "training/average.py": [
        ("the average has the first checkpoint's meta, not the last one's",
         "other, _, meta = load_checkpoint(folder)", "other, _, _ = load_checkpoint(folder)"),
    ],
    "training/checkpoint.py": [
        ("a file of another format is read as if it were this one",
         'meta.get("format") != FORMAT or', 'meta.get("format") != FORMAT and'),
    ],
    "training/loop.py": [
        ("the rate written down is the next step's",
         '"learning_rate": rate', '"learning_rate": optimizer.learning_rate'),
        ("resuming forgets the record of the step it resumes from",
         'record.get("step", 0) <= step', 'record.get("step", 0) < step'),
    ],
    "training/old_checkpoint.py": [
        ("a task without these heads is made with their settings", '(moved if meta.get("task") == TASK_OF[model] else {})', "moved"),
        ("the moments keep their old paths", "(model\\.|optimizer", "(model\\.|optimiser"),
    ],
    "training/profiler.py": [
        ("a step's times hold those of the steps before it", "row.forward = row.backward = 0.0", "pass"),
    ],
    "training/optimizers/adam.py": [
        ("eps stands before the bias correction",
         "(math.sqrt(v[i]) * root + eps)", "((math.sqrt(v[i]) + eps) * root)"),
        ("decoupled decay forgets the learning rate", "(0.0, 1 - lr * decay)", "(0.0, 1 - decay)"),
    ],
    "training/optimizers/base.py": [
        ("the schedule is a step ahead",
         "rates = self.ready(scale)\n        self.t += 1", "self.t += 1\n        rates = self.ready(scale)"),
        ("gains and biases decay too", "self.named[name].data.ndim > 1", "self.named[name].data.ndim > 0"),
    ],
    "training/optimizers/groups.py": [
        ("the last group that matches wins, not the first",
         "left = [path for path in left if path not in settings_by_path]", "pass"),
        ("a factor of 0 does not freeze", "for value in (self.lr, self.lr_factor)", "for value in (self.lr,)"),
    ],
    "training/optimizers/lamb.py": [
        ("a parameter at 0 never leaves it", "if squares.all() else 1.0", "if squares[1] else 1.0"),
    ],
    "training/optimizers/lookahead.py": [
        ("the slow weights move a step early", "if self.t % self.k == 0:", "if (self.t + 1) % self.k == 0:"),
    ],
    "training/optimizers/radam.py": [
        ("rho grows to a limit that is one too large", "2 / (1 - self.betas[1]) - 1", "2 / (1 - self.betas[1])"),
    ],
    "training/optimizers/sgd.py": [
        ("clipping shrinks the decay, too", "(scale * g[i] + decay * p[i])", "scale * (g[i] + decay * p[i])"),
    ],
}  # fmt: skip
