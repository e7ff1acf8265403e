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
}
