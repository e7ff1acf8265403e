"""Mistakes in tasks."""

TABLE = {
    "tasks/nearby_words.py": [
        ("the second table gets no gradient", "        self.output.add_grad(doutput, fresh=True)\n", ""),
        ("a tree has a node for each word", "self.vocab_size - self.tree)", "self.vocab_size)"),
    ],
    "tasks/next_and_previous.py": [
        ("the word itself is asked for from the left", "np.where(both, ids[:, 1:], self.ignored)", "np.where(both, ids[:, :-1], self.ignored)"),
        ("the word itself is asked for from the right", "np.where(both, ids[:, :-1], self.ignored)", "np.where(both, ids[:, 1:], self.ignored)"),
        ("the first padding is predicted", "words[:, 1:] & words[:, :-1]", "words[:, :-1]"),
        ("the loss is a mean over the directions", "targets[..., 0], self.ignored, count)", "targets, self.ignored, count)"),
        ("halves exchanged", "reshape(*layers.shape[:2], 2, -1)", "reshape(*layers.shape[:2], 2, -1)[:, :, ::-1]"),
        ("both perplexities are the next word's", "(x[:, :, n], targets[:, :, n])", "(x[:, :, 0], targets[:, :, 0])"),
    ],
    "tasks/cooccurrences.py": [
        ("alpha does not reach the loss", '"alpha": self.alpha}\n        loss', '"alpha": 0.75}\n        loss'),
        ("biases are exchanged", "body.bias_token, body.bias_context", "body.bias_context, body.bias_token"),
    ],
    "tasks/unified_words.py": [
        ("keys of the mask token stay", "        state.forget(1)\n", ""),
        ("a source is read left to right", "prefix=t if is_source else 0", "prefix=0"),
        ("the mask token stands in the source", "segments[:, :-1] = SEGMENTS[2, 0]", "segments[:] = SEGMENTS[2, 0]"),
        ("the mask token has no place of its own", "self.config.max_len - 1", "self.config.max_len"),
        ("a target slides on into a source", "    slides = False", "    slides = True"),
        ("all is measured both ways", "prefix=prefix)[asked]", "prefix=None)[asked]"),
    ],
    "tasks/image_classes.py": [
        ("an image's dtype is not the model's", ".astype(self.head.classifier.weight.data.dtype)", ""),
    ],
    "tasks/classes.py": [
        ("labels that count for nothing are measured", "self._logits(inputs, *others).argmax(axis=-1) == labels)[asked]",
         "self._logits(inputs, *others).argmax(axis=-1) == labels)"),
    ],
    "tasks/heads.py": [
        ("the class token's vector goes through BERT's pooler", 'if pooling == "cls" else None', 'if pooling in ("cls", "first") else None'),
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
         '"eps": config.eps, "bias"', '"eps": 1e-5, "bias"'),
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
        ("a text with a label is asked for its words too", "labels is not None and self.asked.unlabelled", "labels is None"),
        ("a text with a label is counted by its words too", "self._targets(ids, labels))])", "self._targets(ids))])"),
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
        ("batches count alike", "sum(self.loss(*batch, count=count) for batch in batches)", "np.mean([self.loss(*batch) for batch in batches])"),
        ("the balance counts once for each shard", "counted.sum() if count is None else count)", "counted.sum())"),
        ("rows without targets count like others", "factors = self.config.balance * counted", "factors = self.config.balance * counted.mean()"),
        ("a loss without a tape forgets the balance", "_Listener() if tape is None and", "_Listener() if False and"),
        ("the body's padding counts, not the task's", "None) if pad_id is None else pad_id", "pad_id)"),
        ("prompts are continued from their first token", "self.head(x[:, -1:])[:, 0]", "self.head(x[:, :1])[:, 0]"),
        ("padding is a word of a perplexity", "asked = targets != self.ignored", "asked = targets == targets"),
        ("the chunked loss gives the head no gradient", "self.head.add_matrix_grad(dmatrix)", "pass"),
    ],
}  # fmt: skip
