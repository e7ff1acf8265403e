"""Mistakes in reading and writing folders of Hugging Face's form."""

TABLE = {
    "hub/folder.py": [
        ("arrays are written with the strides that they have",
         'np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)', "array"),
        ("an index may lead out of the folder", 'set(part) & set("/\\\\:\\0") or part[0] == "."', "False"),
        ("tensors are where the header begins", "first = 8 + struct", "first = struct"),
        ("BF16 is read as the lower half", ".astype(np.uint32) << 16)", ".astype(np.uint32))"),
        ("a tensor may be missing in its part", "for name in names if name not in held]", "for name in ()]"),
        ("the format is not named", 'metadata={"format": "pt"}', "metadata={}"),
    ],
    "hub/family.py": [
        ("linear maps are not transposed", "isinstance(layers[layer], Linear) and not (in_body and self.conv1d)", "False"),
        ("tied copies may differ", "elif not _same(tensor, tensors[copied]):", "elif False:"),
        ("another model's config is read as ours", "wrong.append(f\"{name} is {published[name]!r:.80}", "(f\"{name} is {published[name]!r:.80}"),
        ("a model is made as large as its config says", '{"rng": Zeros(held), "dtype": dtype}',
         '{"rng": Zeros(10**15), "dtype": dtype}'),
        ("the pooler is read as it lies", "return Pooler(weight.T, bias), names", "return Pooler(weight, bias), names"),
        ("the pooler is not written", "self.pooler and model.pooler is not None:", "False:"),
        ("whole numbers are weights", "if name in shapes and tensor.dtype not in FLOATS]", "if False]"),
        ("known keys are written as they were read", "if name not in kept or key.read(name, kept[name]) not in same:", "if name not in kept:"),
        ("a tensor of its own is written in our shape", "(tensor.T if self.turned else tensor).reshape(self.shape)", "tensor.T if self.turned else tensor"),
        ("an older name's tensor replaces today's", "if old in tensors and name not in tensors}", "if old in tensors}"),
        ("of two keys of one setting the last counts", "if setting in said and settings[setting] != value:", "if False:"),
    ],
    "hub/reformer.py": [
        ("the longest list of blocks", "next(n for n in range(1, len(kinds) + 1) if", "next(n for n in range(len(kinds), 0, -1) if"),
        ("half as many buckets", "bit_length() - 1)", "bit_length() - 2)"),
        ("a folder that does not say so is causal", 'published.get("is_decoder", False)', 'published.get("is_decoder", True)'),
        ("one chunk after is seen, or not", '"lsh_num_chunks_before": (1,)', '"lsh_num_chunks_before": (1, 2)'),
        ("the older bias is no bias", 'stand_ins={"lm_head.decoder.bias": "lm_head.bias"}', "stand_ins={}"),
    ],
    "hub/xlnet.py": [
        ("only the output lies as ours", '_by_head, theirs == "o")', '_by_head, theirs != "o")'),
        ("u and w are exchanged", '"content_bias": "r_w_bias", "position_bias": "r_r_bias"', '"content_bias": "r_r_bias", "position_bias": "r_w_bias"'),
        ("keys are queries", '{"query": "q", "key": "k"', '{"query": "k", "key": "q"'),
        ("an older default of the GELU", 'Key("activation", "gelu", ACTIVATIONS)', 'Key("activation", "gelu", {"gelu": "gelu_tanh", "relu": "relu"})'),
        ("causal models are read, too", '"attn_type": ("bi",)', '"attn_type": ("bi", "uni")'),
    ],
    "hub/__init__.py": [
        ("what is not read is not said", "    if left:", "    if False:"),
        ("float64 is read as float32", "dtype = np.float64 if", "dtype = np.float32 if"),
        ("a branch of low rank is called a name that is missing", "    if adapted:", "    if False:"),
        ("how texts are generated is lost", 'getattr(body, name, {}) for', "{} for"),
        ("a task is read as any body", "issubclass(family.body, kind)", "True"),
    ],
    "hub/albert.py": [
        ("a classifier's dropout has BERT's name", 'DROPOUT = "classifier_dropout_prob"', 'DROPOUT = "classifier_dropout"'),
    ],
    "hub/modernbert.py": [
        ("older files' bases are exchanged", '{WHOLE: published.get("global_rope_theta"), LOCAL: published.get("local_rope_theta")}',
         '{LOCAL: published.get("global_rope_theta"), WHOLE: published.get("local_rope_theta")}'),
        ("any list of types is read", "if value != types_of(len(value), every):", "if False:"),
    ],
    "hub/decoder_heads.py": [
        ("a text's class is said by its first word", '"pooling": "last", "dropout"', '"pooling": "first", "dropout"'),
        ("padding is a word", '{"pad_id": published.get(PAD)}', '{"pad_id": None}'),
        ("padding is not written", "PAD in kept and kept[PAD] == task.asked.pad_id", "True"),
        ("a head with a bias is written without it", " and not task.asked.classifier_bias", ""),
    ],
    "hub/roberta.py": [
        ("as many rows of positions are written as there are tokens", "config.max_len + config.pad_id + 1", "config.max_len"),
    ],
    "hub/longformer.py": [
        ("half a window is written", "[2 * side for side, _", "[side for side, _"),
        ("the first block's window is written", 'return windows if "," in config.windows else windows[0]', "return windows[0]"),
        ("a list of windows of another length is read", "if isinstance(windows, list) and len(windows) != blocks:", "if False:"),
        ("classes do not say what is global", 'BY_CLASS.get(said[0], "none")', '"none"'),
        ("what a file says of global words is not read", "{GLOBAL: BY_CLASS.get(said[0], \"none\")} | published", "published | {GLOBAL: BY_CLASS.get(said[0], \"none\")}"),
        ("any global words are written as theirs", " and task.config.global_words == BY_CLASS[name]", ""),
    ],
    "hub/t5.py": [
        ("an output layer of its own is taken for a copy", 'scaled is not False or "lm_head.weight" not in names', "True"),
    ],
}  # fmt: skip
