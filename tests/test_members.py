"""Every parameter that a layer holds is seen, or the layer is refused."""

import collections
import types

import numpy as np
import pytest

from tinytx.core import Layer, Parameter, Tape, gradients_for
from tinytx.files import load_arrays, save_arrays


def weight(value=1.0):
    return Parameter(np.full(4, value))


class Scale(Layer):
    """y = maps["w"] * x: a layer's weight in a dict."""

    def __init__(self):
        self.maps = {"w": weight()}

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x)
        return self.maps["w"].data * x

    def backward(self, dy, tape):
        x = tape.pop(self)
        self.maps["w"].add_grad((dy * x).sum(axis=0))
        return dy * self.maps["w"].data


class Holder(Layer):
    """A layer that holds what it is given."""

    def __init__(self, thing):
        self.thing = thing


def paths(layer):
    return [path for path, _ in layer.named_parameters()]


@pytest.mark.parametrize(
    "thing, expected",
    [
        ({"w": weight()}, ["thing.w"]),
        (collections.OrderedDict(b=weight(), a=weight()), ["thing.b", "thing.a"]),
        ({0: [weight(), weight()], "s": {"t": weight()}}, ["thing.0.0", "thing.0.1", "thing.s.t"]),
        ((Scale(), [{"deep": Scale()}]), ["thing.0.maps.w", "thing.1.0.deep.maps.w"]),
    ],
)
def test_dicts_are_walked_as_lists_are(thing, expected):
    """Catches a parameter in a dict that is neither trained nor written to a file nor checked."""
    assert paths(Holder(thing)) == expected


def test_a_weight_in_a_dict_is_a_weight_everywhere(tmp_path):
    """Catches a walk of its own in copies, states or files."""
    layer, other = Scale(), Scale()
    layer.maps["w"].data[...] = 3
    save_arrays(tmp_path / "x.npz", layer.state_dict(), {})
    other.load_state_dict(load_arrays(tmp_path / "x.npz")[0])
    assert (other.maps["w"].data == 3).all()
    replica, tape = layer.replicate(), Tape()
    replica.backward(replica(np.ones((2, 4)), tape), tape)
    assert replica.maps["w"].data is layer.maps["w"].data
    assert (replica.maps["w"].grad == 6).all() and not layer.maps["w"].has_grad
    replica.zero_grad()
    assert not replica.maps["w"].has_grad


def test_slots_are_walked():
    """Catches a walk over ``vars`` alone."""

    class Slotted(Layer):
        __slots__ = ("w", "unset")

        def __init__(self):
            self.w, self.bias = weight(), weight()

    assert paths(Slotted()) == ["bias", "w"]


def a_hiding_place(kind, thing):
    array = np.empty(1, object)
    array[0] = thing
    return {
        "set": {thing},
        "frozenset": frozenset([thing]),
        "deque": collections.deque([thing]),
        "UserDict": collections.UserDict(w=thing),
        "mappingproxy": types.MappingProxyType({"w": thing}),
        "SimpleNamespace": types.SimpleNamespace(w=thing),
        "ndarray": array,
        "list in a set's place": {(thing,)},
        "object in an object": types.SimpleNamespace(inner=types.SimpleNamespace(w=[thing])),
    }[kind]


HIDDEN = ["set", "frozenset", "deque", "UserDict", "mappingproxy", "SimpleNamespace", "ndarray", "list in a set's place"]


@pytest.mark.parametrize("make, name", [(weight, "Parameter"), (Scale, "Scale")])
@pytest.mark.parametrize("kind", [*HIDDEN, "object in an object"])
def test_what_is_not_walked_may_hold_no_parameter(kind, make, name):
    """Catches a parameter that silently stays as it is: refused by whatever asks for the parameters."""
    layer = Holder([a_hiding_place(kind, make())])
    for ask in (layer.parameters, layer.state_dict, layer.replicate, lambda: list(layer.named_layers())):
        with pytest.raises(TypeError, match=rf"Holder: thing\.0 is a \w+ that contains a {name}"):
            ask()


@pytest.mark.parametrize("thing", [{1, 2}, np.empty(2, object), types.SimpleNamespace(rate=0.1), len, np.ones(3), str])
def test_other_things_are_let_be(thing):
    assert paths(Holder([thing, weight()])) == ["thing.1"]


def test_an_object_that_holds_itself():
    """Catches a search without end."""
    loop = types.SimpleNamespace(numbers=[1])
    loop.itself = loop
    assert paths(Holder(loop)) == []


def test_a_parameter_of_the_class_is_refused():
    """Catches one that all objects share and no walk over an object's own attributes sees."""

    class Shared(Layer):
        w = weight()

    with pytest.raises(TypeError, match=r"Shared: w is a Parameter of the class.*make it in __init__"):
        Shared().parameters()


def test_two_members_with_one_path_are_refused():
    """Catches two parameters of which one takes the other's place in a file."""
    with pytest.raises(ValueError, match=r"Holder: two of its members have the path 'thing\.1'"):
        Holder({1: weight(), "1": weight()}).state_dict()
    assert paths(Holder({1: weight(), "2": weight()})) == ["thing.1", "thing.2"]


@pytest.mark.parametrize("add", ["add_grad", "grad", "add_into_grad"])
def test_gradients_for_others_are_refused(add):
    """Catches a parameter in a closure, or anywhere else where no walk can look: its gradient tells of it."""
    known, other = weight(), Parameter(np.zeros((2, 3)))

    def give(parameter):
        if add == "add_grad":
            parameter.add_grad(np.ones(parameter.data.shape))
        elif add == "grad":
            parameter.grad += 1
        else:
            parameter.add_into_grad(lambda grad: None)

    with gradients_for([known]):
        give(known)
        with gradients_for([other]):
            give(other)
        with pytest.raises(ValueError, match=r"shape \(2, 3\) that named_parameters does not list"):
            give(other)
    give(other)
