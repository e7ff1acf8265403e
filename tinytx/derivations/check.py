r"""Executes a derivation: every equation on random arrays, every gradient against complex steps, and the end against the code."""

from dataclasses import dataclass, field, replace

import numpy as np

from tinytx.derivations import reader
from tinytx.derivations.evaluate import TOLERANCE, Environment
from tinytx.derivations.named import Named
from tinytx.derivations.scene import functions
from tinytx.derivations.table import TABLE
from tinytx.derivations.tree import Call, Join, Name, NotationError, UnknownName, walk


@dataclass
class Result:
    """What the check of one scene did.

    Parameters
    ----------
    environment : Environment
        All arrays by name.
    inputs : dict of str to array
        What was drawn at random or given.
    shown : dict of int to list of (str, array, axes)
        For each line of the file, by its number, the left sides of the equations that end in it, and their values.
    equalities, gradients, compared : int
        How many equalities were tried, gradients compared with complex steps, and results compared with the code.
    error : float
        The largest difference, relative to the largest number of the array.
    saved : object
        What the operation keeps for its backward, if the scene's ``run`` tells it.
    stated : dict of int to list of Chain
        The equations that were executed, by line.
    """

    environment: Environment
    inputs: dict
    shown: dict = field(default_factory=dict)
    equalities: int = 0
    gradients: int = 0
    compared: int = 0
    error: float = 0.0
    saved: object = None
    stated: dict = field(default_factory=dict, repr=False)
    waiting: list = field(default_factory=list, repr=False)  # equations within a recurrence whose last one is still to come

    def kept(self):
        """Return a copy that equations executed later do not change."""
        shown, stated = ({line: list(entries) for line, entries in lines.items()} for lines in (self.shown, self.stated))
        return replace(self, environment=self.environment.kept(), shown=shown, stated=stated, waiting=list(self.waiting))


@dataclass
class Trail:
    """What a run came by, so that runs of changed pages, in the same scene with the same numbers, do only what the change concerns.

    Parameters
    ----------
    steps : list of (int, Chain, Result, list)
        Before each equation: its line, the equation, the result so far, and equations that have to wait. Empty before the first run.
    gradients : dict of str to (list of Definition, Named)
        Gradients by complex steps, and the definitions from which they follow.
    computed : dict or None
        What the code gives.
    """

    steps: list = field(default_factory=list)
    gradients: dict = field(default_factory=dict)
    computed: dict | None = None

    def entered(self, equations):
        """Return (result, equations that have to wait, how many are done) before the first equation that is another one."""
        done = 0
        while done + 1 < min(len(self.steps), len(equations)) and self.steps[done][:2] == equations[done]:
            done += 1
        _, _, result, later = self.steps[done]
        return result.kept(), list(later), done

    def gradient(self, environment, name):
        """Return the gradient of a name by complex steps: that of the first run if it follows from the same definitions."""
        used = environment.behind_loss()
        known, gradient = self.gradients.get(name, (None, None))
        if known != used:
            gradient = environment.gradient(name)
            self.gradients.setdefault(name, (used, gradient))
        return gradient


def check(name, *, page=None, seed=0, trails=None):
    """Execute a derivation in all its scenes.

    Parameters
    ----------
    name : str
        An operation of the table.
    page : Page, optional
        The derivation, if it is not the one in the operation's file.
    seed : int
    trails : list of Trail, optional
        One for each scene. The first check, of the page in the operation's file, fills them; those of changed pages use them.

    Returns
    -------
    list of Result
        One for each scene.

    Raises
    ------
    NotationError
        At the first equation that cannot be read or does not hold, and the first result that differs from the code's.
    """
    row = TABLE[name]
    page = reader.read(name, whole=row.whole) if page is None else page
    trails = [Trail() for _ in row.scenes] if trails is None else trails
    if not trails[0].steps:
        for twin in row.twins.values():
            twin()
    return [
        run(name, page, scene, np.random.default_rng(seed), trail=trail)
        for scene, trail in zip(row.scenes, trails, strict=True)
    ]  # fmt: skip


def computed(name, scene, values, forward=None, backward=None):
    """Return what the code gives, a dict by the equations' names, with what it saves as "saved".

    Parameters
    ----------
    name : str
    scene : Scene
    values : dict of str to array
        As `drawn` returns them.
    forward, backward : callable, optional
        In the place of the operation's own.
    """
    own = functions(name, scene.function)
    return (scene.run or _called(scene))(values, forward or own[0], backward or own[1])


def run(name, page, scene, rng, *, sizes=None, digits=None, like=None, trail=None):
    """Execute a derivation in one scene, and return its Result.

    Parameters
    ----------
    name : str
    page : Page
    scene : Scene
    rng : numpy.random.Generator
    sizes : dict of str to int, optional
        Lengths of axes in the place of the scene's.
    digits : int, optional
        To how many digits after the point the random numbers are rounded.
    like : dict of str to array, optional
        Inputs of another scene, which are taken where this one has the same.
    trail : Trail, optional
        Of an earlier run with the same numbers.
    """
    equations = [
        (line.line, chain) for line in page.lines for chain in line.chains if chain.number not in scene.without
    ]
    trail = Trail() if trail is None else trail
    is_first = not trail.steps
    result, later, done = (_begun(scene, rng, sizes, digits, like), [], 0) if is_first else trail.entered(equations)
    while equations:
        for line, chain in equations[done:]:
            if is_first:
                trail.steps.append((line, chain, result.kept(), list(later)))
            try:
                _state(result, line, chain)
            except UnknownName:
                if not scene.without:  # else an equation further down may stand in the place of one left out
                    raise
                later.append((line, chain))
        if len(later) == len(equations):
            _state(result, *later[0])
        equations, later, done, is_first = later, [], 0, False
    result.environment.finished()
    _check_gradients(name, result, trail)
    _compare(name, scene, result, trail)
    return result


def _begun(scene, rng, sizes, digits, like):
    """Return a Result before its first equation."""
    sizes = scene.sizes if sizes is None else sizes
    values = drawn(scene, rng, sizes, digits, like)
    named = {key: _stored(value, scene.all_axes(key)) for key, value in values.items()}
    ranges = {letter: sizes[axis] for letter, axis in scene.ranges.items()}
    return Result(Environment(named, {output: f"d{output}" for output in scene.outputs}, ranges), values)


def _state(result, line, chain):
    """Execute an equation, and note what it did."""
    environment, first = result.environment, chain.sides[0]
    parts = first.parts if isinstance(first, Join) else (first,)
    is_new = all(isinstance(part, Name) and part.base not in environment.values for part in parts)
    errors = environment.state(chain)
    result.equalities += len(errors) - is_new
    result.error = max([result.error, *errors])
    result.shown.setdefault(line, [])
    result.stated.setdefault(line, []).append(chain)
    if not (isinstance(first, Call) and first.function in environment.definitions):
        result.waiting.append((line, chain))
    if not environment.waiting:
        for line, chain in result.waiting:
            first = chain.sides[0]
            value = environment.value(chain.sides[1] if environment.is_unfinished(first) else first)
            result.shown[line].append((chain.texts[0], *_in_order(value, first)))
        result.waiting.clear()


def _in_order(value, node):
    """Return (array, axes): first those that equations leave out, then letters in the order in which they are written."""
    indices = [index for name in walk(node) if isinstance(name, Name) for index in name.indices or ()]
    written = [part.base for index in indices for part in walk(index) if isinstance(part, Name)]
    axes = [axis for axis in value.axes if len(axis) > 2]
    axes += sorted((axis for axis in value.axes if len(axis) == 1), key=lambda axis: (axis not in written, written.index(axis)))
    axes += value.bare
    return value.ordered(axes), tuple(axes)


def drawn(scene, rng, sizes, digits=None, like=None):
    """Return random arrays of a scene, and scalars, by the equations' names."""
    values = {}
    for key in scene.names:
        if key in scene.given:
            values[key] = scene.given[key]
        else:
            values[key] = _random(rng, [sizes[axis] for axis in scene.axes(key)], digits)
    values |= {key: float(sizes[axis]) for key, axis in scene.counts.items()}
    for output in scene.outputs:
        values[f"d{output}"] = _random(rng, [sizes[axis] for axis in scene.axes(output)], digits)
    for key in values.keys() & (like or {}).keys() - scene.given.keys():
        if np.shape(values[key]) == np.shape(like[key]):
            values[key] = like[key]
    if scene.draw is not None:
        scene.draw(values, rng)
    return values


def _random(rng, shape, digits):
    array = rng.normal(size=shape)
    return array if digits is None else np.round(array, digits) + 0.0


def _stored(value, axes):
    """Return a Named whose axes of one letter are numbered: equations may call them by any letter. One letter may stand twice."""
    numbers = iter(range(len(axes)))
    data = Named(np.asarray(value), tuple(str(next(numbers)) if len(axis) == 1 else axis for axis in axes))
    order = tuple(sorted(data.axes, key=str.isdigit))  # the others first, each in their order
    return Named(data.ordered(order), order)


def _check_gradients(name, result, trail):
    """Compare each name that is the gradient of another, such as dn of n, with complex steps."""
    environment = result.environment
    for gradient, claimed in list(environment.values.items()):
        original = gradient[1:]
        if not gradient.startswith("d") or original not in environment.values or gradient in environment.outputs.values():
            continue
        true = trail.gradient(environment, original)
        if set(true.axes) != set(claimed.axes):
            axes = [axis for axis in claimed.axes if axis not in true.axes] or [a for a in true.axes if a not in claimed.axes]
            raise NotationError(f"{name}: {gradient} has other axes than {original}: {', '.join(axes)} in one of them only")
        result.error = max(result.error, _distance(name, gradient, claimed.ordered(true.axes), true.data, "complex steps"))
        result.gradients += 1


def _compare(name, scene, result, trail):
    """Compare outputs and gradients with what the code returns."""
    if trail.computed is None:
        trail.computed = computed(name, scene, result.inputs)
    results = dict(trail.computed)
    result.saved = results.pop("saved", None)
    for key, result_of_code in results.items():
        if key not in result.environment.values:
            raise NotationError(f"{name}: {key}, which the code returns, is defined by no equation")
        axes = scene.axes(key if key in scene.outputs else key[1:])
        ours = result.environment.values[key]
        wanted = _stored(result_of_code, axes)
        if set(ours.axes) != set(wanted.axes):
            raise NotationError(f"{name}: {key} of the equations has axes {ours.axes}, and of the code {wanted.axes}")
        result.error = max(result.error, _distance(name, key, ours.ordered(wanted.axes), wanted.data, "the code"))
        result.compared += 1


def _called(scene):
    """Return a function that calls an operation with a scene's arguments, and its backward."""

    def call(values, forward, backward):
        y, saved = forward(**{scene.argument(key): values[key] for key in scene.names})
        (output,) = scene.outputs
        gradients = backward(values[f"d{output}"], saved)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        return {output: y, "saved": saved} | dict(zip((f"d{key}" for key in scene.gradients.split()), gradients, strict=True))

    return call


def _distance(name, key, ours, theirs, whose):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise NotationError(f"{name}: {key} of the equations has shape {ours.shape}, that of {whose} {theirs.shape}")
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    distance = np.abs(ours - theirs)
    if not distance.max(initial=0.0) <= TOLERANCE * scale:
        worst = np.unravel_index(np.argmax(np.nan_to_num(distance, nan=np.inf)), distance.shape)
        place = f" at {tuple(int(i) for i in worst)}" if worst else ""
        raise NotationError(f"{name}: {key}{place} is {ours[worst]:.9g} by the equations, and {theirs[worst]:.9g} by {whose}")
    return float(distance.max(initial=0.0)) / scale
