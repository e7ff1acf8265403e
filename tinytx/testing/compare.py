"""The comparison of a backward's gradients with finite differences, tensor by tensor and entry by entry."""

import math

import numpy as np

from tinytx.testing.hints import hint
from tinytx.testing.judge import Judge
from tinytx.testing.numeric import Estimate, Kink, complex_step, derivative, look_closely
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS, TensorReport
from tinytx.testing.rounding import backward_wobble, forward_noise

FULL = 400  # entries up to which each is looked at
LOOKS = 24  # entries of a tensor that are looked at closely where they disagree, once a verdict is certain
NEAR = 20  # entries looked at on both sides of the one that a bisection finds
ROUNDS = 20  # times that kinks are taken out of a direction


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
    noise : float
        The forward's rounding error, relative to the size of the terms added up.
    judges : dict of str to Judge
    """

    def __init__(self, problem, dy, rtol, samples, directions, rng):
        self.problem, self.dy, self.rng = problem, dy, rng
        self.samples, self.directions = samples, directions
        self.analytic = problem.gradients([part.copy() for part in dy])  # a backward may write to what it gets
        self.left = problem.left
        self.noise = max(forward_noise(problem, dy, rng) for _ in range(2))
        wobble, (_, size) = backward_wobble(problem, dy, self.analytic, rng), problem.value(dy)
        self.judges = {
            name: Judge(rtol, self.noise, wobble[name], size / (rms(tensor) or 1.0))
            for name, tensor in problem.tensors.items()
        }
        self.sizes = {n for t in (*problem.tensors.values(), *dy) for n in t.shape}

    def tensor(self, name, modes):
        """Return the `TensorReport` of one tensor."""
        tensor = self.problem.tensors[name]
        report = TensorReport(name, tensor.shape)
        a = np.asarray(np.zeros(tensor.shape) if self.analytic[name] is None else self.analytic[name])
        if a.shape != tensor.shape:
            report.verdict, report.reason = FAIL, f"the gradient has shape {a.shape}, expected {tensor.shape}"
            return report
        report.norm = float(np.linalg.norm(a))
        if not tensor.size:
            return report
        entries = np.arange(tensor.size)
        if "sampled" in modes and tensor.size > self.samples:
            entries = self._choose(a)
        kinks = set()
        if modes != ("directional",):
            kinks = self._entries(report, tensor, a, entries, "complex" in modes)
        if "directional" in modes and (len(entries) < tensor.size or modes == ("directional",)):
            if report.verdict in (PASS, KINK):
                self._directions(report, tensor, a, kinks)
        if self.analytic[name] is None and report.verdict == FAIL:
            report.reason = "backward returned no gradient"
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

    def _entries(self, report, tensor, a, entries, use_complex):
        """Compare single entries, and fill the report in; return those at kinks."""
        judge, h0, found = self.judges[report.name], _reach(tensor), {}
        for i in entries:
            direction = _unit(tensor.shape, i)
            try:
                if use_complex:
                    found[i] = self._complex_step(report.name, tensor, direction)
                else:
                    found[i] = derivative(self._along(tensor, direction), h0, noise=self.noise)
            except TypeError as refused:
                if not use_complex:
                    raise
                report.verdict, report.reason = INCONCLUSIVE, f"no complex input: {refused}"
                return set()
        values = np.array([estimate.value for estimate in found.values()])
        scale = rms(values[np.isfinite(values)])
        verdicts = {i: judge.verdict(float(a.flat[i]), found[i], scale) for i in entries}
        if not use_complex:
            self._confirm(report, tensor, a, found, verdicts, scale)
        self._settle(report, a, found, verdicts)
        return {i for i in entries if isinstance(found[i], Kink)}

    def _confirm(self, report, tensor, a, found, verdicts, scale):
        """Look again, with tiny steps, at the entries in doubt, the worst first: only what this upholds counts."""
        doubtful = [i for i, verdict in verdicts.items() if verdict != PASS]
        doubtful.sort(key=lambda i: (-VERDICTS.index(verdicts[i]), -_off(a.flat[i], found[i])))
        judge, upheld = self.judges[report.name], set()
        for looks, i in enumerate(doubtful):
            if looks >= LOOKS and {verdicts[i], FAIL} & upheld:
                return
            analytic = float(a.flat[i])
            if verdicts[i] == FAIL or judge.verdict(analytic, Estimate(analytic, 0.0), scale) == PASS:
                f = self._along(tensor, _unit(tensor.shape, i))
                found[i] = look_closely(f, _reach(tensor), noise=self.noise)
                verdicts[i] = judge.verdict(analytic, found[i], scale)
            upheld.add(verdicts[i])

    def _settle(self, report, a, found, verdicts):
        """Give the verdict, and name the worst entry, unless what was found before is worse."""
        report.checked += len(verdicts)
        if VERDICTS.index(max(verdicts.values(), key=VERDICTS.index)) < VERDICTS.index(report.verdict):
            return
        report.verdict = max(verdicts.values(), key=VERDICTS.index)
        numeric, error, wrong = np.full(a.shape, np.nan), np.full(a.shape, np.nan), np.zeros(a.shape, bool)
        for i, estimate in found.items():
            numeric.flat[i], error.flat[i] = estimate.value, estimate.error
            wrong.flat[i] = verdicts[i] == FAIL
        those = [i for i, verdict in verdicts.items() if verdict == report.verdict]
        worst = max(those, key=lambda i: error.flat[i] if report.verdict == INCONCLUSIVE else _off(a.flat[i], found[i]))
        few = f"{len(those)} of {len(verdicts)} entries"
        if report.verdict == FAIL:
            report.reason = f"{few} checked are wrong{_slopes(found[worst])}"
            report.hint = hint(a, numeric, wrong, self.sizes)
        elif report.verdict == INCONCLUSIVE:
            why = self.judges[report.name].why_wide(found[worst])
            report.reason = f"{few} have too wide an error bar to tell: {why}"
        elif report.verdict == KINK:
            report.reason = f"{few} are at a kink{_slopes(found[worst])}"
        report.index = tuple(int(i) for i in np.unravel_index(worst, a.shape))
        report.analytic, report.numeric, report.error = (float(x.flat[worst]) for x in (a, numeric, error))

    def _directions(self, report, tensor, a, kinks):
        """Compare random directions; where one fails, go by halves to an entry, and look at it and its neighbours."""
        for _ in range(self.directions):
            verdict, analytic, found, why = self._one_direction(report, tensor, a, kinks)
            if VERDICTS.index(report.verdict) < VERDICTS.index(verdict):
                report.verdict, report.reason, report.index = verdict, f"a direction through the tensor: {why}", None
                report.analytic, report.numeric, report.error = analytic, found.value, found.error
            if report.verdict == FAIL:
                return
        if report.verdict == PASS and report.index is None:
            report.analytic, report.numeric, report.error = analytic, found.value, found.error

    def _one_direction(self, report, tensor, a, kinks):
        """Compare a random direction: verdict, analytic, numeric, reason; entries that fail go into the report.

        A direction through several kinks proves nothing: it takes the left slope of one and the right slope of another.
        So the kinks that are known, or found on the way, are left out, and the direction is tried again.
        """
        everything, direction = np.arange(a.size), cotangent(self.rng, tensor.shape)
        for _ in range(ROUNDS):
            direction.flat[list(kinks)] = 0
            compared = self._direction(report, tensor, a, direction, everything, closely=True)
            report.checked += 1
            if compared[0] == PASS:
                return *compared, ""
            if compared[0] == INCONCLUSIVE:
                return *compared, self.judges[report.name].why_wide(compared[2])
            entries = everything
            if a.size > FULL:
                at = self._bisect(report, tensor, a, direction)
                entries = everything[max(0, at - NEAR) : at + NEAR + 1]
            more = self._entries(report, tensor, a, entries, False) - kinks
            if report.verdict == FAIL or not more:
                return *compared, f"{compared[0]}, unlike the {len(entries)} entries looked at"
            kinks |= more
        return INCONCLUSIVE, *compared[1:], "it crosses more kinks than can be left out"

    def _direction(self, report, tensor, a, direction, entries, closely=False):
        """Compare one direction through some of the entries: verdict, analytic, numeric."""
        part = np.zeros(tensor.size)
        part[entries] = direction.ravel()[entries]
        part = part.reshape(tensor.shape)
        analytic, root_n = float((a * part).sum()), math.sqrt(len(entries))
        f, judge, scale = self._along(tensor, part), self.judges[report.name], rms(a) * root_n
        estimate = derivative(f, _reach(tensor), halvings=14, noise=self.noise)
        verdict = judge.verdict(analytic, estimate, scale, root_n)
        if closely and verdict != PASS:
            estimate = look_closely(f, _reach(tensor), noise=self.noise)
            verdict = judge.verdict(analytic, estimate, scale, root_n)
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


def _off(analytic, found):
    """Return how far off a comparison is."""
    off = abs(analytic - found.value)
    return math.inf if math.isnan(off) else off


def _slopes(found):
    if not isinstance(found, Kink):
        return ""
    return f"; here the slope is {found.left:.6g} on the left of a kink, {found.right:.6g} on its right"


def _unit(shape, i):
    """Return the direction of one entry."""
    direction = np.zeros(shape)
    direction.flat[i] = 1.0
    return direction
