"""Mistakes in sums that the forward of an operation makes: what it adds its result to is ``onto``."""

TABLE = {
    "ops/linear.py": [
        ("the other path of a sum is forgotten", "sums[j] = more[j]", "sums[j] = 0"),
        ("the other path of another part's rows", "onto[start + row, first:last]", "onto[row, first:last]"),
        ("the other path of another part's columns", "onto[start + row, first:last]", "onto[start + row, : last - first]"),
        ("no bias beside another path", "sums[j] += added[j]  # (5)", "sums[j] += 0"),
        ("a bias is needed for a sum", "part, has_bias or has_more)  # (1), (5)\n\n", "part, has_bias)\n\n"),
        ("a bias is needed for a sum, transposed", "matrix[first:last].T, part, has_bias or has_more)", "matrix[first:last].T, part, has_bias)"),
        ("few rows are not added", "y += more if bias is None else more + bias", "y += 0 if bias is None else bias"),
        ("few rows are added in another order than many", "y += more if bias is None else more + bias", "y += 0 if bias is None else bias\n            y += more"),
    ],
    "ops/gelu_linear.py": [
        ("the other path of a sum is forgotten", "sums[j] = more[j]\n            for", "sums[j] = 0\n            for"),
        ("no bias beside another path", "sums[j] += bias[j]  # (6)", "sums[j] += 0"),
        ("a bias is needed for a sum", "has_bias or has_more)  # (2)", "has_bias)  # (2)"),
    ],
    "shapes.py": [
        ("y is as wide as x", '"onto", onto, (*x.shape[:-1], weight.shape[1])', '"onto", onto, x.shape'),
    ],
    "layers/block.py": [
        ("a watcher does not see the layer's own output", "(tape is None or not tape.is_watched) and _can(", "_can("),
        ("a forward that was replaced gets a setting that it does not have", " and not is_altered(layer)\n", "\n"),
        ("the other path is forgotten where a layer cannot add", "return onto + layer(*inputs", "return layer(*inputs"),
        ("the other path is forgotten where a layer adds", "return layer(*inputs, tape, onto=onto, **settings)", "return layer(*inputs, tape, **settings)"),
        ("what is dropped is the sum", "if not drops_nothing(self.dropout, has_seed=has_seed) or not can_add(", "if not can_add("),
        ("without a seed, last bits depend on the probability", "drops_nothing(self.dropout, has_seed=has_seed)", "drops_nothing(self.dropout)"),
        ("the sum is made by itself", "if not drops_nothing(self.dropout, has_seed=has_seed) or not can_add(", "if True or not can_add("),
        ("the norm's output is what is added", "self._added(x, self.norm(x, tape), *others", "self._added(*[self.norm(x, tape)] * 2, *others"),
    ],
    "layers/linear.py": [
        ("what is added is forgotten", "if self.bias else None, onto=onto)", "if self.bias else None)"),
    ],
    "layers/feed_forward.py": [
        ("what is added is forgotten", "self.activation.name, onto=onto)", "self.activation.name)"),
        ("what is added is forgotten where layers are called", "forward_onto(onto, self.contract", "forward_onto(None, self.contract"),
    ],
    "layers/gated_feed_forward.py": [("what is added is forgotten", "forward_onto(onto, self.contract", "forward_onto(None, self.contract")],
    "layers/attention/multi_head.py": [("what is added is forgotten", "forward_onto(onto, self.output", "forward_onto(None, self.output")],
}  # fmt: skip
