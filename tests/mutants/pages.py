"""Mistakes in pages that a reader explores, and in what layers say for them."""

TABLE = {
    "viz/attention.py": [
        ("a pointer's rows are elements", 'if two_texts and not kind.startswith("encoder"):', 'if two_texts and kind.startswith("decoder"):'),
        ("settings of the model have no effect", "model(*inputs, watcher, **settings)", "model(*inputs, watcher)"),
    ],
    "viz/attention_page.py": [
        ("a row's weights are shares of the head's largest", "layer.weights.max(axis=2, keepdims=True)",
         "0 * layer.weights[:, :, :1] + layer.weights.max(axis=(1, 2), keepdims=True)"),
        ("the small pictures are of some of the weights", "np.maximum.reduceat(weights, starts, axis=axis)", "weights.take(starts, axis=axis)"),
        ("the small pictures of all layers are the last one's", "thumbs.append(_bytes(small))", "thumbs[:] = [_bytes(small)] * (len(thumbs) + 1)"),
        ("shades follow weights, not roots", "small = np.sqrt(np.minimum(", "small = (np.minimum("),
        ("each head's scale is the largest of all", "np.abs(vectors).max(axis=(1, 2)).astype(float)", "np.full(len(vectors), np.abs(vectors[0]).max())"),
        ("each position says what it reads", "[*read[1:], next_word]", "[*read]"),
        ("it begins with what is looked at least", "weights[0, query].argmax()", "weights[0, query].argmin()"),
        ("tokens keep their line breaks", 'r"^ +| +$|[\\n\\t]"', 'r"^ +| +$|\\t"'),
    ],
    "viz/attention_parts.py": [
        ("negative weights are let through", "if weights.min() < 0:", "if False:"),
        ("the image is drawn inside out", "255 * (image - image.min())", "255 * (image.max() - image)"),
        ("additive scores are divided by the root of the width", "1.0 if compared.additive else", "2.0 if compared.additive else"),
    ],
    "layers/attention/relative.py": [
        ("queries are shown without their bias", "self.attend.compared(by_content, k, v)", "self.attend.compared(q, k, v)"),
    ],
    "layers/attention/dot_product.py": [
        ("pictures do not know the layer's scale", "q.shape[3] ** -0.5 if self.scale is None else self.scale", "q.shape[3] ** -0.5"),
    ],
    "layers/attention/hashed.py": [
        ("keys are shown as long as queries", "return Compared(q, k, besides", "return Compared(q, q, besides"),
    ],
    "models/attention_in_loop.py": [
        ("all steps have the first one's query", "[step.queries for step in watched]", "[watched[0].queries for step in watched]"),
    ],
    "pipelines/attention.py": [
        ("a decoder reads its words without <start>", "fed = np.concatenate([[config.start_id], said])", "fed = said"),
        ("an image's patches are named across", "f\"row {i // columns}, column {i % columns}\"", "f\"row {i % columns}, column {i // columns}\""),
        ("one stack sees its source from left to right only", '"prefix": np.array([first.size])', '"prefix": np.array([1])'),
        ("a second text is dropped without a word", "    if second is not None:\n        kind", "    if False:\n        kind"),
    ],
    "viz/tensor_seen.py": [
        ("the mean of squares counts what is not finite", "table.size - n_nan - n_infinite", "table.size"),
        ("a unit is silent if it is 0 once", "~table.any(axis=0)", "~table.all(axis=0)"),
        ("a cell shows the smallest entry", "constant_values=-1)\n        chosen = band.reshape(len(band), c, wide).swapaxes(0, 1).reshape(c, -1).argmax(axis=1)",
         "constant_values=1e300)\n        chosen = band.reshape(len(band), c, wide).swapaxes(0, 1).reshape(c, -1).argmin(axis=1)"),
        ("a cell's place is counted without its band", "(i * tall + chosen // wide) * width", "(chosen // wide) * width"),
        ("a smaller picture's places are those in the larger one", "picture.places.reshape(-1)[found.places]", "found.places"),
    ],
    "viz/following.py": [
        ("two calls of a layer exchange their gradients", "for i in reversed(range(len(self.finished))):", "for i in range(len(self.finished)):"),
        ("a forward that runs again is a new call", "call = self._same(layer, parent) if second else None", "call = None"),
        ("a second forward goes backward", "if parent.kind == AGAIN else", "if False else"),
        ("an array that two layers save counts twice", "self.n_bytes += 0 if memory[2] else memory[1]", "self.n_bytes += memory[1]"),
        ("parameters count", "            if key not in self.weights:\n                memory", "            if True:\n                memory"),
        ("what a forgotten tape held is never freed", "        for _, saved in stack:\n            self.release(saved)", "        pass"),
        ("exchanged arrays are held twice", "        for _, saved in before:\n            self.log.release(saved)", "        pass"),
        ("what is forgotten is said to be kept", "call.dropped = True", "call.dropped = False"),
        ("an array is counted for each layer that saves it", "first.setdefault(key, call.number)", "pass"),
    ],
    "viz/trace.py": [
        ("the caller's model gets the gradients", "model, settings = model.replicate(), settings or {}", "settings = settings or {}"),
        ("a layer has the parameters of layers inside it", "if path and id(member) in called else []", "if False else []"),
        ("dropout has no seed", "Following(log, seed)", "Following(log, None)"),
        ("a layer's backward begins with the outputs", "_drawn(y) if dy is None else dy", "_drawn(y)"),
    ],
    "viz/gradient_page.py": [
        ("values stand where gradients belong", '("y", call.outputs), ("dy", call.doutputs)', '("y", call.outputs), ("dy", call.outputs)'),
        ("small numbers vanish in float32", "scale = 2.0 ** np.floor(np.log2(size)) if size else 1.0", "scale = 1.0"),
        ("the pictures of large models are not limited", "share = min(1.0, ", "share = max(1.0, "),
        ("a forward that runs again is one", "(FORWARD, AGAIN, BACKWARD).index(step.kind)", "(FORWARD, FORWARD, BACKWARD).index({'again': FORWARD}.get(step.kind, step.kind))"),
    ],
    "pipelines/gradients.py": [
        ("a translation ends without <stop>", "np.append(fed[0], translator.model.config.stop_id)[None]", "np.append(fed[0], fed[0, -1])[None]"),
        ("every word is a target, not only the hidden ones", "np.where(hidden, words, ignored)[None]", "words[None]"),
        ("the target class is not asked", "int(logits.argmax()) if target is None else trained.labels.index(target)", "int(logits.argmax())"),
        ("a target that differs in other words is taken", "or (words != ids)[~hidden].any()", "or False"),
    ],
}
