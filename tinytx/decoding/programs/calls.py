"""What each kind of layer writes into a program: a table, and a function (program, layer, x) -> y for each of its rows.

x and y are arrays (R, width) of the program. The functions mirror what the layers' forwards do for one position. A layer of a kind that is
not in the table, with a setting for which there are no calls, with a method that was replaced, or with a layer in it that is
not written, raises `NoProgram`.
"""


import numpy as np

from tinytx.core import Layer
from tinytx.decoding.programs import loops
from tinytx.decoding.programs.program import NoProgram
from tinytx.layers import (
    Activation,
    Block,
    DotProduct,
    Dropout,
    Embedding,
    FeedForward,
    GatedFeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    Residual,
    RMSNorm,
    Rotary,
    SinusoidalPositions,
    TiedLinear,
)
from tinytx.layers.quantized import QuantizedEmbedding, QuantizedLinear
from tinytx.members import is_altered
from tinytx.models.stacks import Stack
from tinytx.ops.attention_patterns import Band
from tinytx.ops.few_rows import LARGE, ROWS, few_rows_call
from tinytx.ops.gelu import SHARED as SHARED_GELU
from tinytx.ops.gelu import gelu_call, gelu_tanh_call
from tinytx.ops.layer_norm import layer_norm_call
from tinytx.ops.quantized_linear import SHARED, quantized_call
from tinytx.ops.rms_norm import rms_norm_call
from tinytx.ops.rotate import turn_call
from tinytx.ops.silu import silu_call
from tinytx.tasks import NextToken

ENDLESS = 1 << 62  # positions
CALLED = ("__call__", "__getattribute__", "__getattr__")  # other names with two underscores say how a layer is made or copied


def write(program, layer, x):
    """Write the calls of a layer for one position of each row, x (R, ...); return y (R, width)."""
    kind = program.written.get(id(layer))
    if kind in CALLS:  # it has been looked at, for another program
        return CALLS[kind](program, layer, x)
    kinds = type(layer).__mro__
    kind = next((kind for kind in kinds if kind in CALLS), None)
    if kind is None or any(_changes(own, kind) for own in kinds[: kinds.index(kind)]) or is_altered(layer):
        raise NoProgram(f"no calls for {type(layer).__name__}")
    y = CALLS[kind](program, layer, x)
    for part in vars(layer).values():
        if isinstance(part, Layer) and id(part) not in program.written:
            _stands_for(program, part, Dropout)  # in decoding it hands on what it gets
    program.written[id(layer)] = kind
    return y


def _stands_for(program, layer, kind):
    """Note that what a layer of this kind does is written; raise NoProgram if it is of another kind, or was changed."""
    if type(layer) is not kind or is_altered(layer):
        raise NoProgram(f"no calls for {type(layer).__name__} in the place of {kind.__name__}")
    program.written[id(layer)] = kind


def _changes(own, kind):
    """Return whether a subclass has a method, or another name, in the place of one of a class that is in the table."""
    return any(name in CALLED or name in vars(kind) and not name.startswith("__") for name in vars(own))


def _next_token(program, task, ids):
    return write(program, task.head, write(program, task.body, ids))


def _stack(program, stack, ids):
    program.room = min(program.room, stack.max_len)
    x = write(program, stack.token, ids)
    for layer in (stack.position, stack.embedding_norm, *stack.blocks, stack.norm):
        x = x if layer is None else write(program, layer, x)
    return x


def _embedding(program, layer, ids):
    table = program.weights(layer.weight)
    x = program.rows(table.shape[1])
    program.call(loops.embed, x, ids, table, x.dtype.type(layer.scale))
    return x


def _quantized_embedding(program, layer, ids):
    matrix = layer.weight
    x = program.rows(matrix.weight.shape[1])
    program.call(loops.embed_rounded, x, ids, matrix.weight, matrix.steps, x.dtype.type(layer.scale))
    return x


def _learned_positions(program, layer, x):
    return _positions(program, program.weights(layer.weight)[layer.unused :], x)


def _sinusoidal_positions(program, layer, x):
    return _positions(program, layer.table, x)


def _positions(program, table, x):
    program.room, y = min(program.room, len(table)), program.rows(x.shape[1])
    program.call(loops.add_position, y, x, table, program.before)
    return y


def _block(program, block, x):
    return write(program, block.feed_forward, write(program, block.attention, x))


def _residual(program, layer, x):
    is_pre, y = layer.norm_order == "pre", program.rows(x.shape[1])
    program.call(loops.add, y, x, write(program, layer.f, write(program, layer.norm, x) if is_pre else x))
    return y if is_pre else write(program, layer.norm, y)


def _layer_norm(program, layer, x):
    y, bias = program.rows(x.shape[1]), program.weights(layer.bias) if layer.bias else layer.zeros
    program.call(*layer_norm_call(y, x, program.weights(layer.weight), bias, layer.eps))
    return y


def _rms_norm(program, layer, x):
    y = program.rows(x.shape[1])
    program.call(*rms_norm_call(y, x, program.weights(layer.weight), layer.eps))
    return y


def _linear(program, layer, x):
    program.weights(layer.weight)
    y, matrix = program.rows(layer.matrix.shape[1]), layer.matrix
    if len(x) > 1 and matrix.size < LARGE:
        program.call(loops.multiply_matrices, y, x, matrix)
        return _with_bias(program, layer, y)
    adds_bias = layer.bias and matrix.flags.c_contiguous
    bias = program.weights(layer.bias) if adds_bias else y[0, :0]
    program.call(*few_rows_call(_words(program, matrix), y, x, matrix, bias, program.scratch))
    return y if adds_bias else _with_bias(program, layer, y)


def _quantized_linear(program, layer, x):
    matrix = layer.weight
    y = program.rows(len(matrix.weight))
    rounded, x_steps = program.scratch(ROWS, x.shape[1], dtype=np.int16), program.scratch(ROWS)
    program.call(*quantized_call(_words(program, matrix.weight), y, x, matrix.weight, matrix.steps, rounded, x_steps))
    return _with_bias(program, layer, y)


def _with_bias(program, layer, y):
    if layer.bias:
        program.call(loops.add_bias, y, program.weights(layer.bias))
    return y


def _words(program, matrix):
    return program.helpers(matrix.size >= SHARED)


def _feed_forward(program, layer, x):
    return write(program, layer.contract, write(program, layer.activation, write(program, layer.expand, x)))


def _gated_feed_forward(program, layer, x):
    a, b = _activated(program, layer.activation, write(program, layer.gate, x)), write(program, layer.expand, x)
    y = program.rows(a.shape[1])
    program.call(loops.multiply, y, a, b)
    return write(program, layer.contract, y)


def _activation(program, layer, x):
    return _activated(program, layer.name, x)


def _activated(program, name, x):
    if name not in ACTIVATIONS:
        raise NoProgram(f"no calls for {name}")
    y = program.rows(x.shape[1])
    program.call(*ACTIVATIONS[name](program.helpers(program.is_shared and x.size >= SHARED_GELU), y, x))
    return y


def _attention(program, layer, x):
    core, rotary = layer.core, layer.rotary
    _stands_for(program, core, DotProduct)
    if type(core.pattern) is not Band:
        raise NoProgram("no calls for attention of this kind")
    q, k, v = (write(program, linear, x) for linear in (layer.query, layer.key, layer.value))
    if rotary:
        q, k = (_turned(program, rotary, each, n) for each, n in ((q, layer.n_heads), (k, layer.n_kv_heads)))
    width, value_width = q.shape[1] // layer.n_heads, v.shape[1] // layer.n_kv_heads
    y, scale = program.rows(layer.n_heads * value_width), width**-0.5 if core.scale is None else core.scale
    left, right = (ENDLESS if side is None else side for side in (core.pattern.left, core.pattern.right))

    words = program.helpers(program.is_shared)

    def arguments(program, keys, values):
        scores = program.scratch(keys.shape[0] * layer.n_heads, keys.shape[2] + 1)
        return words, y, scores, q, k, v, keys, values, program.before, x.dtype.type(scale), left, right

    program.attend(loops.attend, arguments)
    return write(program, layer.output, y)


def _turned(program, rotary, x, n_heads):
    _stands_for(program, rotary, Rotary)
    y = program.rows(x.shape[1])
    program.call(*turn_call(*(array.reshape(len(x), 1, n_heads, -1) for array in (y, x)), *program.turns(rotary), rotary.neighbours))
    return y


ACTIVATIONS = {"gelu": gelu_call, "gelu_tanh": gelu_tanh_call, "silu": silu_call, "relu": loops.relu_call}

CALLS = {
    NextToken: _next_token,
    Stack: _stack,
    Embedding: _embedding,
    QuantizedEmbedding: _quantized_embedding,
    LearnedPositions: _learned_positions,
    SinusoidalPositions: _sinusoidal_positions,
    Block: _block,
    Residual: _residual,
    LayerNorm: _layer_norm,
    RMSNorm: _rms_norm,
    Linear: _linear,
    TiedLinear: _linear,
    QuantizedLinear: _quantized_linear,
    FeedForward: _feed_forward,
    GatedFeedForward: _gated_feed_forward,
    Activation: _activation,
    MultiHeadAttention: _attention,
}
