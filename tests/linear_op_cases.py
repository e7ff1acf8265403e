"""Cases of linear maps: a part of `op_cases`."""

from functools import partial

from cases import OpCase


def linear(ops, make, bias=True, more=0, name="linear", onto=False, **options):
    """With ``onto``, y is added to another array, whose gradient is dy."""
    b, t, d_in, d_out = make.sizes(4)
    f, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    arrays = {"x": make.array(b, t + more, d_in), "weight": make.array(d_in, d_out)}
    if not bias:
        return OpCase(f, lambda dy, saved: backward(dy, saved)[:2], arrays, batch=("x",), **options)
    arrays["bias"] = make.array(d_out)
    if not onto:
        return OpCase(f, backward, arrays, batch=("x",), **options)
    arrays["onto"] = make.array(b, t + more, d_out)

    def forward(x, weight, bias, onto, **options):
        return f(x, weight, bias, onto=onto, **options)

    return OpCase(forward, lambda dy, saved: (*backward(dy, saved), dy), arrays, batch=("x", "onto"), **options)


def linear_transposed(ops, make):
    """The weight is the transpose of a table of embeddings, as in a tied output layer."""
    b, t, d, v = make.sizes(4)

    def forward(x, table):
        return ops.linear(x, table.T)

    def backward(dy, saved):
        dx, dweight, dbias = ops.linear_backward(dy, saved)
        assert dbias is None
        return dx, dweight.T

    return OpCase(forward, backward, {"x": make.array(b, t, d), "table": make.array(v, d)}, batch=("x",))


def cases(ops):
    """Return {name: function (Maker) -> OpCase}; ``ops`` is the library's, or its readable twin."""
    gelu_linear = partial(linear, ops, name="gelu_linear", reach=0.25)
    return {
        "linear": partial(linear, ops),
        "linear of more than a few rows": partial(linear, ops, more=16),
        "linear without bias": partial(linear, ops, bias=False),
        "linear transposed": partial(linear_transposed, ops),
        "linear onto": partial(linear, ops, onto=True),
        "linear onto, of more than a few rows": partial(linear, ops, more=16, onto=True),
        "gelu_linear": partial(gelu_linear, more=16, activation="gelu"),
        "gelu_linear tanh, without bias": partial(gelu_linear, bias=False, activation="gelu_tanh"),
        "gelu_linear onto": partial(gelu_linear, onto=True, activation="gelu_tanh"),
    }
