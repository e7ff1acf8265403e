"""The comparison of one tensor's gradient with finite differences: directions, then entries.

Why a few directions are enough
-------------------------------
Along a direction d through a tensor the objective L has the slope sum_i d_i g_i, and a backward that says a instead
of g says sum_i d_i a_i. The two differ by

    sum_i d_i (a_i - g_i).                                               (1)

No weight d_i is small: each is a sign times 0.5 to 1.5. So one wrong entry shows in (1) with at least half of its
error. Several could cancel, but only for special weights, and ours are random. The rounding error of a finite
difference is that of L over the step, `numeric` (3), and is the same for a direction as for an entry. So directions find
what entries find, and a tensor needs three of them instead of one comparison for each of its entries. What fails is
then looked at entry by entry: for the place, the hint, and because a direction is no judge of kinks.
"""

import math

import numpy as np

from tinytx.testing.hints import hint
from tinytx.testing.numeric import Estimate, Kink, complex_step, derivative, look_closely, noise_floor
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS
from tinytx.testing.rounding import along, cotangent, rms
from tinytx.testing.rows import rows_added_up

FULL = 400  # entries up to which each is looked at
PARTS = 8  # into which a direction is cut whose bar could be shorter
LOOKS = 8  # entries of a tensor that are looked at closely where they disagree, once a verdict is certain
NARROW = 3e-11  # part of a slope below which no error bar need be shorter
NEAR = 20  # entries looked at on both sides of the one that a bisection finds
ROUNDS = 20  # times that kinks are taken out of a direction
HALVINGS = 14  # of the steps of a first estimate


class TensorComparison:
    """The comparison of one tensor, whose outcome is filled into a report.

    Attributes
    ----------
    a : array
        The analytic gradient.
    entries : array of int
        Flat indices of what can be moved: finite entries.
    raised : list of Exception
        What forward raised at some steps.
    sampled : bool
        Whether a sample of the entries has been looked at.
    noisiest : float
        The largest noise measured at any entry.
    """

    def __init__(self, whole, report, tensor, a):
        self.whole, self.report, self.tensor, self.a = whole, report, tensor, a
        self.judge, self.rng = whole.judges[report.name], whole.rng
        self.entries = np.flatnonzero(np.isfinite(tensor))
        self.reach = 0.25 * (rms(tensor) or 1.0)  # the largest step
        self.typical = rms(a)  # entry of the gradient
        self.raised = []
        self.sampled = False
        self.noisiest = self.judge.noise  # of all places where it was measured

    def run(self, mode):
        """Compare in one of gradcheck's modes."""
        if mode in ("full", "complex"):
            self._entries(self.entries, mode == "complex")
        elif mode == "sampled":
            self._entries(self._choose())
        else:
            self._directions()
            if mode == "auto" and self.report.verdict == INCONCLUSIVE and 1 < self.entries.size <= FULL:
                self.report.verdict = PASS  # what is wide together may be narrow entry by entry
                self._entries(self.entries)

    def _choose(self):
        """Return flat indices to sample: the largest gradients, the ends, the smallest gradients, and random others."""
        order = self.entries[np.argsort(np.abs(self.a.ravel()[self.entries]))]
        self.sampled = True
        some = [*order[:-3:-1], *self.entries[[0, -1]], *order[:2], *self.rng.permutation(self.entries)]
        return np.array(list(dict.fromkeys(int(i) for i in some))[: self.whole.samples])

    def _along(self, direction):
        return along(self.whole.problem, self.whole.dy, self.tensor, direction, self.raised)

    def _complex_step(self, direction):
        problem, name = self.whole.problem, self.report.name

        def f(h):
            problem.put(name, self.tensor + h * direction)
            try:
                terms = [(d * y)[d != 0] for d, y in zip(self.whole.dy, problem.forward())]
            finally:
                problem.put(name, self.tensor)
            return sum(t.sum() for t in terms), float(sum(np.abs(np.imag(t)).sum() for t in terms))

        return complex_step(f, rms(self.tensor))

    def _estimate(self, direction):
        """Return an estimate; one from tiny steps, too, if those of ordinary size did not suffice."""
        f, noise = self._along(direction), self.judge.noise
        found = derivative(f, self.reach, halvings=HALVINGS, noise=noise, middle=self.whole.middle)
        if not self._wide(found):
            return found
        closer = look_closely(f, self.reach, noise=noise)
        return closer if closer.error < found.error else found

    def _why_wide(self, found):
        return self.judge._replace(noise=self.noisiest).why_wide(found, self.raised)

    def _wide(self, found):
        """Tell whether a bar could be shorter: it is long, and far longer than rounding makes it."""
        rounding = self.judge.noise * self.whole.size / self.reach
        return found.error > max(NARROW * abs(found.value), 100 * rounding)

    def _look_closely(self, direction, analytic, scale, root_n=1.0):
        """Return an estimate from tiny steps too, and its verdict."""
        found = look_closely(self._along(direction), self.reach, noise=self.judge.noise)
        return found, self.judge.verdict(analytic, found, scale, root_n)

    def _look(self, direction, analytic, scale, root_n=1.0):
        """Do the same, and give no FAIL without a measurement of the noise there.

        A forward in shorter numbers is a staircase, flat between its jumps: tiny steps say that its slope is 0.
        """
        found, verdict = self._look_closely(direction, analytic, scale, root_n)
        f = self._along(direction)
        noise = noise_floor(f, 4 * self.reach) if verdict == FAIL and math.isfinite(analytic) else 0.0
        if noise <= self.judge.noise:
            return found, verdict
        self.noisiest = max(self.noisiest, noise)
        others = cotangent(self.rng, self.tensor.shape) * (direction == 0)  # near a pole what is smooth looks like noise
        everywhere = min(noise, noise_floor(self._along(others), 4 * self.reach))
        self.judge = self.judge._replace(noise=max(self.judge.noise, everywhere))
        coarse = derivative(f, self.reach, noise=noise)
        coarse = coarse if math.isfinite(coarse.error) else look_closely(f, self.reach, noise=noise)
        verdict = self.judge.verdict(analytic, coarse, scale, root_n)
        return (found, FAIL) if verdict == FAIL else (coarse, verdict)

    def _entries(self, entries, use_complex=False):
        """Compare single entries, and fill the report in; return those at kinks."""
        found = {}
        for i in entries:
            direction = _unit(self.tensor.shape, i)
            try:
                found[i] = self._complex_step(direction) if use_complex else self._estimate(direction)
            except TypeError as refused:
                if not use_complex:
                    raise
                self.report.verdict, self.report.reason = INCONCLUSIVE, f"no complex input: {refused}"
                return set()
        values = np.array([estimate.value for estimate in found.values()])
        scale = rms(values)
        verdicts = {i: self.judge.verdict(float(self.a.flat[i]), found[i], scale) for i in entries}
        if use_complex and FAIL in verdicts.values() and self._not_analytic(found, verdicts, scale):
            return set()
        if not use_complex:
            self._confirm(found, verdicts, scale)
        self._settle(found, verdicts)
        return {i for i in entries if isinstance(found[i], Kink)}

    def _not_analytic(self, found, verdicts, scale):
        """Tell whether the complex step is wrong and not backward, by a difference of real numbers; say so."""
        worst = max((i for i in verdicts if verdicts[i] == FAIL), key=lambda i: _off(self.a.flat[i], found[i]))
        real, verdict = self._look(_unit(self.tensor.shape, worst), float(self.a.flat[worst]), scale)
        if verdict == FAIL:
            return False
        self.report.verdict, self.report.reason = INCONCLUSIVE, (
            f"the function is not analytic (abs, a maximum, a comparison, .real?): at {self._index(worst)} the complex "
            f"step gives {found[worst].value:.6g}, a difference {real.value:.6g}: use another mode"
        )
        return True

    def _confirm(self, found, verdicts, scale):
        """Look again, with tiny steps, at the entries in doubt, the worst first: only what this upholds counts."""
        doubtful = [i for i, verdict in verdicts.items() if verdict != PASS]
        doubtful.sort(key=lambda i: (-VERDICTS.index(verdicts[i]), -_off(self.a.flat[i], found[i])))
        upheld = set()
        for looks, i in enumerate(doubtful):
            if looks >= LOOKS and {verdicts[i], FAIL} & upheld:
                return
            analytic = float(self.a.flat[i])
            if verdicts[i] == FAIL or self.judge.verdict(analytic, Estimate(analytic, 0.0), scale) == PASS:
                found[i], verdicts[i] = self._look(_unit(self.tensor.shape, i), analytic, scale)
            upheld.add(verdicts[i])

    def _index(self, i):
        return tuple(int(n) for n in np.unravel_index(i, self.a.shape))

    def _settle(self, found, verdicts):
        """Give the verdict, and name the worst entry, unless what was found before is worse."""
        report, a = self.report, self.a
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
        report.reason = report.hint = ""
        if report.verdict == FAIL:
            report.reason = f"{few} checked are wrong{_slopes(found[worst])}"
            like = {name: part for name, part in self.whole.like.items() if part.shape == a.shape}
            report.hint = hint(a, numeric, wrong, self.whole.sizes, {report.name: self.tensor} | like)
            report.hint = report.hint or rows_added_up(self.whole.problem, self.whole.dy, self.tensor, a)
        elif report.verdict == INCONCLUSIVE:
            report.reason = f"{few} have too wide an error bar to tell: {self._why_wide(found[worst])}"
        elif report.verdict == KINK:
            report.reason = f"{few} are at a kink{_slopes(found[worst])}"
        report.index = self._index(worst)
        report.analytic, report.numeric, report.error = (float(x.flat[worst]) for x in (a, numeric, error))

    def _directions(self):
        """Compare random directions; where one fails, look at entries, and go by halves to the wrong one.

        Near a singularity gradients are large and bars wide, and one such entry makes the bars of all directions wide.
        So where they are wide, directions through an eighth of the entries each follow, from the smallest gradients to
        the largest: of these the last is wide, the others need not be.
        """
        report, kinks, wide = self.report, set(), False
        for _ in range(1 if self.entries.size == 1 else self.whole.directions):
            compared = self._one_direction(kinks, self.entries)
            self._settle_direction(*compared)
            if report.verdict == FAIL:
                return
            wide = wide or self._wide(compared[2])
        if report.verdict == PASS and report.index is None:
            _, analytic, found, _ = compared
            report.analytic, report.numeric, report.error = analytic, found.value, found.error
        if not wide or report.verdict == INCONCLUSIVE:
            return
        order = self.entries[np.argsort(np.abs(self.a.ravel()[self.entries]))]
        for part in np.array_split(order, min(PARTS, order.size)):
            compared = self._one_direction(kinks, np.sort(part))
            if compared[0] == FAIL:
                self._settle_direction(*compared)
                return

    def _settle_direction(self, verdict, analytic, found, why):
        """Fill the report in, unless what was found before is worse."""
        report = self.report
        if VERDICTS.index(report.verdict) < VERDICTS.index(verdict):
            report.verdict, report.reason, report.index = verdict, f"a direction through the tensor: {why}", None
            report.analytic, report.numeric, report.error = analytic, found.value, found.error

    def _one_direction(self, kinks, entries):
        """Compare a random direction: verdict, analytic, numeric, reason; entries that fail go into the report.

        A direction through several kinks proves nothing: it takes the left slope of one and the right slope of another.
        So the kinks that are known, or found on the way, are left out, and the direction is tried again.
        """
        direction = cotangent(self.rng, self.tensor.shape)
        for _ in range(ROUNDS):
            direction.flat[list(kinks)] = 0
            compared = self._direction(direction, entries, self._look_closely)
            self.report.checked += 1
            if compared[0] == PASS:
                return *compared, ""
            if compared[0] == INCONCLUSIVE:
                return *compared, self._why_wide(compared[2])
            more = self._entries(self._suspects(direction, entries)) - kinks
            if self.report.verdict in (FAIL, INCONCLUSIVE):
                return self.report.verdict, *compared[1:], ""
            if not more:
                verdict, *compared = self._direction(direction, entries, self._look)
                why = "unlike the entries looked at" if verdict == FAIL else self._why_wide(compared[1])
                return verdict, *compared, f"{verdict}, {why}"
            kinks |= more
        return INCONCLUSIVE, *compared[1:], "it crosses more kinks than can be left out"

    def _direction(self, direction, entries, look=None):
        """Compare one direction through some of the entries, and look again in doubt: verdict, analytic, numeric."""
        part = np.zeros(self.tensor.size)
        part[entries] = direction.ravel()[entries]
        part = part.reshape(self.tensor.shape)
        moved = part != 0
        analytic, root_n = float((self.a[moved] * part[moved]).sum()), math.sqrt(len(entries))  # (1)
        scale = self.typical * root_n
        estimate = self._estimate(part)
        verdict = self.judge.verdict(analytic, estimate, scale, root_n)
        if look and verdict != PASS:
            estimate, verdict = look(part, analytic, scale, root_n)
        return verdict, analytic, estimate

    def _suspects(self, direction, entries):
        """Return which of the entries to look at where a direction through them fails: all, or some of the worst."""
        if entries.size <= FULL:
            return entries
        at = np.searchsorted(entries, self._bisect(direction, entries))
        near = entries[max(0, at - NEAR) : at + NEAR + 1]
        return np.union1d(near, [] if self.sampled else self._choose()).astype(int)

    def _bisect(self, direction, entries):
        """Return the flat index of an entry that makes a direction fail, going each time to the worse half."""
        while len(entries) > 1:
            halves = np.array_split(entries, 2)
            off = [_off(*self._direction(direction, half)[1:]) for half in halves]
            entries = halves[int(np.argmax(off))]
        return int(entries[0])


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
