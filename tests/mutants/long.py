"""Mistakes in what reads long texts: wrong backwards (``GRADIENTS``), and mistakes of all kinds (``TABLE``)."""

GRADIENTS = {
    "ops/relative_scores.py": [
        ("dq without the scale", "factor", "relative_scores", "products[column - s] = c * row[s]", "products[column - s] = row[s]"),
        ("a distance more", "index", "relative_scores", "products[column - s] = c * row[s]", "products[column - s - 1] = c * row[s]"),
        ("the memory is forgotten", "index", "relative_scores",
         "row, products, column = dscores[b, h, t], dg[b, t], n_keys - n_queries + t + ahead", "row, products, column = dscores[b, h, t], dg[b, t], t + ahead"),
        ("distances below 0 get nothing", "missing term", "relative_scores both signs", "max(0, min(n_keys, column + 1))):", "max(0, min(n_keys, column + 1 - ahead))):"),
        ("dr of the first row of the batch", "missing term", "relative_scores",
         "dg.reshape(-1, r.shape[1]).T @ q[:, head].reshape(-1, q.shape[3])", "dg[0].T @ q[0, head]"),
        ("all heads have the first one's distances", "index", "relative_scores", "dq[:, head] = dg @ r[head]", "dq[:, head] = dg @ r[0]"),
    ],
    "ops/segment_scores.py": [
        ("a query gets the last key of a kind", "= for +=", "segment_scores", "kinds_of_row[t, s]] += dscores", "kinds_of_row[t, s]] = dscores"),
        ("no scale", "factor", "segment_scores", "    dg *= c\n", ""),
        ("du of the first row of the batch", "missing term", "segment_scores", "(dg.swapaxes(2, 3) @ q).sum(axis=0)", "(dg.swapaxes(2, 3) @ q)[0]"),
        ("the first row's kinds for all", "index", "segment_scores",
         "for b in range(dscores.shape[0]):\n        kinds_of_row = kinds[b if len(kinds) > 1 else 0]", "for b in range(dscores.shape[0]):\n        kinds_of_row = kinds[0]"),
    ],
    "layers/attention/relative.py": [
        ("du from the scores of distances", "wrong operand", "Relative", "((self.content_bias, dq), (self", "((self.content_bias, by_distance), (self"),
        ("u and w get each other's", "wrong operand", "Relative", "((self.content_bias, dq), (self.position_bias, by_distance))", "((self.position_bias, dq), (self.content_bias, by_distance))"),
        ("q gets nothing from distances", "missing term", "Relative", "return dq + by_distance, dk, dv", "return dq, dk, dv"),
        ("q gets nothing from contents", "missing term", "Relative", "return dq + by_distance, dk, dv", "return by_distance, dk, dv"),
        ("du of the first row of the batch", "missing term", "Relative", "gradient.sum(axis=(0, 2))", "gradient[0].sum(axis=1)"),
        ("heads and distances exchanged", "transposed", "Relative", "dr.swapaxes(0, 1).reshape(dr.shape[1], -1)", "dr.reshape(dr.shape[1], -1)"),
    ],
    "layers/attention/segment_memory.py": [
        ("the first rows of [m; x] are x's", "index", "SegmentMemory", "dseen[:, dseen.shape[1] - dx.shape[1] :]", "dseen[:, : dx.shape[1]]"),
        ("x as key and value gets nothing", "missing term", "SegmentMemory", "dx = dx + dseen[", "dx = dx + 0 * dseen["),
        ("x as query gets nothing", "missing term", "SegmentMemory", "dx = dx + dseen[:,", "dx = dseen[:,"),
    ],
}

TABLE = {
    "ops/segment_scores.py": [
        ("the first row's kinds for all", "for b in range(scores.shape[0]):\n        kinds_of_row = kinds[b if len(kinds) > 1 else 0]", "for b in range(scores.shape[0]):\n        kinds_of_row = kinds[0]"),
    ],
    "ops/relative_scores.py": [
        ("the memory is forgotten", "row, products, column = scores[b, h, t], g[b, t], n_keys - n_queries + t + ahead", "row, products, column = scores[b, h, t], g[b, t], t + ahead"),
        ("keys after the query have the numbers of another distance", "            row[n:] = 0\n", "            row[n:] = products[0]\n"),
        ("the sign of the distance", "row[s] = c * products[column - s]", "row[n - 1 - s] = c * products[column - s]"),
    ],
    "layers/attention/relative.py": [
        ("distances begin at 1", "halves=True, first=-ahead)", "halves=True, first=1 - ahead)"),
        ("keys after the query have no distance", "ahead = max(0, t - 1) if right is None else", "ahead = 0 if right is None else"),
        ("the paper's other order of sines and cosines", "q.dtype, halves=True, first", "q.dtype, first"),
        ("u is added to both", "ops.relative_scores(q + self.position_bias.data[:, None], r", "ops.relative_scores(q + self.content_bias.data[:, None], r"),
    ],
    "layers/attention/segment_memory.py": [
        ("x stands before m", "np.concatenate([memory, x], axis=1)", "np.concatenate([x, memory], axis=1)"),
        ("m is what was read first", "seen[:, max(0, seen.shape[1] - self.length) :]", "seen[:, : self.length]"),
        ("m is the last segment alone", "seen[:, max(0, seen.shape[1] - self.length) :]", "x[:, max(0, x.shape[1] - self.length) :]"),
        ("keys of m are left out", "return self.attention(x, seen, *others", "return self.attention(x, x, *others"),
    ],
    "models/transformer_xl.py": [
        ("what a long text leaves is forgotten", "State() if state is None else state, range", "State() if state is None or ids.shape[1] > size else state, range"),
        ("gradients of the last segment alone", "dx[:, start : start + self.config.segment]", "dx[:, start : start + self.config.segment] * (start + self.config.segment >= dx.shape[1])"),
        ("one state for each segment", "for start in state.passes(starts)", "for start in starts"),
        ("gradients of segments from the first to the last", "for start in reversed(tape.pop(self))", "for start in tape.pop(self)"),
        ("embeddings as they are", "scale=d**0.5, **draw", "**draw"),
        ("a norm before each part", 'norm_order="post"', 'norm_order="pre"'),
        ("the last output is not dropped", "norm=Dropout(config.dropout)", "norm=Dropout(0.0)"),
        ("attention weights are never dropped", "dropout=config.attention_dropout", "dropout=0.0"),
    ],
    "recipes/transformer_xl.py": [
        ("each step begins without a memory", ", carries=True)", ")"),
        ("a row that validates is one segment", "SEGMENTS * settings.segment", "settings.segment"),
        ("the first segment of a row counts", " & (places >= size), targets", ", targets"),
        ("nine characters are the first eight", "places % size < FIRST", "places % size <= FIRST"),
        ("without the memory is with it", "array.reshape(-1, size) for array", "array.reshape(len(array), -1) for array"),
        ("the mean of means", "model.loss(*batch, count=count) for", "model.loss(*batch) / len(batches) for"),
    ],
    "state.py": [
        ("each part has slots of its own", "            self._next = first\n            yield part", "            yield part"),
    ],
    "ops/positions.py": [
        ("all tables begin at 0", "position, column = first + np.arange(max_len)", "position, column = 0 * first + np.arange(max_len)"),
    ],
}
