"""Ranks of MPI: against threads on this machine, and on 2 to 256 machines with Ethernet between them, which are simulated.

    python benchmarks/machines.py --shapes baby --ranks 2 4 --json machines.json

First, a step of n ranks with a thread each takes turns with a step of as many threads in one process. What n ranks take is also
predicted: the time of n processes that take the same steps apart from each other, plus that of an exchange of such gradients
while nothing else runs. Then one process on all processors says when its gradients are ready, and a network passes them on:
each machine sends and receives at the line's speed at once, messages in the order in which they are ready, twice (n - 1) / n of
each array, LATENCY for each of the two passes. The processors' share in an exchange is what it takes on this machine. Each
machine has a whole batch of its own, so a batch of n machines is n times as large. Needs the extra mpi.

    python benchmarks/machines.py --memory --shapes baby gpt2 --ranks 2 4 --turns 3

measures another thing: the peak memory of a rank after three steps, where each has the optimiser's moments whole, and where they are
divided among the ranks (`train --divide`). It depends on the order in which threads ask for memory, so it is a median over the turns. One more
turn follows Python's own record of memory: how much of it arrays have at once.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import turns
from sides import SHAPES, make_batch, make_model, ours

MPIRUN = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
MACHINES = [2, 4, 8, 16, 32, 64, 128, 256]
LINES = {"1 Gb/s": 0.94 * 1e9 / 8, "10 Gb/s": 0.94 * 10e9 / 8}  # bytes per second, of which TCP leaves 94 %
LATENCY = 1e-4  # seconds until a message of TCP is there, and noticed


class Recorder:
    """In place of a trainer's exchange: notes when which gradients are ready, and returns them as they are."""

    def begin(self):
        """Forget the step before."""
        self.began, self.messages, self._sums = time.perf_counter(), [], {}

    def offer(self, key, value):
        """Note an array, or the rows of a table."""
        is_rows = key.kind == "rows"
        size = sum(row.args[0].nbytes for row in value) if is_rows else value.nbytes
        self.messages.append((time.perf_counter() - self.began, size, key.name if is_rows else None))
        self._sums.setdefault(key.name, {})[key.round, key.kind] = value

    def finish(self):
        """Return the sums, and note that backward has ended."""
        self.backward = time.perf_counter() - self.began
        return self._sums


def serve_threads(shape, threads):
    """Answer a number of steps with milliseconds for one."""
    model, batch = make_model(shape), make_batch(shape)
    trainer = ours(model, threads)
    turns.serve(lambda request: {"ms": timed(lambda: trainer.step(*batch), request["steps"])})


def serve_record(shape, threads):
    """Answer with the milliseconds of a step, those until backward has ended, and when which gradients are ready."""
    model, batch = make_model(shape), make_batch(shape)
    trainer = ours(model, threads)
    trainer.exchange = recorder = Recorder()
    sizes = {name: parameter.data.nbytes for name, parameter in trainer.optimizer.named.items()}
    trainer.step(*batch)

    def answer(request):
        began = time.perf_counter()
        trainer.step(*batch)
        step = time.perf_counter() - began
        messages = [(when, size, sizes.get(table)) for when, size, table in recorder.messages]
        return {"step": step, "backward": recorder.backward, "messages": messages}

    turns.serve(answer)


def serve_ranks(shape):
    """As one of several ranks, answer: steps together, steps apart from each other, or exchanges alone."""
    from mpi4py import MPI

    from tinytx.workers import ranks

    world = ranks.Ranks(MPI.COMM_WORLD)
    batch = make_batch(shape)
    own = [array[world.rank * shape.batch // world.size : (world.rank + 1) * shape.batch // world.size] for array in batch]
    with ranks.use(world):
        together = ours(make_model(shape), 1)
    apart = ours(make_model(shape), 1)
    gradients = [(name, parameter.data.copy()) for name, parameter in reversed(together.optimizer.named.items())]
    together.step(*batch)
    apart.step(*own)

    def exchange():
        from tinytx.training.shards import DENSE, Key

        together.exchange.begin()
        for name, array in gradients:
            together.exchange.offer(Key(name, 0, DENSE), array)
        together.exchange.finish()

    work = {"together": lambda: together.step(*batch), "apart": lambda: apart.step(*own), "exchange": exchange}
    if world.is_first:
        print("ready", flush=True)
    while True:
        line = world.share(sys.stdin.readline() if world.is_first else None)
        if not line:
            return
        request = json.loads(line)
        if request["kind"] == "exchange":
            exchange()  # the ranks agree on what is sent
        sent = world.sent
        ms = max(world.gather(timed(work[request["kind"]], request["steps"], world.wait)))
        if world.is_first:
            print(json.dumps({"ms": ms, "bytes": (world.sent - sent) / request["steps"]}), flush=True)


def say_memory(shape, divided, is_traced):
    """As one of several ranks, take three steps; the first prints the largest peak memory of a rank, or of its arrays, and the size of the moments."""
    import tracemalloc

    from mpi4py import MPI

    from tinytx.memory import peak_memory
    from tinytx.workers import ranks

    if is_traced:
        tracemalloc.start()
    with ranks.use(ranks.Ranks(MPI.COMM_WORLD)) as world:
        trainer = ours(make_model(shape), 1)
        if divided:
            trainer.optimizer.divide()
        batch = make_batch(shape)
        for _ in range(3):
            trainer.step(*batch)
        moments = 2 * sum(parameter.data.nbytes for parameter in trainer.optimizer.named.values())
        peaks = world.gather(tracemalloc.get_traced_memory()[1] if is_traced else peak_memory())
    if world.is_first:
        print(json.dumps({"peak_mb": max(peaks) / 1e6, "moments_mb": moments / 1e6}))


def memory(name, n, n_turns, env):
    """Return the peak memory of one of n ranks, with moments whole and divided, and what that saves beside what was expected."""
    runs = [{side: peak(name, n, side, env) for side in ("whole", "divided")} for _ in range(n_turns)]
    figures = {f"{side}_mb": statistics.median(run[side][0] for run in runs) for side in ("whole", "divided")}
    figures |= {f"{side}_arrays_mb": peak(name, n, f"{side} arrays", env)[0] for side in ("whole", "divided")}
    saved = statistics.median(run["whole"][0] - run["divided"][0] for run in runs)
    saved_arrays, expected = figures["whole_arrays_mb"] - figures["divided_arrays_mb"], runs[0]["whole"][1] * (1 - 1 / n)
    print(f"{name}, {n} ranks: peak memory of a rank {figures['whole_mb']:,.0f} MB, divided {figures['divided_mb']:,.0f} MB: {saved:,.0f} MB less, "
          f"{saved_arrays:,.0f} MB in arrays; the others' share of the moments' {runs[0]['whole'][1]:,.0f} MB is {expected:,.0f}", flush=True)  # fmt: skip
    return figures | {"saved_mb": saved, "saved_arrays_mb": saved_arrays, "expected_mb": expected}


def peak(name, n, side, env):
    """Return the largest peak memory of n ranks, and the size of the moments, in MB."""
    command = [MPIRUN, "-n", str(n), sys.executable, "-m", "mpi4py", __file__, "--child", side, "--shapes", name]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{n} ranks do not run here: {done.stderr[-300:]}")
    said = json.loads(done.stdout.splitlines()[0])
    return said["peak_mb"], said["moments_mb"]


def timed(work, n, begin=lambda: None):
    """Return the milliseconds that ``work`` takes, as the mean of n times."""
    begin()
    began = time.perf_counter()
    for _ in range(n):
        work()
    return (time.perf_counter() - began) / n * 1e3


def compare(name, n, arguments, env):
    """Return the figures of n ranks: beside n threads, and beside what is predicted for them."""
    options = ["--shapes", name]
    start = [MPIRUN, "-n", str(n), sys.executable, "-m", "mpi4py"]
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(contextlib.closing(turns.Child(__file__, "threads", *options, "--threads", n, env=env)))
        ranks = stack.enter_context(contextlib.closing(turns.Child(__file__, "ranks", *options, env=env, start=start)))
        for child in (threads, ranks):
            if not child.alive:
                raise SystemExit(f"{child.name} does not run here: {child.error()}")
        rows = []
        for turn in range(1 + arguments.turns):  # the first does not count: memory is new, loops are loaded
            row = {"threads": threads.ask({"steps": arguments.steps})["ms"]}
            row |= {kind: ranks.ask({"kind": kind, "steps": arguments.steps}) for kind in ("together", "apart", "exchange")}
            rows += [row] if turn else []
    ms = {kind: statistics.median(row[kind]["ms"] for row in rows) for kind in ("together", "apart", "exchange")}
    ms["threads"] = statistics.median(row["threads"] for row in rows)
    speed = statistics.median(row["threads"] / row["together"]["ms"] for row in rows)
    predicted = statistics.median((row["apart"]["ms"] + row["exchange"]["ms"]) / row["together"]["ms"] for row in rows)
    figures = {f"{kind}_ms": value for kind, value in ms.items()} | {"ratio": speed, "predicted_to_measured": predicted}
    times = ", ".join(f"{kind} {value:.0f} ms" for kind, value in ms.items())
    print(f"{name}, {n} ranks: {times}; speed of ranks / threads {speed:.2f}, predicted / measured {predicted:.2f}", flush=True)
    return figures | {"seconds_per_byte": ms["exchange"] / 1e3 / rows[0]["exchange"]["bytes"]}


def simulated(step, n, rate, per_byte, threads, overlap=True):
    """Return the seconds that a step of n machines takes.

    Parameters
    ----------
    step : dict
        What `serve_record` answers.
    n : int
    rate : float
        Bytes that a line carries in a second, each way.
    per_byte : float
        Seconds that a thread has to work for each byte that is sent.
    threads : int
        Of a machine.
    overlap : bool
        Whether gradients are sent while backward goes on.
    """
    free = sent = 0.0
    for ready, size, table in step["messages"]:
        if table is not None and n * size >= table:  # rows that are longer than their table are added up first
            size, table = table, None
        passes = [size * (n - 1)] if table is not None else [size * (n - 1) / n] * 2
        sent += sum(passes)
        free = max(free, ready if overlap else step["backward"]) + len(passes) * LATENCY + sum(passes) / rate
    work = step["backward"] + sent * per_byte / threads
    return max(work, free) + step["step"] - step["backward"]


def scale(name, per_byte, arguments, env):
    """Print and return what steps of 2 to 256 machines take."""
    with turns.running(__file__, ["record"], "--shapes", name, "--threads", arguments.threads, env=env) as running:
        steps = [running["record"].ask({}) for _ in range(1 + arguments.turns)][1:]
    step = sorted(steps, key=lambda each: each["step"])[len(steps) // 2]
    size = sum(size for _, size, _ in step["messages"])
    print(f"{name}, one machine: step {step['step'] * 1e3:.0f} ms, backward ends at {step['backward'] * 1e3:.0f} ms, {size / 1e6:.1f} MB of gradients")
    figures = {"one_ms": step["step"] * 1e3, "gradients_mb": size / 1e6}
    for line, rate in LINES.items():
        print(f"  {line}: machines, ms of a step (not begun during backward), speed to one machine, share of n times one machine")
        for n in MACHINES:
            took, late = (simulated(step, n, rate, per_byte, arguments.threads, overlap) for overlap in (True, False))
            share = step["step"] / took
            print(f"    {n:>3}  {took * 1e3:6.0f} ({late * 1e3:.0f})  {n * share:6.1f}  {share:4.0%}")
            figures[f"{line} {n}"] = {"ms": took * 1e3, "late_ms": late * 1e3, "share": share}
    return figures


def main():
    """Measure, predict and simulate; write the JSON."""
    parser = turns.parser(__doc__, turns=5, quick="--shapes nano --ranks 2 --turns 1 --steps 2")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["baby", "gpt2"])
    parser.add_argument("--ranks", nargs="*", type=int, default=[2], help="numbers of ranks to run here (default 2)")
    parser.add_argument("--memory", action="store_true", help="measure the memory of ranks, and no times")
    parser.add_argument("--steps", type=int, default=3, help="of a turn (default 3)")
    arguments = parser.parse_args()
    if arguments.child:
        shape = SHAPES[arguments.shapes[0]]
        if arguments.child.split()[0] in ("whole", "divided"):
            return say_memory(shape, "divided" in arguments.child, "arrays" in arguments.child)
        if arguments.child == "ranks":
            return serve_ranks(shape)
        return (serve_threads if arguments.child == "threads" else serve_record)(shape, arguments.threads)
    if MPIRUN is None or not turns.rivals(["ranks"], "mpi4py", without='install the extra: pip install ".[mpi]"'):
        raise SystemExit("there is no mpirun: pip install mpich brings one" if MPIRUN is None else 1)
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, ["threads", "ranks"], env)
    figures = {}
    for name in arguments.shapes:
        if arguments.memory:
            figures[name] = {f"{n} ranks": memory(name, n, arguments.turns, env) for n in arguments.ranks}
            continue
        rows = {f"{n} ranks": compare(name, n, arguments, env) for n in arguments.ranks}
        per_byte = next(iter(rows.values()))["seconds_per_byte"] if rows else 0.0
        figures[name] = rows | {"simulated": scale(name, per_byte, arguments, env)}
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
