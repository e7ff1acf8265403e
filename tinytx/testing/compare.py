"""The comparison of a backward's gradients with finite differences, tensor by tensor and entry by entry."""

import math

import numpy as np

from tinytx.testing.hints import hint
from tinytx.testing.numeric import EPS, Kink, complex_step, derivative, look_closely
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, TensorReport

FULL = 400  # entries up to which each is looked at
LOOKS = 24  # entries of a tensor that are looked at closely where they disagree


def rms(array):
    """Return the root mean square, 0 for an empty array."""
    return math.sqrt(float(np.mean(np.square(array)))) if array.size else 0.0


def cotangent(rng, shape):
    """Return random weights for the outputs, none of them small: a sign times 0.5 to 1.5."""
    return rng.choice((-1.0, 1.0), shape) * rng.uniform(0.5, 1.5, shape)


class Comparison:
    """The comparison of one problem's tensors, one after the other."""

    def __init__(self, problem, dy, rtol, samples, directions, rng):
        self.problem, self.dy, self.rtol, self.rng = problem, dy, rtol, rng
        self.samples, self.directions = samples, directions
        self.analytic = problem.gradients(dy)
        self.left = problem.left
        self.wobble = self._wobble()
        self.noise = max(4 * EPS, self._noise())
        self.sizes = {n for t in (*problem.tensors.values(), *dy) for n in t.shape}

    def _wobble(self):
        """Return {name: root mean square change of the gradient} when every tensor is rounded anew."""
        kept = {name: tensor.copy() for name, tensor in self.problem.tensors.items()}
        total = dict.fromkeys(kept, 0.0)
        for _ in range(2):
            for name, tensor in self.problem.tensors.items():
                tensor[...] = kept[name] * (1 + 2 * EPS * self.rng.choice((-1.0, 1.0), tensor.shape))
            for name, moved in self.problem.gradients(self.dy).items():
                if moved is not None and np.shape(moved) == np.shape(self.analytic[name]):
                    total[name] = max(total[name], float(np.abs(moved - self.analytic[name]).max(initial=0.0)))
        for name, tensor in self.problem.tensors.items():
            tensor[...] = kept[name]
        return total

    def _noise(self):
        """Return the forward's rounding error relative to its size, where it is more than float64's own.

        Between x - d, x and x + d with d = 1e-7 x a smooth forward is straight to 14 digits; one that computes in
        float32 inside is a staircase, whose steps are its noise.
        """
        value, size = self.problem.value(self.dy)
        worst = 0.0
        for tensor in self.problem.tensors.values():
            kept, step = tensor.copy(), 1e-7 * self.rng.uniform(-1, 1, tensor.shape)
            sides = []
            for sign in (1, -1):
                tensor[...] = kept * (1 + sign * step)
                sides.append(self.problem.value(self.dy)[0])
            tensor[...] = kept
            worst = max(worst, abs(sides[0] - 2 * value + sides[1]))
        return worst / size if worst > 1e-11 * size else 0.0

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
        if "directional" in modes and report.verdict in (PASS, KINK) and len(entries) < tensor.size or modes == ("directional",):
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
            if isinstance(h, complex):
                return self._complex(tensor, kept + h * direction)
            tensor[...] = kept + h * direction
            value = self.problem.value(self.dy)
            tensor[...] = kept
            return value

        return f

    def _complex(self, tensor, moved):
        position = next(i for i, value in enumerate(self.problem.inputs) if value is tensor)
        self.problem.inputs[position] = moved
        try:
            terms = [d * y for d, y in zip(self.dy, self.problem.forward())]
        finally:
            self.problem.inputs[position] = tensor
        return sum(t.sum() for t in terms), float(sum(np.abs(np.imag(t)).sum() for t in terms))

    def _entries(self, report, tensor, a, entries, use_complex):
        """Compare single entries, and fill the report in."""
        numeric, error = np.full(a.shape, np.nan), np.zeros(a.shape)
        h0 = 0.25 * (rms(tensor) or 1.0)
        for i in entries:
            f = self._along(tensor, _unit(tensor.shape, i))
            try:
                estimate = complex_step(f, 4 * h0) if use_complex else derivative(f, h0, noise=self.noise)
            except TypeError as refused:
                report.verdict, report.reason = INCONCLUSIVE, f"no complex input: {refused}"
                return
            numeric.flat[i], error.flat[i] = estimate
        report.checked += len(entries)
        known = np.isfinite(numeric)
        scale = rms(numeric[known])
        bars = 3 * error + 10 * self.wobble[report.name]
        size = np.maximum(np.maximum(np.abs(a), np.abs(np.where(known, numeric, 0))), scale)
        excess = np.where(np.isin(np.arange(a.size), entries).reshape(a.shape), np.abs(a - numeric), 0.0)
        excess = np.where(np.isfinite(excess), excess, np.inf)
        wrong = excess > self.rtol * size + bars
        wide = known & (bars > np.maximum(1e-6 * size, 1e-9 * self._natural(tensor))) & ~wrong
        kinks = {}
        if (wrong | wide).any() and not use_complex:
            kinks = self._look_closely(tensor, a, numeric, error, wrong, wide, excess, scale, report.name)
        self._settle(report, a, numeric, error, wrong, wide, kinks)

    def _natural(self, tensor):
        """Return the size that a gradient would have if the tensor mattered: what is far below it counts as 0."""
        return self.problem.value(self.dy)[1] / (rms(tensor) or 1.0)

    def _look_closely(self, tensor, a, numeric, error, wrong, wide, excess, scale, name):
        """Measure again, with tiny steps, the worst of the entries in doubt; return the kinks among them."""
        kinks, h0 = {}, 0.25 * (rms(tensor) or 1.0)
        doubtful = np.flatnonzero(wrong | wide)
        for i in doubtful[np.argsort(-excess.flat[doubtful], kind="stable")][:LOOKS]:
            found = look_closely(self._along(tensor, _unit(tensor.shape, i)), h0, noise=self.noise)
            wide.flat[i] = False
            if isinstance(found, Kink):
                slack = self.rtol * max(map(abs, found)) + 1e-3 * abs(found.left - found.right)
                wrong.flat[i] = not min(found) - slack <= a.flat[i] <= max(found) + slack
                kinks[int(i)] = found
                numeric.flat[i] = sum(found) / 2
            elif found.error <= error.flat[i]:
                numeric.flat[i], error.flat[i] = found
                bar = 3 * found.error + 10 * self.wobble[name]
                size = max(abs(a.flat[i]), abs(found.value), scale)
                wrong.flat[i] = not abs(a.flat[i] - found.value) <= self.rtol * size + bar
                wide.flat[i] = bar > max(1e-6 * size, 1e-9 * self._natural(tensor)) and not wrong.flat[i]
            else:
                wide.flat[i] = not wrong.flat[i]
        return kinks

    def _settle(self, report, a, numeric, error, wrong, wide, kinks):
        """Give the verdict, and name the worst entry."""
        difference = np.where(np.isfinite(numeric), np.abs(a - numeric), -1.0)
        difference = np.where(np.isnan(difference), np.inf, difference)
        if wrong.any():
            report.verdict, worst = FAIL, int(np.argmax(np.where(wrong, difference, -1.0)))
            report.reason = report.reason or f"{int(wrong.sum())} of {report.checked} entries checked are wrong"
            report.hint = hint(a, numeric, wrong, self.sizes)
        elif wide.any():
            report.verdict, worst = INCONCLUSIVE, int(np.argmax(np.where(wide, error, -1.0)))
            report.reason = f"the error bar of {int(wide.sum())} entries is too wide to tell{self._why_wide()}"
        elif kinks:
            report.verdict, worst = KINK, next(iter(kinks))
            left, right = kinks[worst]
            report.reason = f"{len(kinks)} kinks; at this one the slope is {left:.6g} on the left, {right:.6g} on the right"
        else:
            report.verdict, report.reason, worst = PASS, "", int(np.argmax(difference))
        report.index = tuple(int(i) for i in np.unravel_index(worst, a.shape))
        report.analytic, report.numeric, report.error = (float(x.flat[worst]) for x in (a, numeric, error))

    def _why_wide(self):
        return f": forward is only exact to {self.noise:.0e} (float32 inside?)" if self.noise > 1e-10 else ""

    def _directions(self, report, tensor, a):
        """Compare random directions; where one fails, go by halves to an entry and its neighbours."""
        everything = np.arange(tensor.size)
        for _ in range(self.directions):
            direction = cotangent(self.rng, tensor.shape)
            verdict, found, estimate = self._direction(report, tensor, a, direction, everything)
            report.checked += 1
            if verdict != PASS:
                at = self._bisect(report, tensor, a, direction)
                near = np.unique(np.clip(np.arange(at - 20, at + 21), 0, a.size - 1))
                entries = everything if a.size <= FULL else near
                before = report.checked
                self._entries(report, tensor, a, entries, False)
                if report.verdict == PASS:
                    report.verdict = verdict
                    report.reason = "a direction through the tensor disagrees, the single entries do not"
                    report.analytic, report.numeric, report.error, report.index = found, *estimate, None
                report.checked = before + len(entries)
                return
        if report.index is None:
            report.analytic, report.numeric, report.error = found, *estimate

    def _direction(self, report, tensor, a, direction, entries):
        """Compare one direction through some of the entries: verdict, analytic, numeric."""
        part = np.zeros(tensor.size)
        part[entries] = direction.ravel()[entries]
        part = part.reshape(tensor.shape)
        analytic = float((a * part).sum())
        h0 = 0.25 * (rms(tensor) or 1.0)
        estimate = derivative(self._along(tensor, part), h0, halvings=14, noise=self.noise)
        bar = 3 * estimate.error + 10 * self.wobble[report.name] * math.sqrt(len(entries))
        size = max(abs(analytic), abs(estimate.value), rms(a) * math.sqrt(len(entries)))
        if not abs(analytic - estimate.value) <= self.rtol * size + bar:
            return FAIL, analytic, estimate
        wide = bar > max(1e-6 * size, 1e-9 * self._natural(tensor))
        return (INCONCLUSIVE if wide else PASS), analytic, estimate

    def _bisect(self, report, tensor, a, direction):
        """Return the flat index of an entry that makes a direction fail, going each time to the worse half."""
        entries = np.arange(tensor.size)
        while len(entries) > 1:
            halves = np.array_split(entries, 2)
            off = [self._direction(report, tensor, a, direction, half)[1:] for half in halves]
            entries = max(zip(halves, off), key=lambda pair: _gap(*pair[1]))[0]
        return int(entries[0])


def _gap(analytic, estimate):
    """Return how far off a comparison is, beyond its error bar."""
    gap = abs(analytic - estimate.value) - 3 * estimate.error
    return math.inf if math.isnan(gap) else gap


def _unit(shape, i):
    """Return the direction of one entry."""
    direction = np.zeros(shape)
    direction.flat[i] = 1.0
    return direction
