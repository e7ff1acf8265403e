"""Compares the gradient of one tensor with finite differences: along directions, then entry by entry.

Why a few directions are enough
-------------------------------
Along a direction d the objective L has the slope sum_i d_i g_i, g being the right gradient. A backward that returns a
instead of g gives sum_i d_i a_i. The two differ by

    sum_i d_i (a_i - g_i).                                               (1)

No weight d_i is small: each is a sign times 0.5 to 1.5. So one wrong entry changes (1) by at least half of its error.
Several errors cancel only for special weights, and these are random. The rounding error of a finite difference is that
of L divided by the step (`numeric`, equation 3), the same for a direction as for an entry. So three directions find the
same mistakes as one comparison for each entry. If a direction fails, entries are compared one by one, to find the place
and a hint, and because a direction cannot tell a kink from a mistake.
"""

import math

import numpy as np

from tinytx.testing.hints import hint
from tinytx.testing.numeric import Estimate, Kink, derivative, look_closely, noise_floor
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS
from tinytx.testing.rounding import along, cotangent, rms
from tinytx.testing.rows import rows_added_up

FULL = 400  # in a tensor of up to this many entries, all are compared
PARTS = 8  # the parts of a direction with a wide error bar
LOOKS = 8  # the number of disagreeing entries that are measured again after the verdict is certain
NARROW = 3e-11  # an error bar below this share of the slope is narrow enough
NEAR = 20  # the number of entries compared on both sides of the one that a bisection finds
ROUNDS = 20  # how often kinks are removed from a direction
HALVINGS = 14  # how often the step of a first estimate is halved


class TensorComparison:
    """The comparison of one tensor; its result is written into a report.

    Attributes
    ----------
    a : array
        The analytic gradient.
    entries : array of int
        Flat indices of the finite entries, which can be moved.
    raised : list of Exception
        The exceptions that forward raised at some steps.
    sampled : bool
        Whether a sample of the entries has been compared.
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
        if mode == "full":
            self._entries(self.entries)
        elif mode == "sampled":
            self._entries(self._choose())
        else:
            self._directions()
            if mode == "auto" and self.report.verdict == INCONCLUSIVE and 1 < self.entries.size <= FULL:
                self.report.verdict = PASS  # a wide bar of a direction may be narrow for each entry
                self._entries(self.entries)

    def _choose(self):
        """Return flat indices to sample: the largest gradients, the ends, the smallest gradients, and random others."""
        order = self.entries[np.argsort(np.abs(self.a.ravel()[self.entries]))]
        self.sampled = True
        some = [*order[:-3:-1], *self.entries[[0, -1]], *order[:2], *self.rng.permutation(self.entries)]
        return np.array(list(dict.fromkeys(int(i) for i in some))[: self.whole.samples])

    def _along(self, direction):
        return along(self.whole.problem, self.whole.dy, self.tensor, direction, self.raised)

    def _estimate(self, direction):
        """Return an estimate; if its error bar is wide, a better one that also uses tiny steps."""
        f, noise = self._along(direction), self.judge.noise
        found = derivative(f, self.reach, halvings=HALVINGS, noise=noise, middle=self.whole.middle)
        if not self._wide(found):
            return found
        closer = look_closely(f, self.reach, noise=noise)
        return closer if closer.error < found.error else found

    def _why_wide(self, found):
        return self.judge._replace(noise=self.noisiest).why_wide(found, self.raised)

    def _wide(self, found):
        """Return whether an error bar is wide, and much wider than rounding alone makes it."""
        rounding = self.judge.noise * self.whole.size / self.reach
        return found.error > max(NARROW * abs(found.value), 100 * rounding)

    def _look_closely(self, direction, analytic, scale, root_n=1.0):
        """Return an estimate from tiny steps too, and its verdict."""
        found = look_closely(self._along(direction), self.reach, noise=self.judge.noise)
        return found, self.judge.verdict(analytic, found, scale, root_n)

    def _look(self, direction, analytic, scale, root_n=1.0):
        """Do the same, but measure the noise there before the verdict FAIL.

        A forward in float32 or float16 is a staircase, flat between its jumps: tiny steps measure a slope of 0.
        """
        found, verdict = self._look_closely(direction, analytic, scale, root_n)
        f = self._along(direction)
        noise = noise_floor(f, 4 * self.reach) if verdict == FAIL and math.isfinite(analytic) else 0.0
        if noise <= self.judge.noise:
            return found, verdict
        self.noisiest = max(self.noisiest, noise)
        others = cotangent(self.rng, self.tensor.shape) * (direction == 0)  # near a pole a smooth function looks noisy
        everywhere = min(noise, noise_floor(self._along(others), 4 * self.reach))
        self.judge = self.judge._replace(noise=max(self.judge.noise, everywhere))
        coarse = derivative(f, self.reach, noise=noise)
        coarse = coarse if math.isfinite(coarse.error) else look_closely(f, self.reach, noise=noise)
        verdict = self.judge.verdict(analytic, coarse, scale, root_n)
        return (found, FAIL) if verdict == FAIL else (coarse, verdict)

    def _entries(self, entries):
        """Compare single entries and write the report; return the entries at kinks."""
        found = {i: self._estimate(_unit(self.tensor.shape, i)) for i in entries}
        scale = rms(np.array([estimate.value for estimate in found.values()]))
        verdicts = {i: self.judge.verdict(float(self.a.flat[i]), found[i], scale) for i in entries}
        self._confirm(found, verdicts, scale)
        self._settle(found, verdicts)
        return {i for i in entries if isinstance(found[i], Kink)}

    def _confirm(self, found, verdicts, scale):
        """Compare doubtful entries again with tiny steps, the worst first; only confirmed verdicts remain."""
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
        """Write the verdict and the worst entry into the report, unless it holds a worse verdict."""
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
        """Compare random directions; if one fails, compare entries, and find the wrong one by bisection.

        Near a singularity gradients are large and error bars wide, and one such entry makes the bar of every direction
        wide. So if a bar is wide, directions through an eighth of the entries each are compared, from the smallest
        gradients to the largest: only the last of them has to have a wide bar.
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
        """Write the verdict of a direction into the report, unless it holds a worse one."""
        report = self.report
        if VERDICTS.index(report.verdict) < VERDICTS.index(verdict):
            report.verdict, report.reason, report.index = verdict, f"a direction through the tensor: {why}", None
            report.analytic, report.numeric, report.error = analytic, found.value, found.error

    def _one_direction(self, kinks, entries):
        """Return (verdict, analytic, numeric, reason) of a random direction; entries that fail go into the report.

        A direction through several kinks proves nothing: it mixes the left slope of one with the right slope of
        another. So entries at kinks are removed from the direction, and it is compared again.
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
        """Return (verdict, analytic, numeric) of a direction through some entries; ``look`` measures again in doubt."""
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
        """Return the entries to compare after a direction through them failed: all, or some of the worst."""
        if entries.size <= FULL:
            return entries
        at = np.searchsorted(entries, self._bisect(direction, entries))
        near = entries[max(0, at - NEAR) : at + NEAR + 1]
        return np.union1d(near, [] if self.sampled else self._choose()).astype(int)

    def _bisect(self, direction, entries):
        """Return the flat index of an entry that makes a direction fail: take the worse half again and again."""
        while len(entries) > 1:
            halves = np.array_split(entries, 2)
            off = [_off(*self._direction(direction, half)[1:]) for half in halves]
            entries = halves[int(np.argmax(off))]
        return int(entries[0])


def _off(analytic, found):
    """Return the absolute difference of the two derivatives; infinity if it is NaN."""
    off = abs(analytic - found.value)
    return math.inf if math.isnan(off) else off


def _slopes(found):
    if not isinstance(found, Kink):
        return ""
    if math.isinf(found.left):
        return "; here the value jumps"
    return f"; here the slope is {found.left:.6g} on the left of a kink, {found.right:.6g} on its right"


def _unit(shape, i):
    """Return the direction of one entry."""
    direction = np.zeros(shape)
    direction.flat[i] = 1.0
    return direction
