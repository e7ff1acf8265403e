"""The table of mistakes that gradcheck must find; `mutation_run` makes them one at a time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One change of the library's source: in ``file`` the text ``old``, which must occur exactly once, becomes ``new``.

    ``problem``, a name in `mutant_problems.PROBLEMS`, is what is checked then.
    """

    name: str
    category: str
    file: str
    problem: str
    old: str
    new: str


_TABLE = {
    "ops/linear.py": [
        ("dx by W, not by its transpose", "transposed", "linear square", "dy_rows @ weight.T)", "dy_rows @ weight)"),
        ("dx has the wrong sign", "sign", "linear", "dy_rows @ weight.T)", "-dy_rows @ weight.T)"),
        ("dW divided by the rows", "factor", "linear", "x_rows.T @ dy_rows  #", "x_rows.T @ dy_rows / len(x_rows)  #"),
        ("dW transposed", "transposed", "linear square", "x_rows.T @ dy_rows  #", "dy_rows.T @ x_rows  #"),
        ("db a mean", "factor", "linear", "np.ones(len(dy_rows), dy.dtype) @ dy_rows", "dy_rows.mean(axis=0)"),
        ("db of the last row", "missing term", "linear", "np.ones(len(dy_rows), dy.dtype) @ dy_rows", "dy_rows[-1]"),
        ("half of a tied table's", "factor", "linear tied", "(dy_rows.T @ x_rows).T", "(dy_rows.T @ x_rows).T / 2"),
    ],
    "ops/embedding.py": [
        ("assigned, not added", "= for +=", "embedding", "dweight[v, d] += dy", "dweight[v, d] = dy"),
        ("last id forgotten", "off by one", "embedding", "in range(ids.shape[0])", "in range(ids.shape[0] - 1)"),
        ("last feature forgotten", "off by one", "embedding", "in range(dy.shape[1])", "in range(dy.shape[1] - 1)"),
        ("starts from ones", "wrong constant", "embedding", "dweight = np.zeros(", "dweight = np.ones("),
    ],
    "ops/layer_norm.py": [
        ("gain outside the means", "missing term", "layer_norm", "dn = weight[j] * dy[i, j]", "dn = dy[i, j]"),
        ("mean of dn forgotten", "missing term", "layer_norm", "dy[i, j] - mean_dn - n *", "dy[i, j] - n *"),
        ("mean of dn n forgotten", "missing term", "layer_norm", " - mean_dn - n * mean_dn_n)", " - mean_dn)"),
        ("last term added", "sign", "layer_norm", "- n * mean_dn_n)", "+ n * mean_dn_n)"),
        ("D - 1 for D", "wrong constant", "layer_norm", "sum_dn_n / x.dtype.type(d)", "sum_dn_n / x.dtype.type(d - 1)"),
        ("r forgotten", "factor", "layer_norm", "dx[i, j] = r * (", "dx[i, j] = ("),
        ("eps forgotten", "wrong constant", "layer_norm", "= mean[i], rstd[i]\n        sum",
         "= mean[i], 1 / math.sqrt(1 / rstd[i] ** 2 - 1e-5)\n        sum"),
        ("dw assigned", "= for +=", "layer_norm", "dweight[j] += dy", "dweight[j] = dy"),
        ("db assigned", "= for +=", "layer_norm", "dbias[j] += dy", "dbias[j] = dy"),
        ("dw from x as it is", "wrong operand", "layer_norm", "+= dy[i, j] * n", "+= dy[i, j] * x[i, j]"),
    ],
    "ops/relu.py": [
        ("0 counts as positive", "off by one", "relu", "if y[i] > 0", "if y[i] >= 0"),
        ("leaks a millionth", "wrong constant", "relu", "else dy.dtype.type(0)", "else dy[i] * dy.dtype.type(1e-6)"),
        ("times y", "factor", "relu", "= dy[i] if", "= dy[i] * y[i] if"),
    ],
    "ops/gelu.py": [
        ("density forgotten", "missing term", "gelu", "(below + x[i] * density *", "(below + 0 *"),
        ("x forgotten", "factor", "gelu", "below + x[i] * density", "below + density"),
        ("exponent without its half", "factor", "gelu", "exp(-half * x[i] * x[i])", "exp(-x[i] * x[i])"),
        ("1/sqrt(2 pi) to 6 digits", "wrong constant", "gelu", "x.dtype.type(DENSITY)", "x.dtype.type(0.398942)"),
        ("the tanh form's backward", "wrong operand", "gelu", "_apply(_erf_backward", "_apply(_tanh_backward"),
        ("3 forgotten", "factor", "gelu_tanh", "x.dtype.type(3 * A)", "x.dtype.type(A)"),
        ("0.0447 for 0.044715", "wrong constant", "gelu_tanh", "x.dtype.type(3 * A)", "x.dtype.type(3 * 0.0447)"),
        ("1 - s forgotten", "missing term", "gelu_tanh", "s * (one - s) * c", "s * c"),
        ("second term added", "sign", "gelu_tanh", "(s - x[i] * s", "(s + x[i] * s"),
        ("the erf form's backward", "wrong operand", "gelu_tanh", "_apply(_tanh_backward", "_apply(_erf_backward"),
    ],
    "ops/softmax.py": [
        ("sum over the row forgotten", "missing term", "softmax", "(dy[n, j] - inner)", "dy[n, j]"),
        ("sum over the row added", "sign", "softmax", "(dy[n, j] - inner)", "(dy[n, j] + inner)"),
        ("sum without y", "factor", "softmax", "inner += dy[n, j] * y[n, j] if", "inner += dy[n, j] if"),
        ("sum without the last", "off by one", "softmax", "range(y.shape[1]):\n            inner",
         "range(y.shape[1] - 1):\n            inner"),
        ("masked elements get dy", "mask", "softmax masked", "!= 0 else y.dtype.type(0)  #", "!= 0 else dy[n, j]  #"),
    ],
    "ops/attention.py": [
        ("1/sqrt(K) forgotten", "factor", "attention", "* (drow[s] - inner) * scale", "* (drow[s] - inner)"),
        ("sum over the row forgotten", "missing term", "attention", "* (drow[s] - inner) * scale", "* drow[s] * scale"),
        ("dv assigned by each tile", "= for +=", "attention", "out=dv[tile.k], add=add", "out=dv[tile.k]"),
        ("dk assigned by each tile", "= for +=", "attention", "out=dk[tile.k], add=add", "out=dk[tile.k]"),
        ("dk with the wrong sign", "sign", "attention", "_product(da.swap", "_product(-da.swap"),
        ("dq from v", "wrong operand", "attention", "_product(da, k[tile.k]", "_product(da, v[tile.k]"),
        ("dP from k", "wrong operand", "attention", "dy[tile.q], v[tile.k]", "dy[tile.q], k[tile.k]"),
        ("weights not transposed in dv", "transposed", "attention square", "p.swapaxes(2, 3), dy", "p, dy"),
        ("dA not transposed in dk", "transposed", "attention square", "da.swapaxes(2, 3), q", "da, q"),
        ("a key too few", "off by one", "attention causal", "first + t + 1)) if r != 0", "first + t)) if r != 0"),
        ("a key too many", "off by one", "attention causal", "first + t + 1)) if r != 0", "first + t + 2)) if r != 0"),
        ("weights not divided by Z", "factor", "attention", "- m) * scale) * r", "- m) * scale)"),
        ("mask forgotten", "mask", "attention masked",
         "row[s] = row[s] if mask[g, t, s] else a.dtype.type(-np.inf)\n                    drow", "drow"),
        ("1/(1-p) forgotten", "factor", "attention dropout",
         "drow[s] = drow[s] * keep_scale if", "drow[s] = drow[s] if"),
        ("dropped weights in (6)", "factor", "attention dropout",
         "inner += row[s] *", "inner += row[s] * keep_scale *"),
        ("undropped weights in dv", "mask", "attention dropout",
         "row[s] = row[s] * keep_scale if hash_element(bits, s) >= bit else zero", "row[s] = row[s]"),
        ("1/sqrt(K) to 4 digits", "wrong constant", "attention", "- inner) * scale", "- inner) * 0.7071"),
        ("mask of the next key", "off by one", "attention dropout", "hash_element(bits, s) >= bit else zero  # (5)",
         "hash_element(bits, s + 1) >= bit else zero  # (5)"),
    ],
    "ops/dropout.py": [
        ("another mask", "mask", "dropout", "(x, saved), saved", "(x, saved), saved._replace(key=key + 1)"),
        ("mask of the next row", "off by one", "dropout", "(x, saved), saved",
         "(x, saved), saved._replace(first_row=first_row + 1)"),
        ("scaled twice", "factor", "dropout", "(x, saved), saved", "(x, saved) * (1 - p), saved"),
    ],
    "ops/positions.py": [
        ("a mean over the batch", "factor", "add_positions", "= dy.sum(axis=0)", "= dy.mean(axis=0)"),
        ("the first sequence only", "missing term", "add_positions", "= dy.sum(axis=0)", "= dy[0]"),
        ("start forgotten", "off by one", "add_positions",
         "dtable[start : start + dy.shape[1]]", "dtable[: dy.shape[1]]"),
        ("dx with the wrong sign", "sign", "add_positions", "return dy, dtable", "return -dy, dtable"),
    ],
    "ops/cross_entropy.py": [
        ("1/N forgotten", "factor", "cross_entropy", "dtype(dloss / max(count, 1))", "dtype(dloss)"),
        ("N counts ignored rows", "wrong constant", "cross_entropy", "dloss / max(count, 1)", "dloss / len(targets)"),
        ("dloss forgotten", "factor", "cross_entropy", "dloss / max(count, 1)", "1 / max(count, 1)"),
        ("smoothing's spread forgotten", "missing term", "cross_entropy smoothed", "* r - spread)", "* r)"),
        ("target not smoothed", "factor", "cross_entropy smoothed", "-= scale * (one - smoothing)", "-= scale"),
        ("target assigned", "= for +=", "cross_entropy", "-= scale * (one", "= -scale * (one"),
        ("target before the target", "off by one", "cross_entropy", "targets[n]] -= scale", "targets[n] - 1] -= scale"),
        ("1e-6 added to p", "wrong constant", "cross_entropy", "* r - spread)", "* r + 1e-6 - spread)"),
        ("p not divided by Z", "factor", "cross_entropy", "* r - spread)", "- spread)"),
        ("ignored rows count", "mask", "cross_entropy",
         "dlogits[n, j] = logits.dtype.type(0)", "dlogits[n, j] = scale"),
    ],
    "ops/kl_divergence.py": [
        ("spread over all V words", "wrong constant", "kl_divergence smoothed",
         "s, scale = _spread(label_smoothing, logits.shape[-1])", "s, scale = label_smoothing / logits.shape[-1]"),
        ("spread over V - 1 words", "wrong constant", "kl_divergence smoothed",
         "s, scale = _spread(label_smoothing, logits.shape[-1])", "s, scale = label_smoothing / (logits.shape[-1] - 1)"),
        ("padding gets a share", "mask", "kl_divergence smoothed", "dlogits[n, pad_id] += scale * spread", "pass"),
        ("the target gets a second share", "missing term", "kl_divergence smoothed",
         "(one - smoothing - spread)", "(one - smoothing)"),
        ("1/N forgotten", "factor", "kl_divergence", "dloss / max(count, 1)\n", "dloss\n"),
        ("N counts padding", "wrong constant", "kl_divergence", "dloss / max(count, 1)\n", "dloss / len(targets)\n"),
        ("padded rows count", "mask", "kl_divergence", "dlogits[n, j] = logits.dtype.type(0)", "dlogits[n, j] = scale"),
        ("p not divided by Z", "factor", "kl_divergence", "* r - spread)", "- spread)"),
    ],
    "ops/scale.py": [
        ("factor forgotten", "factor", "scale", "dy * dy.dtype.type(factor)", "dy"),
        ("divided, not multiplied", "factor", "scale", "dy * dy.dtype.type(factor)", "dy / dy.dtype.type(factor)"),
        ("wrong sign", "sign", "scale", "dy * dy.dtype.type(factor)", "-dy * dy.dtype.type(factor)"),
    ],
    "layers/linear.py": [
        ("dW assigned", "= for +=", "Linear twice", "add_grad(dweight, fresh=True)", "grad = dweight"),
        ("db forgotten", "missing term", "Linear", "self.bias.add_grad(dbias)", "pass"),
        ("dx not handed on", "wrong operand", "Linear twice", "add_grad(dbias)\n        return dx",
         "add_grad(dbias)\n        return dy"),
        ("table's second gradient forgotten", "missing term", "TiedLinear",
         "self.weight.add_grad(dweight_transposed.T, fresh=True)", "pass"),
        ("table not transposed", "transposed", "TiedLinear",
         "add_grad(dweight_transposed.T, fresh=True)", "add_grad(dweight_transposed)"),
        ("dx halved", "factor", "TiedLinear",
         "transposed.T, fresh=True)\n        return dx", "transposed.T, fresh=True)\n        return dx / 2"),
    ],
    "layers/layer_norm.py": [
        ("dw and db exchanged", "wrong operand", "LayerNorm",
         "(dy, tape.pop(self))\n        self.weight.add_grad(dweight)",
         "(dy, tape.pop(self))\n        dweight, dbias = dbias, dweight\n        self.weight.add_grad(dweight)"),
        ("dw assigned", "= for +=", "LayerNorm twice", "self.weight.add_grad(dweight)", "self.weight.grad = dweight"),
    ],
    "layers/embedding.py": [
        ("assigned, over the head's", "= for +=", "tied Embedding",
         "self.weight.add_into_grad(lambda dweight: ops.embedding_backward(dy, saved, out=dweight))",
         "self.weight.grad = ops.embedding_backward(dy, saved)"),
        ("assigned", "= for +=", "LearnedPositions twice",
         "self.weight.add_grad(dweight)", "self.weight.grad = dweight"),
        ("subtracted", "sign", "LearnedPositions", "self.weight.add_grad(dweight)", "self.weight.add_grad(-dweight)"),
        ("dx doubled", "factor", "LearnedPositions",
         "add_grad(dweight)\n        return dx", "add_grad(dweight)\n        return 2 * dx"),
    ],
    "layers/dropout.py": [
        ("mask forgotten", "mask", "Dropout", "return dy if saved is None else", "return dy if True else"),
    ],
    "layers/feed_forward.py": [
        ("the other form's backward", "wrong operand", "FeedForward gelu", "(ops.gelu, ops.gelu_backward)",
         "(ops.gelu, ops.gelu_tanh_backward)"),
        ("activation's slope forgotten", "missing term", "FeedForward",
         "(dy, tape.pop(self))", "(dy, tape.pop(self)) * 0 + dy"),
        ("doubled", "factor", "FeedForward",
         "return self.expand.backward(self", "return 2 * self.expand.backward(self"),
        ("dropout passed over", "mask", "FeedForward",
         "dx = self.dropout.backward(self.contract.backward(dy, tape), tape)",
         "dx = self.contract.backward(dy, tape)\n        self.dropout.backward(dx, tape)"),
    ],
    "layers/attention.py": [
        ("the values' path forgotten", "missing term", "MultiHeadAttention",
         "dk += dv", "pass"),
        ("the keys' path subtracted", "sign", "MultiHeadAttention", "dx += dk", "dx -= dk"),
        ("the memory's keys forgotten", "missing term", "MultiHeadAttention memory",
         "return dx, dk", "return dx, dv"),
        ("dx and dmemory exchanged", "wrong operand", "MultiHeadAttention square",
         "return dx, dk", "return dk, dx"),
        ("dk and dv exchanged", "wrong operand", "MultiHeadAttention", "dq, dk, dv = ops", "dq, dv, dk = ops"),
        ("heads not moved back", "transposed", "MultiHeadAttention", "backward(self._merge(dq), tape)",
         "backward(dq.reshape(self._merge(dq).shape), tape)"),
    ],
    "layers/block.py": [
        ("short cut forgotten", "missing term", "Residual pre", "return dy + self.norm", "return self.norm"),
        ("short cut subtracted", "sign", "Residual pre", "return dy + self.norm", "return -dy + self.norm"),
        ("short cut forgotten, post-norm", "missing term", "Residual post", "return dy + self.f", "return self.f"),
        ("short cut around the norm", "wrong operand", "Residual post",
         "dy = self.norm.backward(dy, tape)\n        return dy",
         "short = dy\n        dy = self.norm.backward(dy, tape)\n        return short"),
        ("dy past the feed-forward part", "wrong operand", "Block",
         "self.attention.backward(self.feed_forward.backward(dy, tape)",
         "self.attention.backward((self.feed_forward.backward(dy, tape), dy)[1]"),
        ("a short cut too many", "missing term", "Block",
         "return self.attention.backward(self", "return dy + self.attention.backward(self"),
        ("halved, post-norm", "factor", "Block post",
         "return self.attention.backward(self", "return 0.5 * self.attention.backward(self"),
    ],
}  # fmt: skip

MUTANTS = [
    Mutant(name, category, file, problem, old, new)
    for file, rows in _TABLE.items()
    for name, category, problem, old, new in rows
]
