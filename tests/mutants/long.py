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
        ("q gets nothing from distances", "missing term", "Relative", "return dq + by_distance\n", "return dq\n"),
        ("q gets nothing from contents", "missing term", "Relative", "return dq + by_distance\n", "return by_distance\n"),
        ("du of the first row of the batch", "missing term", "Relative", "gradient.sum(axis=(0, 2))", "gradient[0].sum(axis=1)"),
        ("heads and distances exchanged", "transposed", "Relative", "dr.swapaxes(0, 1).reshape(dr.shape[1], -1)", "dr.reshape(dr.shape[1], -1)"),
    ],
    "layers/attention/relative_segments.py": [
        ("b from the scores of distances", "wrong operand", "RelativeSegments", "self.kind_bias.add_grad(by_kind.sum(axis=(0, 2))", "self.kind_bias.add_grad(dq.sum(axis=(0, 2))"),
        ("q gets nothing from kinds", "missing term", "RelativeSegments", "dscores, tape) + by_kind, dk, dv", "dscores, tape), dk, dv"),
        ("q gets nothing from distances", "missing term", "RelativeSegments", "return self._with_scores_backward(dq, dscores, tape) + by_kind", "self._with_scores_backward(dq, dscores, tape)\n        return dq + by_kind"),
        ("e of the other head", "index", "RelativeSegments", "self.kind.add_grad(dkind.swapaxes", "self.kind.add_grad(dkind[::-1].swapaxes"),
    ],
    "layers/attention/two_streams.py": [
        ("content gets nothing from keys and values", "missing term", "TwoStreams", "dx[:, :t] + dseen[:, dseen.shape[1] - t :]", "dx[:, :t] + 0 * dseen[:, dseen.shape[1] - t :]"),
        ("keys and values of the query stream", "index", "TwoStreams", "(dx[:, :t] + dseen[:, dseen.shape[1] - t :], dx[:, t:])", "(dx[:, :t], dx[:, t:] + dseen[:, dseen.shape[1] - t :])"),
        ("the first rows of [m; h] are h's", "index", "TwoStreams", "dseen[:, dseen.shape[1] - t :]", "dseen[:, :t]"),
        ("the query stream's gradient is the content's", "wrong operand", "TwoStreams", "t :], dx[:, t:])", "t :], dx[:, :t])"),
    ],
    "layers/attention/segment_memory.py": [
        ("the first rows of [m; x] are x's", "index", "SegmentMemory", "dseen[:, dseen.shape[1] - dx.shape[1] :]", "dseen[:, : dx.shape[1]]"),
        ("x as key and value gets nothing", "missing term", "SegmentMemory", "dx = dx + dseen[", "dx = dx + 0 * dseen["),
        ("x as query gets nothing", "missing term", "SegmentMemory", "dx = dx + dseen[:,", "dx = dseen[:,"),
    ],
}

TABLE = {
    "layers/masks.py": [
        ("the query stream sees its own word", "rank[:, :, None] < rank[..., None]", "rank[:, :, None] <= rank[..., None]"),
        ("the content stream does not see its own word", "rank[:, :, None] <= rank[..., None],", "rank[:, :, None] < rank[..., None],"),
        ("each sees what comes later", "return rank[:, :, None] <= rank[..., None], rank[:, :, None] < rank[..., None]", "return rank[:, :, None] >= rank[..., None], rank[:, :, None] > rank[..., None]"),
        ("an order is its ranks", "np.argsort(order, axis=1), max", "order, max"),
        ("the context is read in its order", "max(0, n_context - 1))[:, None]", "0)[:, None]"),
        ("the first predicted word is of the context", "max(0, n_context - 1))[:, None]", "n_context)[:, None]"),
    ],
    "layers/attention/relative_segments.py": [
        ("e without b", "ops.segment_scores(q + self.kind_bias.data[:, None],", "ops.segment_scores(q + 0 * self.kind_bias.data[:, None],"),
        ("e with u", "ops.segment_scores(q + self.kind_bias.data[:, None],", "ops.segment_scores(q + self.content_bias.data[:, None],"),
    ],
    "layers/attention/two_streams.py": [
        ("keys of both streams", "np.split(x, streams, axis=1)[0]", "np.split(x, streams, axis=1)[-1]"),
        ("the memory is hidden", "_after(before, mask, True)", "_after(before, mask, False)"),
        ("a memory of segment 1", "_after(before, segments, 0)", "_after(before, segments, 1)"),
        ("kinds are exchanged", "of_queries[:, :, None] != of_keys", "of_queries[:, :, None] == of_keys"),
        ("the second stream stands behind the first", "tape, streams=streams, **settings", "tape, **settings"),
    ],
    "models/xlnet.py": [
        ("the masks are exchanged", "np.concatenate(permutation_masks(order, n_context), axis=2)", "np.concatenate(permutation_masks(order, n_context)[::-1], axis=2)"),
        ("no context", "permutation_masks(order, n_context)", "permutation_masks(order, 0)"),
        ("the query stream begins with words", "np.broadcast_to(self.query.data, x.shape)", "x + self.query.data"),
        ("words are predicted from the content", "self.norm(x[:, x.shape[1] - t :], tape)", "self.norm(x[:, :t], tape)"),
        ("the gradient is the content's", "np.concatenate([np.zeros_like(dx), dx], axis=1)", "np.concatenate([dx, np.zeros_like(dx)], axis=1)"),
        ("words get the query's gradient", "self._embed_backward(dx[:, :t], tape)", "self._embed_backward(dx[:, -t:], tape)"),
        ("one order for all rows", "settings[\"mask\"] = np.concatenate(permutation_masks(order,", "settings[\"mask\"] = np.concatenate(permutation_masks(order[:1],"),
        ("embeddings times sqrt(D)", "Embedding(config.vocab_size, d, **draw)", "Embedding(config.vocab_size, d, scale=d**0.5, **draw)"),
        ("no memory", "**draw), config.memory)", "**draw), 0)"),
        ("the query's vector is not dropped", "self.dropout(np.broadcast_to(self.query.data, x.shape), tape)", "np.broadcast_to(self.query.data, x.shape)"),
    ],
    "tasks/permuted_words.py": [
        ("the first words of the order count", "order[:, n_context:] + ids.shape[1]", "order[:, : ids.shape[1] - n_context] + ids.shape[1]"),
        ("words of the context count", "order[:, n_context:] + ids.shape[1]", "order[:, max(0, n_context - 1) :] + ids.shape[1]"),
        ("all words are context but for the first", "x = self._vectors(ids, tape=tape, order=order, n_context=n_context, segments=segments, state=state)\n        rows", "x = self._vectors(ids, tape=tape, order=order, n_context=0, segments=segments, state=state)\n        rows"),
        ("rows of the first text", "+ ids.shape[1] * np.arange(len(ids))[:, None])", "+ 0 * np.arange(len(ids))[:, None])"),
        ("one word more", "max(1, t // self.own.one_in)", "max(1, -(-t // self.own.one_in))"),
        ("divided by all words", "return b * self._n_predicted(t)", "return b * t"),
        ("from right to left", "np.broadcast_to(np.arange(ids.shape[1]), ids.shape)", "np.broadcast_to(np.arange(ids.shape[1])[::-1], ids.shape)"),
    ],
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
        ("u is added to both", "_in_rows(q + self.position_bias.data[:, None]", "_in_rows(q + self.content_bias.data[:, None]"),
    ],
    "layers/attention/segment_memory.py": [
        ("x stands before m", "np.concatenate([memory, x], axis=1)", "np.concatenate([x, memory], axis=1)"),
        ("m is what was read first", "seen[:, max(0, seen.shape[1] - self.length) :]", "seen[:, : self.length]"),
        ("m is the last segment alone", "seen[:, max(0, seen.shape[1] - self.length) :]", "x[:, max(0, x.shape[1] - self.length) :]"),
        ("keys of m are left out", "return self.attention(x, self._seen(x, state), *others", "return self.attention(x, x + 0 * self._seen(x, state)[:, -x.shape[1] :], *others"),
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
