"""What a published family of models is, as tables: its names beside ours, its config's keys beside our settings.

A `Family` is data, and this file is all that interprets it, in both directions: so a table that reads a folder writes one, too.

Three things differ between the layouts. PyTorch's linear maps have weights (d_out, d_in), ours (d_in, d_out): what is the
weight of a `Linear` here is transposed there, but not in a family whose maps are ``Conv1D`` (GPT-1 and GPT-2). Several
of our layers may be one of theirs (queries, keys and values): in the tables they have the same name, and stand beside each
other in the order of our parameters. A number, of a block or of an expert, is ``{}``. Some tensors have a name or axes of their own: `Whole`.
"""

import dataclasses
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinytx.core import check_arrays
from tinytx.hub.folder import FLOATS
from tinytx.hub.keys import NEEDED, Key
from tinytx.layers import Linear
from tinytx.layers.init import Zeros
from tinytx.models.config import check_vouched
from tinytx.pretrained import Pooler

NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")  # of a block or an expert, in a path
INITIAL = ("init", "scaled_init", "position_std")  # settings of how a model starts, which no folder says


class Whole(NamedTuple):
    """A tensor that is one parameter of ours, with a name of its own or in another shape.

    Parameters
    ----------
    name : str
    shape : function (config) -> tuple
        Theirs, in which -1 is what is left: (1, -1) of a bias (V,).
    turned : bool, optional
        Whether a linear map's weight is transposed there; as in the whole family if not given.
    """

    name: str
    shape: Callable
    turned: bool | None = None


@dataclasses.dataclass(frozen=True)
class Head:
    """One of the classes that a family is published as: what stands in "architectures".

    Parameters
    ----------
    task : class of Task, or None
        None: the body alone.
    prefix : str
        Of the body's names in a file.
    names : dict
        As `Family.names`, of what is not the body's.
    tensors : dict
        As `Family.tensors`, of what is not the body's.
    settings : function (config.json) -> dict
        Of the task.
    keys : function (task, config.json) -> dict
        What the task's settings are in config.json; given the one that was read, or {}.
    fits : function (task) -> bool
        Whether a task of the class is this one, where several have one class.
    """

    task: type | None = None
    prefix: str = ""
    names: dict = dataclasses.field(default_factory=dict)
    tensors: dict = dataclasses.field(default_factory=dict)
    settings: Callable = lambda published: {}
    keys: Callable = lambda task, kept: {}
    fits: Callable = lambda task: True


class Row(NamedTuple):
    """One tensor of a file: our parameters in it, beside each other, and how it lies."""

    paths: list
    shapes: list  # ours
    turned: bool
    axes: tuple | None  # theirs, if they are not ours: `Whole.shape`

    @property
    def plain(self):
        """The tensor's shape without ``axes``."""
        shape = (*self.shapes[0][:-1], sum(shape[-1] for shape in self.shapes))
        return shape[::-1] if self.turned else shape

    @property
    def shape(self):
        """The tensor's."""
        if self.axes is None:
            return self.plain
        left = math.prod(self.plain) // -math.prod(self.axes)
        return tuple(left if n == -1 else n for n in self.axes)

    def split(self, tensor):
        """Return {our path: array} of a tensor."""
        tensor = tensor.reshape(self.plain)
        ends = np.cumsum([shape[-1] for shape in self.shapes])[:-1]
        return dict(zip(self.paths, np.split(tensor.T if self.turned else tensor, ends, axis=-1), strict=True))

    def join(self, arrays):
        """Return the tensor of {our path: array}, the inverse of `split`."""
        tensor = np.concatenate([arrays[path] for path in self.paths], axis=-1)
        return (tensor.T if self.turned else tensor).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of published models.

    Parameters
    ----------
    model_type : str
        As config.json names it.
    body, config : classes
        Of `tinytx.models`.
    keys : dict of str to Key
        The settings, by the keys of config.json. Where two keys are one setting, they must agree.
    names : dict of str to str
        {path of our layer: their module's name}, both with ``{}`` for a block's number. A layer's ``weight`` and
        ``bias`` have these names on both sides.
    heads : dict of str to Head
        By the names of their classes.
    tensors : dict of str to Whole
        By the paths of our parameters, with ``{}`` for a block's number on both sides.
    fixed : dict of str to tuple
        Keys of config.json, and the values that our model can be; the first is written.
    settings : dict
        Settings that are the same in the whole family.
    copies : dict of str to tuple of str
        Tensors that older files hold twice: {name of the copy: names of others}, without the body's prefix.
    skipped : str
        Pattern of names that are no weights.
    stand_ins : dict of str to str
        {name of a tensor: the skipped one that has its values in older files, where the tensor is missing}.
    old_names : dict of str to str
        Patterns of older names' parts, and what takes their place.
    conv1d : bool
        Whether the body's linear maps are as ours.
    pooler : str
        Their module's name of the linear map that a folder of the body alone may hold, too: `tinytx.pretrained.Pooler`.
    varying : function (config) -> dict
        Names of layers that depend on our config, in place of those in ``names``.
    normalised : function (config.json, names in the file) -> config.json
        For a family whose config does not say all, or says it in more than one way.
    """

    model_type: str
    body: type
    config: type
    keys: dict[str, Key]
    names: dict
    heads: dict
    tensors: dict = dataclasses.field(default_factory=dict)
    fixed: dict = dataclasses.field(default_factory=dict)
    settings: dict = dataclasses.field(default_factory=dict)
    copies: dict = dataclasses.field(default_factory=dict)
    skipped: str = r"(?!)"
    stand_ins: dict = dataclasses.field(default_factory=dict)
    old_names: dict = dataclasses.field(default_factory=dict)
    conv1d: bool = False
    pooler: str = ""
    varying: Callable = lambda config: {}
    normalised: Callable = lambda published, names: published

    # ------------------------------------------------------------------------------------ config.json

    def read_config(self, published):
        """Return our config of a config.json; raise ValueError if it is of a model that we do not have."""
        wrong = [f"{name} is missing" for name, key in self.keys.items() if key.default is NEEDED and name not in published]
        for name, allowed in self.fixed.items():
            if name in published and not any(published[name] is value or published[name] == value for value in allowed):
                wrong.append(f"{name} is {published[name]!r:.80}, expected {' or '.join(map(repr, allowed))}")
        if wrong:
            raise ValueError(f"config.json: {'; '.join(wrong)}")
        settings, said = dict(self.settings), {}
        for name, key in self.keys.items():
            for setting, value in key.read(name, published.get(name, key.default)).items():
                if setting in said and settings[setting] != value:
                    raise ValueError(
                        f"config.json: {name} is {value!r:.80} and {said[setting]} is {settings[setting]!r:.80}, expected the "
                        f"same: in tinytx both are {setting}"
                    )
                settings[setting], said[setting] = value, name
        return self.config(**settings)

    def write_config(self, config, kept):
        """Return a config.json of our config: ``kept``, in which only what is different is replaced."""
        different = self.differences(config)
        if different:
            raise ValueError("; ".join(different))
        published = {name: allowed[0] for name, allowed in self.fixed.items()} | kept | {"model_type": self.model_type}
        for name, key in self.keys.items():
            value = key.write(config)
            ours = key.read(name, value)
            same = ours, {setting: getattr(config, setting) for setting in ours}  # null there may be None here
            if name not in kept or key.read(name, kept[name]) not in same:
                published[name] = value
        return published

    def differences(self, config):
        """Return what is different in our config, for messages, from what is the same in the whole family.

        Dropout is no difference, nor how a model starts: its weights mean the same.
        """
        free = {field.name for field in dataclasses.fields(config) if field.metadata.get("free")} | set(INITIAL)
        own = {name: (getattr(config, name), value) for name, value in self.settings.items() if name not in free}
        return [f"{name} is {ours!r}, expected {theirs!r}" for name, (ours, theirs) in own.items() if ours != theirs]

    # ------------------------------------------------------------------------------------ names

    def rows(self, model, head, prefix):
        """Return {name in a file: Row} of a body's or a task's parameters; ``prefix`` is that of the body's names."""
        layers, rows = dict(model.named_layers()), {}
        body_names = self.names | self.varying(model.config)
        for path, parameter in model.named_parameters():
            layer, _, leaf = path.rpartition(".")
            in_body = head.task is None or path.startswith("body.")
            own = path if head.task is None else path.removeprefix("body.")
            names, whole = (body_names if in_body else head.names), _named((self if in_body else head).tensors, own)
            module = _named(names, own.rpartition(".")[0])
            if module is None and whole is None:
                raise ValueError(f"{self.model_type} has no name for {path}")
            turned = leaf == "weight" and isinstance(layers[layer], Linear) and not (in_body and self.conv1d)
            turned = turned if whole is None or whole.turned is None else whole.turned
            name = (whole.name if whole else f"{module}.{leaf}").format(*NUMBER.findall(own))
            name = prefix + name if in_body else name
            row = rows.setdefault(name, Row([], [], turned, whole.shape(model.config) if whole else None))
            row.paths.append(path)
            row.shapes.append(parameter.data.shape)
        return rows

    def modern(self, name):
        """Return the name of today of a tensor."""
        for old, new in self.old_names.items():
            name = re.sub(old, new, name)
        return name

    # ------------------------------------------------------------------------------------ a model of a file

    def read_model(self, published, tensors, head, dtype):
        """Return (a model with a file's weights, the names of tensors that it does not have).

        Parameters
        ----------
        published : dict
            Of config.json.
        tensors : dict of str to Tensor
        head : Head
            What is read.
        dtype : float32 or float64

        Raises
        ------
        ValueError
            With all that is missing, unexpected, misshapen or of a wrong dtype.
        """
        weights = {name: tensor for name, tensor in tensors.items() if not re.fullmatch(self.skipped, name)}
        older = {name: tensors[old] for name, old in self.stand_ins.items() if old in tensors and name not in tensors}
        tensors = {self.modern(name): tensor for name, tensor in weights.items()} | older
        twice = [name for name in weights if self.modern(name) != name and self.modern(name) in weights]
        if twice:
            raise ValueError(f"there are two names of one tensor: {twice[0]:.80} and {self.modern(twice[0]):.80}")
        published = self.normalised(published, tensors.keys())
        config, held = self.read_config(published), sum(int(np.prod(t.shape, dtype=object)) for t in tensors.values())
        prefixes = {each.prefix for each in self.heads.values() if each.prefix}
        prefix = next((p for p in sorted(prefixes) if any(name.startswith(p) for name in tensors)), "")
        check_vouched(config, len(tensors), held)
        made = {"rng": Zeros(held), "dtype": dtype}
        if head.task is None:
            model = self.body(config, **made)
        else:
            model = head.task.around(self.body, config, settings=head.settings(published), **made)
        rows = self.rows(model, head, prefix)
        own, left, faults = {}, [], []
        for name, tensor in tensors.items():
            originals = self.copies.get(name.removeprefix(prefix), ())
            copied = next((each for one in originals for each in (prefix + one, one) if each in tensors), None)
            if name in rows or copied is None and not self._is_of_another_head(name, head, prefix):
                own[name] = tensor
            elif copied is None or head.task is None and not _same(tensor, tensors[copied]):
                left.append(name)
            elif not _same(tensor, tensors[copied]):
                faults.append(f"{name} differs from {copied}, whose copy it is by config.json")
        shapes = {name: row.shape for name, row in rows.items()}
        _check(type(model).__name__, shapes, own, faults)
        arrays = {}
        for name, row in rows.items():
            arrays |= row.split(own[name].read())
        model.load_state_dict(arrays)
        if head.task is None and self.pooler:
            model.pooler, names = self._read_pooler(tensors, prefix, config.d_model, dtype)
            left = [name for name in left if name not in names]
        return model, left

    def _read_pooler(self, tensors, prefix, d, dtype):
        """Return (the pooler beside a body, the names of its tensors), or (None, []) if there is none that fits."""
        names = [f"{prefix}{self.pooler}.{leaf}" for leaf in ("weight", "bias")]
        held = [tensors[name] for name in names if name in tensors and tensors[name].dtype in FLOATS]
        if [tensor.shape for tensor in held] != [(d, d), (d,)]:
            return None, []
        weight, bias = (tensor.read().astype(dtype) for tensor in held)
        return Pooler(weight.T, bias), names

    def _is_of_another_head(self, name, head, prefix):
        """Return whether a tensor belongs to another head of the family, or to any where the body alone is read."""
        if head.task is None and prefix and not name.startswith(prefix):
            return True
        module = name.rpartition(".")[0]
        if self.pooler and module.removeprefix(prefix) == self.pooler:
            return True
        names = {theirs for other in self.heads.values() for theirs in other.names.values()}
        tensors = {theirs.name for other in self.heads.values() for theirs in other.tensors.values()}
        return name in tensors or module in names or any(other.prefix + module in names for other in self.heads.values())

    def arrays_of(self, model, head):
        """Return {name in a file: array} of a model."""
        own = model.state_dict()
        arrays = {name: row.join(own) for name, row in self.rows(model, head, head.prefix).items()}
        if head.task is None and self.pooler and model.pooler is not None:
            arrays |= {f"{self.pooler}.weight": model.pooler.weight.T, f"{self.pooler}.bias": model.pooler.bias}
        return arrays


def _named(table, path):
    """Return what a table says of a path, or None: that of "blocks.3.attention.norm" may stand at "blocks.{}.attention.norm"."""
    return table.get(path, table.get(NUMBER.sub("{}", path)))


def _same(a, b):
    return a.shape == b.shape and np.array_equal(a.read(), b.read(), equal_nan=a.dtype in FLOATS)


def _check(place, shapes, tensors, faults):
    """Raise ValueError with every fault of tensors that are to have names and shapes, before one of them is read."""
    faults = faults + [f"{name} has dtype {tensor.dtype}, expected one of {', '.join(FLOATS)}"
                       for name, tensor in tensors.items() if name in shapes and tensor.dtype not in FLOATS]  # fmt: skip
    try:
        check_arrays(place, shapes, {name: np.broadcast_to(np.float32(0), t.shape) for name, t in tensors.items()})
    except ValueError as error:
        raise ValueError("; ".join([str(error), *faults])) from error
    if faults:
        raise ValueError(f"{place}: these parameters do not fit: {'; '.join(faults)}")
