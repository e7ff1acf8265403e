"""``tinytx.kernel.kernel(outputs=...)`` and `tinytx.kernel.line` in machine code: loops over arrays whose strides are known when they run."""

import functools

import numba
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import populate_array

from tinytx import kernel


class AnyLayout:
    """A kernel with one version for each dtype of its first argument.

    Numba hands contiguous arrays to a version for arrays with strides, and arrays that may be written to to one that does not
    write, as long as it may not compile a better one.

    Parameters
    ----------
    function : the loop
    outputs : int
        See `tinytx.kernel.kernel`.
    make : function (loop) -> what Numba makes of it, without versions
    """

    def __init__(self, function, outputs, make):
        functools.update_wrapper(self, function)
        self._outputs, self._make, self._versions = outputs, make, {}

    @property
    def signatures(self):
        """The types of arguments of each version."""
        return [signature for made in self._versions.values() for signature in made.signatures]

    def __call__(self, *arguments):
        return self.version(arguments)(*arguments)

    def version(self, arguments):
        """Return what Numba made for such arguments."""
        return self._versions.get(arguments[0].dtype.char) or self._new_version(arguments)

    def _new_version(self, arguments):
        with global_compiler_lock:  # two shards may come here at the same time
            char = arguments[0].dtype.char
            if char not in self._versions:
                made = self._make(self.__wrapped__)
                made.compile(tuple(self._kind(argument, i < self._outputs) for i, argument in enumerate(arguments)))
                made.disable_compile()
                self._versions[char] = made
        return self._versions[char]

    @staticmethod
    def _kind(argument, is_output):
        kind = numba.typeof(argument)
        if not isinstance(kind, types.Array):
            return kind
        return types.Array(kind.dtype, kind.ndim, "A" if kind.ndim > 1 else "C", readonly=not is_output)


@type_callable(kernel.line)
def _line_type(context):
    return lambda row: types.Array(row.dtype, 1, "C", readonly=not row.mutable)


@lower_builtin(kernel.line, types.Array)
def _line(context, builder, signature, arguments):
    given = context.make_array(signature.args[0])(context, builder, arguments[0])
    made = context.make_array(signature.return_type)(context, builder)
    populate_array(made, given.data, given.shape, given.strides, given.itemsize, None)  # who has the row keeps its memory
    return made._getvalue()
