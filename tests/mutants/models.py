"""Mistakes in layers and models: settings that get lost, paths that only some calls take."""

TABLE = {
    "layers/attention/dot_product.py": [
        ("attention's dropout is that of the first rows in every shard",
         '"first_row": tape.first_row', '"first_row": 0'),
        ("the batch's pattern takes the place of the layer's", "else self.pattern & pattern", "else pattern"),
        ("the scale is lost", "scale=self.scale, **dropout", "**dropout"),
    ],
    "layers/attention/multi_head.py": [
        ("groups are as many as heads", "groups = self.n_kv_heads", "groups = self.n_heads"),
        ("the output matrix is drawn like the others", "init=init_output or init, **linear", "init=init, **linear"),
    ],
    "layers/block.py": [
        ("the decoder looks at the source's padding",
         "memory, tape, mask=memory_mask, state=state", "memory, tape, state=state"),
    ],
    "state.py": [
        ("a slot that grows forgets its last position",
         "array[:, :, : self.length] = old", "array[:, :, : self.length - 1] = old[:, :, :-1]"),
        ("beams read the memory of another sentence",
         "slot.arrays = tuple(array[rows] for array in slot.arrays)",
         "slot.arrays = tuple(array[rows] for array in slot.arrays) if slot.length else slot.arrays"),
        ("a forward that fails leaves what it wrote", "for slot, (slot.arrays, slot.length) in", "for slot, _ in"),
    ],
    "layers/lstm.py": [
        ("each part of a text begins with h and c of 0", "h, c = slot.arrays", "slot.arrays"),
        ("the next part begins with h and c exchanged", "slot.arrays = tuple(final)", "slot.arrays = tuple(final[::-1])"),
        ("the bias is drawn once, not as the sum of two",
         "(draw(4 * d_state) + draw(4 * d_state))", "draw(4 * d_state)"),
    ],
    "models/char_lstm.py": [
        ("each layer reads the layer above", "for layer in self.layers:", "for layer in self.layers[::-1]:"),
        ("the state is not handed on", "layer(x, tape=tape, state=state)", "layer(x, tape=tape)"),
        ("dropout's backward is left out", "layer.backward(self.dropout.backward(dx, tape), tape)", "layer.backward(dx, tape)"),
    ],
    "layers/dropout.py": [
        ("positions are not counted among the rows that came before a shard",
         "tape.first_row * math.prod(x.shape[1:-1])", "tape.first_row"),
    ],
    "layers/embedding.py": [
        ("sinusoids start anew at each decoded token",
         "ops.add_positions(x, self.table, start)", "ops.add_positions(x, self.table)"),
    ],
    "layers/init.py": [
        ("the fan out sets the spread of weights", "math.sqrt(max(1, shape[0]))", "math.sqrt(max(1, shape[1]))"),
        ("Xavier's bound is too small by the root of 2", "6 / max(1, shape[0]", "3 / max(1, shape[0]"),
    ],
    "layers/linear.py": [
        ("the fan out sets the spread of biases",
         "math.sqrt(max(1, len(layer.weight.data)))", "math.sqrt(layer.weight.data.shape[1])"),
    ],
    "layers/checkpoint.py": [
        ("layers behind a checkpoint draw its masks again", "tape.sites = fork.sites", "pass"),
        ("the second forward draws other masks", "fork = tape.fork(sites)", "fork = tape.fork(tape.sites)"),
    ],
    "layers/feed_forward.py": [
        ("the activations that backward makes again are not dropped",
         "in KEEP_INPUT and not self.dropout.p", "in KEEP_INPUT"),
    ],
    "layers/masks.py": [
        ("the mask forgets that earlier keys are in a cache",
         "np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)", "np.tri(n_queries, n_keys, dtype=bool)"),
    ],
    "layers/layer_norm.py": [
        ("the layer's eps gets lost", "self.bias.data, self.eps)", "self.bias.data)"),
    ],
    "models/bert.py": [
        ("an embedding dropout of 0 is taken for none given",
         "config.dropout if config.embedding_dropout is None else config.embedding_dropout",
         "config.embedding_dropout or config.dropout"),
        ("padding is masked, asked for or not", "if config.masks_padding and ids.ndim == 2", "if ids.ndim == 2"),
        ("the tutorial pads with its mask token", '"pad_id": vocab_size - 3', '"pad_id": vocab_size - 1'),
    ],
    "models/gpt.py": [
        ("weights into the residual stream are too wide by the root of 2",
         "math.sqrt(2 * config.n_layers)", "math.sqrt(config.n_layers)"),
        ("the first GPT's matrices start as GPT-2's", "if config.scaled_init:", "if True:"),
        ("the blocks' norms have the default eps", '"attention_dropout": config.attention_dropout, "eps": config.eps}',
         '"attention_dropout": config.attention_dropout}'),
        ("embeddings that are not to be dropped are",
         "config.dropout if config.embedding_dropout is None else config.embedding_dropout",
         "config.embedding_dropout or config.dropout"),
    ],
    "models/transformer.py": [
        ("an untied target embedding is not scaled",
         "config.target_vocab_size, d, scale=scale", "config.target_vocab_size, d, scale=1.0"),
        ("final_norm=False is not obeyed in pre-norm order",
         "if self.final_norm is None else", "if not self.final_norm else"),
    ],
    "models/stacks.py": [
        ("a new word has the distances of the first", "self.relative(np.arange(start, stop)", "self.relative(np.arange(stop - start)"),
        ("the inner activations are dropped like the outputs", '"dropout": feed_forward_dropout}', '"dropout": p}'),
        ("the blocks' norms have the default eps",
         'LayerNorm(d, eps=eps, dtype=draw["dtype"])', 'LayerNorm(d, dtype=draw["dtype"])'),
        ("attention's weights are never dropped", "DotProduct(pattern=pattern, dropout=p if attention_dropout is None else attention_dropout)",
         "DotProduct(pattern=pattern)"),
        ("the memory is read as causally as the text", "attention(FULL), feed", "attention(pattern), feed"),
        ("the tutorial's sinusoids are the paper's", 'form = {config.positions: True} if config.positions != "sinusoidal" else {}',
         "form = {}"),
        ("BART's rows of positions begin at the first", 'unused=getattr(config, "unused_positions", 0), ', ""),
    ],
    "models/t5.py": [
        ("queries start as wide as keys", "made.query.weight.data *= made.query.weight.data.dtype.type(k**-0.5)", "pass"),
        ("the head reads vectors that are not scaled", "[Scale(d**-0.5)] if config.scales_head else []", "[]"),
        ("scores are divided by sqrt(K)", "dropout=config.dropout, scale=1.0)", "dropout=config.dropout)"),
        ("the decoder's distances have two sides", "*scaled, two_sided=False)", "*scaled, two_sided=True)"),
        ("the gate's activation is that of the first version", '{"activation": config.activation, "dropout"', '{"dropout"'),
    ],
    "layers/relative_bias.py": [
        ("a bucket begins one distance late", 'side="right") - 1', 'side="left") - 1'),
        ("the last bucket ends with the first side's", "len(self.starts) * ahead if", "(len(self.starts) - 1) * ahead if"),
    ],
    "models/config.py": [
        ("a special id one too large is let through", "getattr(config, name), 0, size - 1)", "getattr(config, name), 0, size)"),
    ],
    "settings.py": [
        ("the end of a range that is open counts", "above < x < below", "above <= x <= below"),
        ("a class of several forgets the defaults that were given", "defaults.get(name, default)", "default"),
        ("the second setting of a name counts, not the first", "if name not in annotations and name", "if name"),
    ],
    "tasks/heads.py": [
        ("the mean is taken for the maximum", '"max": ("max",)', '"max": ("mean",)'),
        ("what the classifier reads is not dropped", "self.dropout(x, tape), tape)", "self.dropout(x), tape)"),
        ("padding is pooled with the words", "self.pool(hidden, tape, mask=mask)", "self.pool(hidden, tape)"),
    ],
    "tasks/hidden_words.py": [
        ("fill reads the rows of another text", "+ t * np.arange(b)[:, None]", "+ n * np.arange(b)[:, None]"),
        ("the second loss of a shard is divided by the shard's own texts", "labels, count=n_texts)", "labels)"),
        ("pairs with one kind of segment are let through", 'n_segments", 0) < 2:', 'n_segments", 0) < 1:'),
        ("texts without a label are counted", "ops.count_targets(labels, IGNORE) if", "len(labels) if"),
        ("the head's norm has another eps than the encoder's",
         "activation=config.activation, eps=config.eps", "activation=config.activation, eps=1e-5"),
        ("the first loss of a shard is divided by the shard's own words",
         "targets.reshape(-1)[masked], tape, count=n_words)", "targets.reshape(-1)[masked], tape)"),
    ],
    "tasks/next_token.py": [
        ("a shard's loss is divided by its own targets", "targets, tape, count=count)", "targets, tape)"),
    ],
    "tasks/spans.py": [
        ("an answer may start at padding", "np.where(words, 0, -np.inf)", "np.where(words, 0, 0.0)"),
        ("an answer may end before it starts", "forward & allowed[row] &", "allowed[row] &"),
        ("an answer may be one token too long", "bool), longest)", "bool), longest + 1)"),
        ("no answer is worth its start alone", "- (start[0] + end[0])", "- start[0]"),
        ("an end in the question is allowed", "allowed[row] & allowed[row, :, None]", "allowed[row, :, None]"),
        ("starts alone are counted", "count_targets(starts) + ops.count_targets(ends)", "count_targets(starts)"),
        ("an answer at padding is not refused", "words[row, [start, end]].all()", "words[row, [start, end]].any()"),
    ],
    "tasks/text_classes_next_token.py": [
        ("words count in full", "+ self.asked.weight * words", "+ words"),
        ("a shard's words are divided by its own", "tape, count=n_words)", "tape)"),
        ("a shard's texts are divided by its own", "labels, count=n_texts)", "labels)"),
        ("each word is said from itself", "targets[:, 1:], ((0, 0), (0, 1))", "targets[:, :], ((0, 0), (0, 0))"),
        ("padding is a word to say", "np.where(words, ids, self.ignored)", "np.asarray(ids)"),
    ],
    "tasks/sequence_to_sequence.py": [
        ("a target that begins with padding's id is refused", "pad[:, 0] &= self.config.start_id", "pad[:, 0] |= self.config.start_id"),
        ("the start token is counted among the labels",
         "np.asarray(target)[:, 1:], self", "np.asarray(target), self"),
        ("padding before the last word is not refused", "pad[:, :-1] & ~pad[:, 1:]", "pad[:, :-2] & ~pad[:, 1:-1]"),
        ("the plain cross-entropy learns to say padding", "ignore_index=pad_id, **options", "**options"),
    ],
    "tasks/task.py": [
        ("the body's padding counts, not the task's", "None) if pad_id is None else pad_id", "pad_id)"),
        ("prompts are continued from their first token", "self.head(x[:, -1:])[:, 0]", "self.head(x[:, :1])[:, 0]"),
        ("padding is a word of a perplexity", "asked = targets != self.ignored", "asked = targets == targets"),
        ("the chunked loss gives the head no gradient", "self.head.add_matrix_grad(dmatrix)", "pass"),
    ],
}  # fmt: skip
