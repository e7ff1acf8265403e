"""Does gradcheck find every wrong backward of `mutants.GRADIENTS`? Beside it, torch.autograd.gradcheck if there is torch.

No file is changed: the mutated text runs as a module of its own. Exit code 1 if a mutant is not found.
"""

import ast
import importlib
import json
import types
import warnings

import numpy as np

import tinytx
import tinytx.kernel
from mutants import (
    GRADIENTS,
    SOURCE,
    geometric_problems,
    long_problems,
    mutated,
    problems,
    recurrent_problems,
    row_problems,
)
from tinytx.core import Tape
from tinytx.progress import tracked
from tinytx.testing import gradcheck
from tinytx.testing.problem import make_problem
from tinytx.testing.report import FAIL, VERDICTS

MUTANTS = GRADIENTS
PROBLEMS = problems.PROBLEMS | row_problems.PROBLEMS | recurrent_problems.PROBLEMS | geometric_problems.PROBLEMS | long_problems.PROBLEMS


# ---------------------------------------------------------------------------------------- making a mutant


def load(mutant):
    """Return the changed file as a module that nothing else imports.

    Kernels that the change does not touch are the library's compiled ones; the others run as plain Python, since to
    compile them would take longer than to run them.
    """
    path = SOURCE / mutant.file
    source = path.read_text(encoding="utf-8")
    real = importlib.import_module("tinytx." + mutant.file.removesuffix(".py").replace("/", "."))
    changed = mutated(source, mutant)
    differing = _differing(_functions(source), _functions(changed))

    def kernel(function=None, outputs=None):
        if function is None:  # with outputs
            return kernel
        name = function.__name__
        return getattr(real, name) if name not in differing else np.errstate(all="ignore")(function)

    module = types.ModuleType(real.__name__ + "_mutant")
    original, tinytx.kernel.kernel = tinytx.kernel.kernel, kernel
    try:
        exec(compile(changed, f"{path} ({mutant.name})", "exec"), vars(module))
    finally:
        tinytx.kernel.kernel = original
    return module


def _differing(before, after):
    """Return the names of functions that say something else, or that call such functions."""
    names = set(after) if before[None] != after[None] else {name for name in after if before.get(name) != after[name]}
    while more := {n for n in after if n not in names and any(f"Name(id='{name}'," in after[n] for name in names)}:
        names |= more
    return names


def _functions(source):
    """Return {name: what a top-level function says}, and under None the rest of the file."""
    tree = ast.parse(source)
    found = {node.name: ast.dump(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    return found | {None: [ast.dump(node) for node in tree.body if not isinstance(node, ast.FunctionDef)]}


# ---------------------------------------------------------------------------------------- checking it


def torch_verdict(target, inputs, settings):
    """Return what torch.autograd.gradcheck says at its default tolerances about the same forward and backward."""
    try:
        import torch
    except ImportError:
        return "-"
    tape = settings.get("tape", Tape)
    problem = make_problem(target, inputs, settings.get("backward"), settings.get("options"), tape)

    def take(tensors):
        for name, tensor in zip(problem.tensors, tensors):
            problem.tensors[name][...] = tensor.detach().numpy()

    class Ours(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            ctx.save_for_backward(*tensors)
            take(tensors)
            return tuple(torch.from_numpy(np.array(y, np.float64)) for y in problem.forward())

        @staticmethod
        def backward(ctx, *dy):
            take(ctx.saved_tensors)
            gradients = problem.gradients([np.array(part.numpy()) for part in dy])
            return tuple(None if g is None else torch.from_numpy(np.array(g)) for g in gradients.values())

    tensors = [torch.tensor(array, requires_grad=True) for array in problem.tensors.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        passed = torch.autograd.gradcheck(Ours.apply, tensors, raise_exception=False)
    return "PASS" if passed else "FAIL"


def examine(mutant, with_torch=True):
    """Return a row of the table: our verdict, the worst tensor, its index and hint, and PyTorch's verdict.

    A mutant that raises an error by itself proves nothing: its verdict is "raises", and it counts as one that survives.
    """
    row = {"file": mutant.file, "mutant": mutant.name, "category": mutant.category, "problem": mutant.problem}
    problem = PROBLEMS[mutant.problem](load(mutant))
    with np.errstate(all="ignore"):
        try:
            report = gradcheck(problem.target, *problem.inputs, **problem.settings)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            return row | {"verdict": "raises", "tensor": "", "index": None, "hint": str(error), "torch": "-"}
        theirs = torch_verdict(*problem) if with_torch else "-"
    worst = max(report.tensors, key=lambda t: (VERDICTS.index(t.verdict), abs(t.analytic - t.numeric)))
    return row | {
        "verdict": report.verdict,
        "tensor": worst.name if report.verdict == FAIL else "",
        "index": list(worst.index) if worst.index else None,
        "hint": worst.hint,
        "torch": theirs,
    }


def examine_sound(name, with_torch=True):
    """Return both verdicts on a problem of the table without any mistake: to say FAIL each time would find all, too."""
    files = {mutant.file for mutant in GRADIENTS if mutant.problem == name}
    module = types.ModuleType("sound")
    vars(module).update(vars(importlib.import_module("tinytx." + files.pop().removesuffix(".py").replace("/", "."))))
    problem = PROBLEMS[name](module)
    ours = gradcheck(problem.target, *problem.inputs, **problem.settings).verdict
    return ours, torch_verdict(*problem) if with_torch else "-"


def table(rows):
    """Return the rows as text."""
    header = ("file", "mutant", "category", "ours", "torch", "worst tensor", "hint")
    cells = [header]
    for row in rows:
        where = f"{row['tensor']} {tuple(row['index'] or ())}"
        cells.append((row["file"], row["mutant"], row["category"], row["verdict"], row["torch"], where, row["hint"]))
    width = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, width)).rstrip() for row in cells)


def run(mutants, arguments):
    """Examine the mutants and print the table; return 1 if one survives."""
    with_torch = not arguments.no_torch
    rows = [examine(mutant, with_torch) for mutant in tracked(mutants, "mutant")]
    problems = dict.fromkeys(mutant.problem for mutant in mutants)
    sound = {name: examine_sound(name, with_torch) for name in tracked(problems, "problem without a mistake", len(problems))}
    survivors = [row for row in rows if row["verdict"] != FAIL]
    if arguments.json:
        print(json.dumps({"mutants": rows, "survivors": len(survivors), "sound": sound}))
    else:
        print(table(rows))
        print(f"\n{len(rows)} mutants, {len(rows) - len(survivors)} found, {len(survivors)} survive")
        print(f"torch.autograd.gradcheck: {_count(rows, 'FAIL')} found, {_count(rows, 'PASS')} passed as right")
        ours = sum(verdict == "PASS" for verdict, _ in sound.values())
        print(f"the same {len(sound)} problems without a mistake: {ours} PASS; PyTorch: {_passed(sound)} PASS")
        print(*(f"  {name}: {verdicts}" for name, verdicts in sound.items() if verdicts[0] != "PASS"), sep="\n")
    return 1 if survivors else 0


def _count(rows, verdict):
    return sum(row["torch"] == verdict for row in rows)


def _passed(sound):
    return sum(verdict == "PASS" for _, verdict in sound.values())
