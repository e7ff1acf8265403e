"""gradcheck on work that it was not written for: PyTorch's own database of operations, beside PyTorch's gradcheck.

    python benchmarks/foreign_ops.py                    # verdicts of all operations; `--quick`: every 24th, one sample
    python benchmarks/foreign_ops.py --plant one        # share of planted errors, 1e-9 of one entry, that is noticed
    python benchmarks/foreign_ops.py --plant all        # the same, 1e-10 of all entries

Forward is the operation in float64, backward is PyTorch's autograd; so PASS is right but for PyTorch's own mistakes, and
a FAIL makes the exit code 1, unless it is in KNOWN below or the database itself says that the operation's gradient
fails PyTorch's gradcheck. The database needs PyTorch and expecttest.
"""

import argparse
import contextlib
import io
import sys
import time
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np

from tinytx.extras import require
from tinytx.testing import gradcheck
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS

# Mistakes of PyTorch 2.13: what is wrong in the backward
KNOWN = {
    "nn.functional.hardsigmoid": "its float64 backward multiplies by 1/6 rounded to float32, 3e-8 off",
    "normal": "its backward is 0, as if what is drawn did not depend on mean and deviation",
    "logcumsumexp": "its backward goes through logarithms, and is 6e-12 off beside an entry of 10,000",
}
QUICK = 24  # every such operation
LARGEST = 400  # entries of a sample's inputs
ERRORS = {"one": 1e-9, "all": 1e-10}  # what is planted, relative to the entries


def known(torch, op):
    """Return why an operation's gradient is known to be wrong, or ""."""
    place = "TestBwdGradients", "test_fn_grad"  # where PyTorch runs its gradcheck
    for mark in op.decorators:
        if (getattr(mark, "cls_name", ""), getattr(mark, "test_name", "")) == place:
            if mark.is_active(*place, "cpu", torch.float64, {}):
                return "the database says that its gradient fails PyTorch's gradcheck"
    return KNOWN.get(op.name, "")


class Skip(Exception):
    """A sample that says nothing about gradcheck: why."""


class Sample(NamedTuple):
    """One sample of an operation, as functions of arrays.

    Attributes
    ----------
    name : str
    arrays : list of float64 array
        The values of all tensors that have a gradient.
    forward, backward : functions
        As `gradcheck` takes them.
    torch_function : function (*tensors) -> tuple of tensors
        What PyTorch's gradcheck takes.
    options : dict
        Its options for this operation.
    """

    name: str
    arrays: list
    forward: object
    backward: object
    torch_function: object
    options: dict


def make_sample(torch, op, given):
    """Return the `Sample` of an entry of the database and one of its inputs.

    Raises
    ------
    Skip
        If it is too large, or of complex numbers, or an output has a type that NumPy lacks.
    """
    from torch.utils._pytree import tree_flatten, tree_unflatten

    leaves, tree = tree_flatten((given.input, given.args, given.kwargs))
    where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    arrays = [leaves[i].detach().numpy().copy() for i in where]
    if not sum(array.size for array in arrays) or sum(array.size for array in arrays) > LARGEST:
        raise Skip("empty, or large")

    def call(*tensors):
        replaced = list(leaves)
        for i, tensor in zip(where, tensors):
            replaced[i] = tensor.clone()  # some operations write to it
        first, rest, settings = tree_unflatten(replaced, tree)
        torch.manual_seed(0)
        y = given.output_process_fn_grad(op.gradcheck_wrapper(op.op, first, *rest, **settings))
        floats = [part for part in tree_flatten(y)[0] if isinstance(part, torch.Tensor) and part.requires_grad]
        return tuple(floats)

    def tensors_of(values):
        return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]

    def forward(*values):
        return tuple(part.detach().numpy() for part in call(*tensors_of(values))), values

    def backward(dy, values):
        tensors = tensors_of(values)
        y = call(*tensors)
        return [
            None if gradient is None else gradient.numpy(force=True).copy()
            for gradient in torch.autograd.grad(y, tensors, [torch.as_tensor(d, dtype=torch.float64) for d in dy], allow_unused=True)
        ]

    y = call(*tensors_of(arrays))
    if not any(part.numel() for part in y) or any(part.is_complex() for part in y):
        raise Skip("no gradient, or complex")
    if any(part.dtype not in (torch.float64, torch.float32, torch.float16) for part in y):
        raise Skip("an output is of a type that NumPy lacks")
    options = {"fast_mode": op.gradcheck_fast_mode, "nondet_tol": op.gradcheck_nondet_tol}
    name = op.name + (f".{op.variant_test_name}" if op.variant_test_name else "")
    return Sample(name, arrays, forward, backward, call, options)


def samples(torch, op, limit):
    """Yield the first samples of an operation that can be run; why the others cannot is no matter here."""
    made = 0
    try:
        given = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    except Exception as error:  # an operation that this build lacks
        raise Skip(f"no samples: {error}") from error
    for one in given:
        if made == limit:
            return
        try:
            sample = make_sample(torch, op, one)
        except Exception:  # of PyTorch's: not every operation runs in every build
            continue
        made += 1
        yield sample


def torch_verdict(torch, sample):
    """Return what torch.autograd.gradcheck says, and the seconds that it took."""
    tensors = [torch.tensor(array, requires_grad=True) for array in sample.arrays]
    begun = time.perf_counter()
    try:
        passed = torch.autograd.gradcheck(sample.torch_function, tensors, raise_exception=False, **sample.options)
        verdict = PASS if passed else FAIL
    except Exception as error:
        verdict = type(error).__name__
    return verdict, time.perf_counter() - begun


def planted(sample, how, seed=0):
    """Return the sample with a wrong backward: one entry, or all, too large by the relative error of ERRORS."""

    def backward(dy, values):
        gradients = sample.backward(dy, values)
        if how == "all":
            return [None if g is None else g * (1 + ERRORS["all"]) for g in gradients]
        sizes = [np.zeros(value.size) if g is None else np.abs(g).ravel() for g, value in zip(gradients, values)]
        largest = int(np.argmax([size.max(initial=0.0) for size in sizes]))
        typical = np.flatnonzero(sizes[largest] >= np.sqrt(np.mean(np.square(sizes[largest]))))
        at = np.random.default_rng(seed).choice(typical)
        gradients[largest].flat[at] *= 1 + ERRORS["one"]
        return gradients

    return sample._replace(backward=backward)


def ours(sample):
    """Return gradcheck's report on a sample, and the seconds that it took."""
    begun = time.perf_counter()
    report = gradcheck(sample.forward, *sample.arrays, backward=sample.backward)
    return report, time.perf_counter() - begun


def run_verdicts(torch, operations, limit):
    """Check the samples as they are; print verdicts and times; return the number of unknown FAILs."""
    table, seconds, unknown = Counter(), [0.0, 0.0], 0  # seconds: ours, PyTorch's
    for op in operations:
        for sample in samples(torch, op, limit):
            report, own = ours(sample)
            theirs, time_of_theirs = torch_verdict(torch, sample)
            if report.verdict == theirs == PASS:  # who finds a mistake takes the time to say where
                seconds[0], seconds[1] = seconds[0] + own, seconds[1] + time_of_theirs
            table[report.verdict, theirs] += 1
            if report.verdict in (FAIL, INCONCLUSIVE) or theirs != PASS:
                print(f"{sample.name}: {report.verdict}, PyTorch's: {theirs}{_why(torch, op, report)}", flush=True)
            unknown += report.verdict == FAIL and not known(torch, op)
    others = sorted({theirs for _, theirs in table} | {PASS, FAIL})
    print(f"\n{'ours / PyTorchs':<18}" + "".join(f"{other:>16}" for other in others))
    for verdict in VERDICTS:
        print(f"{verdict:<18}" + "".join(f"{table[verdict, other]:>16}" for other in others))
    total = sum(table.values())
    inconclusive = sum(n for (verdict, _), n in table.items() if verdict == INCONCLUSIVE)
    print(
        f"{len(operations)} operations, {total} samples: {unknown} FAIL that are not known mistakes of PyTorch, "
        f"{inconclusive / max(total, 1):.1%} INCONCLUSIVE; time ours / PyTorch's where both pass "
        f"{seconds[0] / max(seconds[1], 1e-9):.2f}"
    )
    return unknown


def _why(torch, op, report):
    if report.verdict == FAIL and known(torch, op):
        return f" (known: {known(torch, op)})"
    reasons = [f"{tensor.name}: {tensor.reason}" for tensor in report.tensors if tensor.reason]
    return f" ({report.reason or '; '.join(reasons)})" if report.verdict != PASS else ""


def run_planted(torch, operations, how):
    """Plant an error in each operation's first sample that passes; print the share that is noticed; return it."""
    verdicts = Counter()
    for op in operations:
        for sample in samples(torch, op, 3):
            dy = [np.ones(part.shape) for part in sample.forward(*sample.arrays)[0]]
            gradients = [g for g in sample.backward(dy, sample.arrays) if g is not None]
            if not any(np.any(g) for g in gradients) or ours(sample)[0].verdict not in (PASS, KINK):
                continue
            report, _ = ours(planted(sample, how))
            verdicts[report.verdict] += 1
            if report.verdict != FAIL:
                print(f"{sample.name}: {report.verdict}", flush=True)
            break
    total = sum(verdicts.values())
    share = verdicts[FAIL] / max(total, 1)
    where = "one entry" if how == "one" else "all entries"
    print(f"{ERRORS[how]:g} of {where}: noticed in {verdicts[FAIL]} of {total} operations ({share:.1%})")
    return share


def main():
    """Run, print, and exit with 1 if there is a FAIL that is not a known mistake of PyTorch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one sample of every 24th operation")
    parser.add_argument("--every", type=int, default=1, help="only every such operation (default: all)")
    parser.add_argument("--samples", type=int, default=3, help="of each operation (default: %(default)s)")
    parser.add_argument("--plant", choices=ERRORS, help="plant errors, and print how many are noticed")
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--first", type=int, default=0, help="index of the first operation (default: %(default)s)")
    parser.add_argument("--last", type=int, help="index behind the last")
    arguments = parser.parse_args()
    torch = require("torch", "oracle", "benchmarks/foreign_ops.py")
    try:
        from torch.testing._internal.common_methods_invocations import op_db
    except ImportError as error:
        print(f"foreign_ops: PyTorch's database of operations cannot be imported: {error}: pip install expecttest")
        return 2
    warnings.simplefilter("ignore")  # PyTorch's, about its own operations
    torch.set_num_threads(1)
    operations = [op for op in op_db if op.supports_autograd and torch.float64 in op.supported_dtypes("cpu")]
    operations = [op for op in operations if arguments.only in op.name][arguments.first : arguments.last]
    operations = operations[:: QUICK if arguments.quick else arguments.every]
    with contextlib.redirect_stderr(io.StringIO()):  # warnings of PyTorch's C++
        if arguments.plant:
            run_planted(torch, operations, arguments.plant)
            return 0
        unknown = run_verdicts(torch, operations, 1 if arguments.quick else arguments.samples)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
