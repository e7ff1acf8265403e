"""Mistakes in layers of which one operation does the work of several, or adds a gradient to another one."""

TABLE = {
    "layers/block.py": [
        ("the last position gets a mask of all", 'not others and settings.keys() <= {"state"} and _can(', "_can("),
        ("the last position has the first one's short cut", "y = x[:, -1:] + self.dropout(last_of", "y = x[:, :1] + self.dropout(last_of"),
        ("all positions are computed for the last one", 'and _can(layer, "last"):', "and False:"),
        ("x is inside what a call of another kind changes", " and kind.__call__ is Layer.__call__", ""),
        ("a backward that was replaced gets a setting that it does not have", "tape.is_watched and not is_altered(layer):", "tape.is_watched:"),
        ("a wrapped backward gets a setting that it does not have", "(method, follow_wrapped=False)", "(method)"),
        ("a watched backward gets a setting that it does not have", " and not tape.is_watched", ""),
        ("the decoder looks at the source's padding", "memory, tape, mask=memory_mask, state=state", "memory, tape, state=state"),
    ],
    "layers/feed_forward.py": [
        ("the activations that backward makes again are not dropped",
         "in KEEP_INPUT and drops_nothing(self.dropout)", "in KEEP_INPUT"),
        ("watchers do not see the layers inside", "tape is None or tape.is_watched or", "tape is None or"),
        ("an activation of one's own has to have a name", "isinstance(self.activation, Activation) and ", ""),
        ("an activation that was replaced is left out", "is_altered(self.activation) or ", ""),
        ("a dropout's backward that was replaced is left out", "is_altered(self.dropout) or ", ""),
        ("a map that was replaced is left out", " or is_altered(self.contract)", ""),
    ],
    "layers/dropout.py": [
        ("a dropout layer of one's own is left out", "type(layer) is Dropout and not (has_seed and layer.p) and \"forward\" not in vars(layer)", "not (has_seed and getattr(layer, 'p', 0))"),
    ],
}
