"""The comparison of a backward's gradients with finite differences, tensor by tensor and entry by entry."""

import math

import numpy as np

from tinytx.testing.hints import hint
from tinytx.testing.numeric import Estimate, Kink, complex_step, derivative, look_closely
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS, TensorReport
from tinytx.testing.rounding import backward_wobble, forward_noise

FULL = 400  # entries up to which each is looked at
LOOKS = 24  # entries of a tensor that are looked at closely where they disagree, once a verdict is certain
WIDE = 1e-6  # an error bar that hides more than this part of a gradient tells nothing
ZERO = 1e-9  # part of what a gradient could be below which it counts as 0
NEAR = 20  # entries looked at on both sides of the one that a bisection finds
DOUBT = 1e-10  # a forward less exact than this does not compute in float64


def rms(array):
    """Return the root mean square, 0 for an empty array."""
    return math.sqrt(float(np.mean(np.square(array)))) if array.size else 0.0


def cotangent(rng, shape):
    """Return random weights for the outputs, none of them small: a sign times 0.5 to 1.5."""
    return rng.choice((-1.0, 1.0), shape) * rng.uniform(0.5, 1.5, shape)


class Comparison:
    """The comparison of one problem's tensors, one after the other.

    Attributes
    ----------
    analytic : dict of str to array or None
        What backward returned.
    left : int
        Entries that backward left on the tape.
    wobble : dict of str to float
        How far any entry of a gradient moves when every tensor is rounded anew.
    noise : float
        The forward's rounding error, relative to the size of the terms added up.
    """

    def __init__(self, problem, dy, rtol, samples, directions, rng):
        self.problem, self.dy, self.rtol, self.rng = problem, dy, rtol, rng
        self.samples, self.directions = samples, directions
        self.analytic = problem.gradients([part.copy() for part in dy])  # a backward may write to what it gets
        self.left = problem.left
        self.wobble = backward_wobble(problem, dy, self.analytic, rng)
        self.noise = max(forward_noise(problem, dy, rng) for _ in range(2))
        self.size = problem.value(dy)[1]
        self.sizes = {n for t in (*problem.tensors.values(), *dy) for n in t.shape}

    def tensor(self, name, modes):
        """Return the `TensorReport` of one tensor."""
        tensor = self.problem.tensors[name]
        report = TensorReport(name, tensor.shape)
        a = self.analytic[name]
        if a is None:
            a, report.reason = np.zeros(tensor.shape), "backward returned no gradient"
        a = np.asarray(a)
        if a.shape != tensor.shape:
            report.verdict, report.reason = FAIL, f"the gradient has shape {a.shape}, expected {tensor.shape}"
            return report
        report.norm = float(np.linalg.norm(a))
        if not tensor.size:
            return report
        entries = np.arange(tensor.size)
        if "sampled" in modes and tensor.size > self.samples:
            entries = self._choose(a)
        if modes != ("directional",):
            self._entries(report, tensor, a, entries, "complex" in modes)
        if "directional" in modes and (len(entries) < tensor.size or modes == ("directional",)):
            if report.verdict in (PASS, KINK):
                self._directions(report, tensor, a)
        return report

    def _choose(self, a):
        """Return flat indices to sample: the ends, the largest and the smallest gradient, and random others."""
        order = np.argsort(np.abs(a), axis=None)
        some = [0, a.size - 1, *order[-2:], *order[:2], *self.rng.permutation(a.size)]
        return np.array(list(dict.fromkeys(int(i) for i in some))[: self.samples])

    def _along(self, tensor, direction):
        """Return f(h): the objective with the tensor moved by h times a direction."""
        kept = tensor.copy()

        def f(h):
            tensor[...] = kept + h * direction
            value = self.problem.value(self.dy)
            tensor[...] = kept
            return value

        return f

    def _complex_step(self, name, tensor, direction):
        def f(h):
            _put(self.problem, name, tensor + h * direction)
            try:
                terms = [d * y for d, y in zip(self.dy, self.problem.forward())]
            finally:
                _put(self.problem, name, tensor)
            return sum(t.sum() for t in terms), float(sum(np.abs(np.imag(t)).sum() for t in terms))

        return complex_step(f, rms(tensor))

    def _judge(self, name, analytic, found, scale, root_n=1.0):
        """Return the verdict on one number.

        Parameters
        ----------
        name : str
            Of its tensor.
        analytic : float
        found : Estimate or Kink
        scale : float
            What is a typical size of such a number: far below it only the difference counts, not the quotient.
        root_n : float
            The square root of the number of entries that were moved together.
        """
        size = max(abs(analytic), scale, *(abs(value) for value in found[:-1] if math.isfinite(value)))
        bar = 3 * found.error + 10 * self.wobble[name] * root_n
        if isinstance(found, Kink):
            slack = self.rtol * size + bar
            return KINK if min(found[:2]) - slack <= analytic <= max(found[:2]) + slack else FAIL
        if not math.isfinite(analytic):
            return FAIL
        if math.isfinite(bar) and abs(analytic - found.value) > self.rtol * size + bar:
            return FAIL
        return PASS if bar <= max(WIDE * size, ZERO * self._natural(name)) else INCONCLUSIVE

    def _natural(self, name):
        """Return the size that a gradient would have if the tensor mattered."""
        return self.size / (rms(self.problem.tensors[name]) or 1.0)

    def _entries(self, report, tensor, a, entries, use_complex):
        """Compare single entries, and fill the report in."""
        name, h0, found = report.name, _reach(tensor), {}
        for i in entries:
            direction = _unit(tensor.shape, i)
            try:
                if use_complex:
                    found[i] = self._complex_step(name, tensor, direction)
                else:
                    found[i] = derivative(self._along(tensor, direction), h0, noise=self.noise)
            except TypeError as refused:
                if not use_complex:
                    raise
                report.verdict, report.reason = INCONCLUSIVE, f"no complex input: {refused}"
                return
        report.checked += len(entries)
        values = np.array([estimate.value for estimate in found.values()])
        scale = rms(values[np.isfinite(values)])
        verdicts = {i: self._judge(name, float(a.flat[i]), found[i], scale) for i in entries}
        if not use_complex:
            self._confirm(report, tensor, a, found, verdicts, scale)
        self._settle(report, a, found, verdicts)

    def _confirm(self, report, tensor, a, found, verdicts, scale):
        """Look again, with tiny steps, at the entries in doubt, the worst first: only what this upholds counts."""
        doubtful = [i for i, verdict in verdicts.items() if verdict != PASS]
        doubtful.sort(key=lambda i: (-VERDICTS.index(verdicts[i]), -_off(a.flat[i], found[i])))
        upheld = set()
        for looks, i in enumerate(doubtful):
            if looks >= LOOKS and {verdicts[i], FAIL} & upheld:
                return
            analytic = float(a.flat[i])
            if verdicts[i] == FAIL or self._judge(report.name, analytic, Estimate(analytic, 0.0), scale) == PASS:
                f = self._along(tensor, _unit(tensor.shape, i))
                found[i] = look_closely(f, _reach(tensor), noise=self.noise)
                verdicts[i] = self._judge(report.name, analytic, found[i], scale)
            upheld.add(verdicts[i])

    def _settle(self, report, a, found, verdicts):
        """Give the verdict, and name the worst entry."""
        report.verdict = max(verdicts.values(), key=VERDICTS.index)
        if report.verdict != PASS:
            report.reason = ""
        numeric, error, wrong = np.full(a.shape, np.nan), np.full(a.shape, np.nan), np.zeros(a.shape, bool)
        for i, estimate in found.items():
            numeric.flat[i], error.flat[i] = _middle(estimate)
            wrong.flat[i] = verdicts[i] == FAIL
        those = [i for i, verdict in verdicts.items() if verdict == report.verdict]
        worst = max(those, key=lambda i: error.flat[i] if report.verdict == INCONCLUSIVE else _off(a.flat[i], found[i]))
        few = f"{len(those)} of {report.checked} entries"
        if report.verdict == FAIL:
            report.reason = report.reason or f"{few} checked are wrong"
            report.hint = hint(a, numeric, wrong, self.sizes)
        elif report.verdict == INCONCLUSIVE:
            report.reason = f"{few} have too wide an error bar to tell: {self._why_wide(report.name, found[worst])}"
        elif report.verdict == KINK:
            left, right, _ = found[worst]
            report.reason = f"{few} are at a kink; here the slope is {left:.6g} on the left, {right:.6g} on the right"
        report.index = tuple(int(i) for i in np.unravel_index(worst, a.shape))
        report.analytic, report.numeric, report.error = (float(x.flat[worst]) for x in (a, numeric, error))

    def _why_wide(self, name, estimate):
        if not math.isfinite(estimate.error):
            return "near it the forward is not finite"
        if self.noise > DOUBT:
            return f"forward is only exact to {self.noise:.0e} (float32 inside?)"
        if 10 * self.wobble[name] > 3 * estimate.error:
            return f"backward's value moves by {self.wobble[name]:.1e} when its inputs are rounded anew"
        return "the slope changes over steps so small that rounding hides it"

    def _directions(self, report, tensor, a):
        """Compare random directions; where one fails, go by halves to an entry and its neighbours."""
        for _ in range(self.directions):
            direction = cotangent(self.rng, tensor.shape)
            verdict, analytic, found = self._direction(report, tensor, a, direction, np.arange(a.size), closely=True)
            report.checked += 1
            if verdict in (FAIL, KINK):
                entries = np.arange(a.size)
                if a.size > FULL:
                    at = self._bisect(report, tensor, a, direction)
                    entries = entries[max(0, at - NEAR) : at + NEAR + 1]
                report.checked = 0
                self._entries(report, tensor, a, entries, False)
            if VERDICTS.index(report.verdict) < VERDICTS.index(verdict):
                report.verdict, report.index = verdict, None
                report.analytic, report.numeric, report.error = analytic, *_middle(found)
                why = f": {self._why_wide(report.name, found)}" if verdict == INCONCLUSIVE else ""
                report.reason = f"a direction through the tensor is {verdict}, no entry looked at is{why}"
            if verdict in (FAIL, KINK):
                return
        if report.verdict == PASS and report.index is None:
            report.analytic, report.numeric, report.error = analytic, *_middle(found)

    def _direction(self, report, tensor, a, direction, entries, closely=False):
        """Compare one direction through some of the entries: verdict, analytic, numeric."""
        part = np.zeros(tensor.size)
        part[entries] = direction.ravel()[entries]
        part = part.reshape(tensor.shape)
        analytic, root_n = float((a * part).sum()), math.sqrt(len(entries))
        f, scale = self._along(tensor, part), rms(a) * root_n
        estimate = derivative(f, _reach(tensor), halvings=14, noise=self.noise)
        verdict = self._judge(report.name, analytic, estimate, scale, root_n)
        if closely and verdict != PASS:
            estimate = look_closely(f, _reach(tensor), noise=self.noise)
            verdict = self._judge(report.name, analytic, estimate, scale, root_n)
        return verdict, analytic, estimate

    def _bisect(self, report, tensor, a, direction):
        """Return the flat index of an entry that makes a direction fail, going each time to the worse half."""
        entries = np.arange(tensor.size)
        while len(entries) > 1:
            halves = np.array_split(entries, 2)
            off = [_off(*self._direction(report, tensor, a, direction, half)[1:]) for half in halves]
            entries = halves[int(np.argmax(off))]
        return int(entries[0])


def _put(problem, name, array):
    """Put an array, which may be complex, in a tensor's place."""
    if name in getattr(problem, "parameters", {}):
        problem.parameters[name].data = array
    elif hasattr(problem, "positions"):
        problem.inputs[problem.positions[name]] = array
    elif name in problem.options:
        problem.options[name] = array
    else:
        problem.x = array


def _reach(tensor):
    """Return the largest step."""
    return 0.25 * (rms(tensor) or 1.0)


def _middle(found):
    """Return the numeric value and the error bar to print."""
    if isinstance(found, Kink):
        return (found.left + found.right) / 2, abs(found.right - found.left) / 2
    return found


def _off(analytic, found):
    """Return how far off a comparison is."""
    off = abs(analytic - _middle(found)[0])
    return math.inf if math.isnan(off) else off


def _unit(shape, i):
    """Return the direction of one entry."""
    direction = np.zeros(shape)
    direction.flat[i] = 1.0
    return direction
