"""Finds the layers and parameters inside a layer, and gives each a path: training, files and checks use these lists; says whose memory an array shows."""

import collections
import functools
import operator
import types

import numpy as np

WALKED = "attributes, lists, tuples and dicts"
# Objects of these types cannot contain a layer or a parameter, so the walk skips them.
_PLAIN = {str, bytes, int, bool, float, complex, type(None), type, types.ModuleType, types.FunctionType, types.MethodType}


def members(root, branch, leaf):
    """Yield (path, object) for every branch and leaf that ``root`` holds, depth first, each object once.

    The walk enters attributes of branches (those in ``__slots__`` too), lists, tuples and dicts. The path of ``root``
    is "". All other paths consist of names, positions and keys: ``blocks.0.norm.weight``.

    Parameters
    ----------
    root : object of class ``branch``
    branch, leaf : class
        The classes of layers and of parameters.

    Raises
    ------
    TypeError
        If one of them is in a set, a deque or another object, which the walk does not enter, or is an attribute of a
        class: training and files would not see it.
    ValueError
        If two of them have the same path, as in ``{1: layer, "1": layer}``: in a file one would replace the other.
    """
    paths = set()
    for path, member in _walk(root, "", (branch, leaf), set(), type(root).__name__):
        if path in paths:
            raise ValueError(f"{type(root).__name__}: two of its members have the path {path!r}: rename one of them")
        paths.add(path)
        yield path, member


def is_altered(thing):
    """Return whether a method of its class was replaced on the object itself, as ``layer.forward = other`` does."""
    return not _methods(type(thing)).isdisjoint(vars(thing))


def is_of_the_library(thing):
    """Return whether its class is the library's own, and no method was replaced: somebody else's may do with what it is given, and what it returns, as it likes."""
    own, _, _ = __name__.partition(".")
    return type(thing).__module__.partition(".")[0] == own and not is_altered(thing)


@functools.cache
def _methods(cls):
    """Return the names of a class's methods."""
    return frozenset(name for name in dir(cls) if callable(getattr(cls, name, None)))


def _walk(thing, path, kinds, seen, root):
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, kinds):
        yield path, thing
        children = _attributes(thing, kinds) if isinstance(thing, kinds[0]) else ()
    elif isinstance(thing, dict):
        children = thing.items()
    elif isinstance(thing, (list, tuple)):
        children = enumerate(thing)
    else:
        hidden = _hidden(thing, kinds)
        if hidden is not None:
            raise TypeError(
                f"{root}: {path} is a {type(thing).__name__} that contains a {type(hidden).__name__}, which training "
                f"and files would not see: keep layers and parameters in {WALKED}"
            )
        return
    for name, child in children:
        if type(child) not in _PLAIN:
            yield from _walk(child, f"{path}.{name}" if path else str(name), kinds, seen, root)


def _attributes(thing, kinds):
    """Return (name, value) of an object's attributes."""
    slots = [(name, getattr(thing, name)) for name in _slots(type(thing), kinds) if hasattr(thing, name)]
    return [*vars(thing).items(), *slots]


@functools.lru_cache
def _slots(cls, kinds):
    """Return the names in a class's ``__slots__``; raise TypeError if it has a member that all its objects share."""
    names = []
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, types.MemberDescriptorType):
                names.append(name)
            elif isinstance(value, kinds):
                raise TypeError(
                    f"{cls.__name__}: {name} is a {type(value).__name__} of the class, shared by all its objects, which "
                    "training and files would not see: make it in __init__"
                )
    return names


def _hidden(thing, kinds):
    """Return an object of ``kinds`` inside a thing that the walk does not enter, or None."""
    left, seen = [thing], set()
    while left:
        inside = left.pop()
        if isinstance(inside, kinds):
            return inside
        if type(inside) in _PLAIN or isinstance(inside, type) or id(inside) in seen:
            continue
        seen.add(id(inside))
        if isinstance(inside, (set, frozenset, list, tuple, collections.deque)):
            left += inside
        elif isinstance(inside, (dict, types.MappingProxyType)):
            left += inside.values()
        elif isinstance(inside, np.ndarray):
            left += inside.ravel().tolist() if inside.dtype.hasobject else ()
        else:
            left += getattr(inside, "__dict__", {}).values()
    return None


def owner_of(array):
    """Return the array whose memory this one shows."""
    return array if array.base is None else array.base


def are_the_same(some, others):
    """Return whether two lists have the same objects, one by one."""
    return len(some) == len(others) and all(map(operator.is_, some, others))
