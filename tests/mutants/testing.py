"""Mistakes in the checkers: most let a wrong layer pass."""

TABLE = {
    "testing/numeric.py": [
        ("the measured noise is too small: error bars are too short",
         "noise = 4 * math.sqrt(", "noise = 0.04 * math.sqrt("),
        ("extrapolation removes no power of the step", "/ (base**k - 1.0)", "/ base**k"),
        ("large steps that agree with one another are believed, whatever smaller ones say",
         "if not low <= row[k] <= high:", "if False:"),
        ("a kink nearer than the smallest step has a short error bar",
         "last > 0.55 * before", "last > 55 * before"),
        ("no kink is ever named", "> 10 * error:", "> 1e12 * error:"),
    ],
    "testing/problem.py": [
        ("gradients of a loss's inputs are dropped", "return tuple(None if array is None", "return tuple(None if True"),
        ("gradients of a loss's inputs forget dloss", "array * np.asarray(dloss, array.dtype) for array", "array for array"),
    ],
    "testing/judge.py": [
        ("a backward's own rounding is not allowed for", "+ 10 * self.wobble * root_n", ""),
        ("a value above both slopes of a kink is let through",
         "<= analytic <= max(found[:2]) + allowed", "<= analytic"),
        ("a gradient that is NaN does not fail",
         "if not math.isfinite(analytic):\n            return FAIL",
         "if not math.isfinite(analytic):\n            return INCONCLUSIVE"),
        ("an error bar that hides everything passes",
         "return PASS if bar <= max(WIDE * size, ZERO * self.natural)", "return PASS if bar <= math.inf"),
    ],
    "testing/tensor_comparison.py": [
        ("the last entry is not always among the sampled ones", "*self.entries[[0, -1]]", "self.entries[0]"),
        ("the bisection goes to the half that is right", "int(np.argmax(off))", "int(np.argmin(off))"),
        ("directions go through the kinks that are known", "direction.flat[list(kinks)] = 0", "pass"),
    ],
    "testing/hints.py": [
        ("a factor too many is called a missing one",
         "math.isclose(abs(ratio), value, rel_tol=CLOSE)", "math.isclose(abs(ratio), 1 / value, rel_tol=CLOSE)"),
        ("the last position is not named as such", "== [wrong.shape[axis] - 1]", "== [wrong.shape[axis]]"),
    ],
    "testing/gradcheck.py": [
        ("biases stay at 0", "max(0.1, 0.5 * rms(parameter.data))", "0.5 * rms(parameter.data)"),
        ("of several outputs one may be random",
         "if not all(np.array_equal(", "if not any(np.array_equal("),
    ],
    "testing/report.py": [
        ("a kink passes, accepted or not", "self.accept_kinks and self.verdict == KINK", "self.verdict == KINK"),
    ],
    "testing/differences.py": [
        ("a NaN where a number is expected is not noticed", "~(np.isnan(a) & np.isnan(b))", "~np.isnan(a)"),
        ("small arrays are compared as if they were far larger", "1e-3 * largest", "1e9 * largest"),
    ],
    "testing/invariances.py": [
        ("a leak from the last position is not noticed",
         "for t in range(1, x.shape[1]):", "for t in range(1, x.shape[1] - 1):"),
        ("small leaks are not noticed", "ROUNDING = 1e-10", "ROUNDING = 1e-2"),
        ("only outputs of rows alone are compared, not their gradients",
         "for name in problem.parameters}  # sums", "for name in problem.tensors}  # sums"),
        ("gradients beside padding of floats are not compared", 'if garbage != "NaN":', 'if garbage == "other ids":'),
    ],
    "testing/promises.py": [
        ("a gradient that is assigned and not added is let through", "shared = 1e-14", "shared = 1.0"),
        ("a backward that writes to dy or to the tape is let through",
         "before |= {name: array.copy() for name, array in made.items()}", "before |= made"),
        ("what backward leaves on the tape is not noticed", "record.check_empty()", "pass"),
        ("sequences of one position are not tried",
         "for axes in range(1, 3 if has_positions else 2):", "for axes in range(1, 2):"),
        ("float64 that comes out of a float32 layer is let through",
         "or array.dtype != dtype and problem.tensors", ""),
    ],
    "testing/strategies.py": [
        ("padding may hide all keys of a row", "st.integers(0, s - 1)", "st.integers(0, s)"),
    ],
    "testing/layer_checks.py": [
        ("one failed check is no failure", "    if failed:\n", "    if len(failed) > 1:\n"),
    ],
    "testing/rounding.py": [
        ("cotangents are all positive",
         "return rng.choice((-1.0, 1.0), shape) * rng.uniform(0.5, 1.5, shape)", "return rng.uniform(0.5, 1.5, shape)"),
        ("a backward that is ill-conditioned is not noticed",
         "wobble[name] = max(wobble[name], ", "wobble[name] = min(wobble[name], "),
    ],
    "testing/walk.py": [
        ("operations of a child are charged to the layer around it", "parents, self.operations = self.operations, []", "parents = self.operations"),
    ],
    "derivations/latex.py": [
        ("a sum needs no parentheses in a product", "return _parenthesised(node) if isinstance(node, Add) or reaches and not last", "return _parenthesised(node) if reaches and not last"),
        ("a sum over i reaches over the next factor", "or reaches and not last else", "else"),
        ("a base of a power needs none", "isinstance(node, Name | Number | Relation | Join) else _parenthesised(node)", "True else _parenthesised(node)"),
    ],
    "book/prose.py": [
        ("formulas between words have one side", "sides if whole else sides[:1]", "sides[:1]"),
        ("what cannot be read is an error", "except NotationError:", "except ZeroDivisionError:"),
    ],
    "book/pages.py": [
        ("code does not say which equation it computes", 'if marks else ""\n        found', 'if False else ""\n        found'),
        ("a chain's last sides are lost", 'sides = [f"{first} = {second}", *(f"= {side}" for side in others)]', 'sides = [f"{first} = {second}"]'),
        ("code is taken for HTML", "</i>{html.escape(text)}", "</i>{text}"),
    ],
    "exercises/grade.py": [
        ("a gradient that is wrong by a tenth is right", "CLOSE = 1e-6", "CLOSE = 0.1"),
        ("one scene alone is graded", "    return found\n\n\ndef _report", "        return found\n    return found\n\n\ndef _report"),
        ("the last wrong entry is the first", "np.argwhere(wrong)[0]", "np.argwhere(wrong)[-1]"),
        ("a mistake that loses an axis ends in an error", "if set(wanted) == set(value.axes) else None", ""),
        ("prose that names a gradient is taken for its equation", 'if line.startswith("    ")', ""),
        ("a transpose is not told", "ours[-2:] == right[:-3:-1]", "False"),
    ],
    "exercises/called.py": [
        ("what is wrong in the reader's code has no place", 'place = f"{step', 'shapes = f"{step'),
        ("a backward may write into what it is given", "value.flags.writeable = False", "pass"),
        ("a gradient may be left out", "elif n != self.expected[0]:", "elif False:"),
    ],
    "exercises/variants.py": [
        ("signs are never turned", "(-sign, term)", "(sign, term)"),
        ("a division is a factor", 'if rest[0][0] != "/":', "if True:"),
        ("mistakes inside are not looked for", "    yield from _inside(node)\n", ""),
        ("one entry of the diagonal is no mistake", "condition=alone", "condition=None"),
    ],
    "exercises/sheet.py": [
        ("the solution stays", ".splitlines()[:kept]", ".splitlines()"),
        ("an exercise asks for speed", '.replace(", *, frozen=False", "")', ""),
        ("parameters are taken for functions", "{function.__name__, *function.__code__.co_varnames}", "{function.__name__}"),
    ],
    "exercises/hints.py": [("the first hint is all", "parts.append(part)\n            part = []", "pass")],
    "derivations/values.py": [
        ("a vector is cut into parts that leave some out", "if len(value.bare) != 1 or value.size(\"-1\") % node.count:", "if len(value.bare) != 1:"),
        ("what a condition excludes is multiplied by 0", "np.where(holds > 0, a, nothing)", "a * holds"),
        ("a condition excludes indices of the whole equation", "            self.allowed.pop()", "            pass"),
        ("an index outside of an array is the first", "if outside.data.any():", "if False:"),
    ],
    "derivations/definitions.py": [
        ("a place may be written twice", "if written.max(initial=0) > 1:", "if False:"),
        ("what is defined in part may be used", "if not written.all():", "if False:"),
        ("what is defined in part at the end is no error", "in self.unfinished.items():", "in ():"),
        ("a step in a recurrence stays at its position", "if not (self.in_order or _is_equal(value, self.values[definition.name])):", "if False:"),
        ("a recurrence without end is none", "if any(np.isnan(self.values[name].data).any() for name in self.recurrent):", "if False:"),
        ("what a recurrence waits for need not come", "        if self.waiting:\n            names", "        if False:\n            names"),
    ],
    "derivations/evaluate.py": [
        ("sides within a recurrence are not compared", "errors += [error for chain, start in untried for error in self._tried(chain, start)]", "errors += self._tried(chain, 1 + len(errors)) if len(untried) == 1 else []"),
        ("a slope on the left defines a function", "node.function.rstrip(\"'\") in self.definitions or node", "node.function in self.definitions or node"),
        ("further sides of a function's definition are not tried", "if len(rest) == 1:", "if True:"),
        ("an equality need hold to three digits only", "TOLERANCE = 1e-9", "TOLERANCE = 1e-3"),
        ("one row may depend on another", "if np.abs(data * (1 - np.eye(n))).max(initial=0.0) > 0:", "if False:"),
        ("definitions between two names do not follow the first one", "and definition.uses & changed:", "and False:"),
        ("an index of the right side alone is let through", "if free:\n", "if False:\n"),
    ],
    "derivations/check.py": [
        ("the end is not compared with the code", "for key, result_of_code in results.items():", "for key, result_of_code in ():"),
        ("gradients are not compared with complex steps", 'not gradient.startswith("d") or', 'gradient.startswith("d") or'),
        ("a changed page is executed behind its change", "and self.steps[done][:2] == equations[done]:", "and self.steps[done][0] == equations[done][0]:"),
        ("gradients of changed definitions are those of the first page", "if known != used:", "if known is None:"),
        ("equations of a changed page change what is known before them", "return result.kept(), list(later), done", "return result, list(later), done"),
    ],
    "derivations/reader.py": [
        ("derivatives in prose are skipped", 'is_equation = parser.peek() == "="', "is_equation = False"),
        ("a line that is no equation is no error", "if not is_remark:\n", "if False:\n"),
        ("a docstring of a function cites nothing", "or token.type == tokenize.STRING and", "or False and"),
    ],
    "derivations/notation.py": [
        ("a / b c is read as (a / b) c", "if is_divided:\n", "if False:\n"),
    ],
    "derivations/named.py": [
        ("a vector's product with a matrix is taken from the wrong side", 'b.renamed({"-2": "inner", "-1": "right"}', 'b.renamed({"-1": "inner", "-2": "right"}'),
        ("whole powers lose the sign of derivatives", "elementwise(np.reciprocal, result) if n < 0 else result", "result"),
    ],
}  # fmt: skip
