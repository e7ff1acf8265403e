"""Mistakes in data and metrics."""

TABLE = {
    "data/texts/polar.py": [
        ("noise is of the other polarity alone", "known = anything", 'known = WORDS["negative" if polarity == "positive" else "positive"]'),
        ("no noise", "rng.random() < noise", "rng.random() < 0 * noise"),
    ],
    "recipes/sentiment_unit.py": [
        ("padding is read", "mask=mask, final=True", "final=True"),
        ("held-out reviews are learned", "for text, _ in part]) for part in (train, held_out))", "for text, _ in part]) for part in (train + held_out, held_out))"),
        ("the unit is judged where it was chosen", "np.mean(unit.says(held_out) == t_held_out)", "unit.accuracy"),
        ("a word has the value before it", "cells_along(model.body, ids)[:, unit.unit]", "cells_along(model.body, ids)[[0, *range(len(ids) - 1)], unit.unit]"),
    ],
    "data/word_pairs.py": [
        ("pairs reach over the end of a sentence", "(sentence[:-distance] == sentence[distance:]) & (left >= 0)", "(left >= 0) & (right >= 0)"),
        ("every distance counts 1", "times / distance", "times / 1"),
        ("one of both orders", "((left, right), (right, left))", "((left, right),)"),
    ],
    "vectors/analogies.py": [
        ("vectors are summed as they are", "unit_rows(check_words(\"analogies\", words, vectors))", "check_words(\"analogies\", words, vectors)"),
        ("a word of the question may be the answer", "for asked in (a, b, c):", "for asked in (a, b):"),
        ("a and b are exchanged", "unit[b] - unit[a] + unit[c]", "unit[a] - unit[b] + unit[c]"),
    ],
    "data/huffman.py": [
        ("rare words lie near the root", "(a + b, node)", "(0, node)"),
        ("both children have one code", "turn[right] = 1", "turn[right] = 0"),
        ("the way begins above the word", "way[::-1]", "way"),
    ],
    "data/batches/labelled_batches.py": [
        ("padding has a class", "for row in chosen], IGNORE)", "for row in chosen], self.pad_id)"),
        ("labels stand beside other rows", "self.labels[chosen]", "self.labels[: len(chosen)]"),
        ("every epoch has the order of the first", "[self.seed, epoch]", "[self.seed, 0]"),
    ],
    "data/images.py": [
        ("the first image is taken for names of columns", "number == 1 and not any(_is_number(part) for part in numbers)", "number == 1"),
        ("a damaged first image is taken for names of columns", "not any(_is_number(part) for part in numbers)", "not numbers[0].isdecimal()"),
        ("a white pixel is 255 always", "side, side, 1) / largest)", "side, side, 1) / 255)"),
    ],
    "data/batches/image_batches.py": [
        ("labels stand beside other images", "return images, self.labels[chosen]", "return images, self.labels[: len(chosen)]"),
        ("every epoch has the order of the first", "[self.seed, epoch]", "[self.seed, 0]"),
        ("all images of a batch move alike", "0, 2 * s + 1, (len(images), 2))", "0, 2 * s + 1, (1, 2)).repeat(len(images), 0)"),
        ("no image moves down or right as far as up or left", "2 * s + 1", "2 * s"),
        ("pixels come in again at the other side", "(0, 0)))\n", "(0, 0)), mode='wrap')\n"),
    ],
    "recipes/roberta.py": [
        ("it has no segment, as a BERT without pairs", '"none" else 1)', '"none" else 0)'),
    ],
    "recipes/digits.py": [
        ("what validates is trained on", "batch=ImageBatches(images, labels,", "batch=ImageBatches(others, their_labels,"),
        ("an image's shades are exchanged", "(len(SHADES) - 1)).round()", "(1 - len(SHADES))).round()"),
    ],
    "viz/image_attention.py": [
        ("the class token is drawn as a patch", "weights[:, -math.prod(grid) :]", "weights[:, : math.prod(grid)]"),
        ("the picture is another row's", "else weights[row, :, query])", "else weights[0, :, query])"),
        ("the image is drawn inside out", "(1 - black) * (image - low) / span", "(1 - black) * (low - image) / span"),
    ],
    "recipes/t5_text.py": [
        ("a row has more spans than sentinels", "for k in range(n_spans))", "for k in range(n_spans - 1))"),
    ],
    "recipes/bart.py": [
        ("sentences are permuted though nobody asked", "if settings.permute else sentences", "if True else sentences"),
        ("the text to write is permuted, too", "**options), np.concatenate(sentences)", "**options), np.concatenate(given)"),
    ],
    "recipes/mixtral.py": [
        ("the smallest share is said to be the largest", "max(every, default=1.0)", "min(every, default=1.0)"),
    ],
    "recipes/t5_tasks.py": [
        ("a task is measured on the pairs of all", "[hypotheses[i] for i in own], [pairs[i][1] for i in own]",
         "hypotheses, [target for _, target in pairs]"),
        ("a source without a colon is a task", "        if colon:\n", "        if True:\n"),
    ],
    "recipes/recurrent_seq2seq.py": [
        ("settings of the model have no effect", "RecurrentSeq2SeqConfig(**settings.fields_of(RecurrentSeq2SeqConfig) | sizes)", "RecurrentSeq2SeqConfig(**sizes)"),
    ],
    "recipes/unilm.py": [
        ("there is room for a source alone", "2 * settings.max_len + 2", "settings.max_len + 2"),
        ("the shares of rows may be above 1", "if shares[2] < 0:", "if False:"),
        ("every row is read from sequence to sequence", '"shares": shares}', '"shares": (0, 0, 1)}'),
    ],
    "data/tokenizers/spelling.py": [
        ("a long word has no end", "[: width - 2]", "[: width - 1]"),
        ("a byte 0 is padding", "(byte + 1 for byte", "(byte for byte"),
    ],
    "recipes/elmo.py": [
        ("the language model reads what is held out", "batches = LabelledBatches(*zip(*train)", "batches = LabelledBatches(*zip(*train, *held_out)"),
        ("tags are learned from what is held out", "for rows in (train[: settings.labelled], held_out)", "for rows in (held_out, held_out)"),
        ("a sense is a tag, whatever the word", "np.unique(ids[several] * n_tags + tags[several],", "np.unique(tags[several],"),
        ("all words are ambiguous", "float(found[asked].mean())", "float(found.mean())"),
        ("hidden words are shown in training", "if not any(word in drawn for", "if all(word in drawn for"),
        ("sentences to judge by are fewer", "return left, held_out", "return left, [s for s in held_out if any(word in drawn for word, _ in s)]"),
        ("unknown words have one id each", "np.where(ids < n_known, ids, unk_id)", "ids"),
        ("padding has letters", "        array[config.pad_id] = 0\n", "        pass\n"),
        ("words that are often seen count as new", "unseen = kept.counts[words].sum(axis=1) == 0", "unseen = kept.counts[words].sum(axis=1) >= 0"),
        ("each layer is the token's", "body(kept.read(ids))[:, :, n : n + 1]", "body(kept.read(ids))[:, :, :1]"),
    ],
    "recipes/ulmfit.py": [
        ("a layer learns before it is thawed", "slower if step >= begins else 0.0", "slower"),
        ("rates grow with depth", "settings.depth_factor**-depth", "settings.depth_factor**depth"),
        ("shuffled texts keep their order", "rng.permutation(row[2:-2])", "row[2:-2]"),
        ("a stage begins a step late", 'np.searchsorted(first, step, side="right")', 'np.searchsorted(first, step, side="left")'),
        ("the vocabulary knows what is held out", "*(text for text, _ in texts)]", "*(text for text, _ in texts + held_out)]"),
    ],
    "recipes/awd_lstm.py": [
        ("a rate is scaled as the next step", "n=step + 1)[-1]", "n=step + 2)[-1]"),
        ("rates are not scaled", "rate_scale=rate_scale if settings.vary else None,", ""),
    ],
    "recipes/neighbours.py": [
        ("paragraphs run into each other", "(row[row != tokenizer.unk_id], [-1])", "(row[row != tokenizer.unk_id],)"),
        ("rare words are words", "min_count\": settings.min_count", "min_count\": 1"),
    ],
    "recipes/glove.py": [
        ("a pair validates that is learned the other way round", "np.sort(pairs[:2], axis=0)", "np.array(pairs[:2])"),
        ("all runs hold out the same pairs", "default_rng(seed).permutation", "default_rng(0).permutation"),
        ("what is held out is learned", "PairExamples(learned,", "PairExamples(pairs,"),
        ("the window is not the asked one", "window=settings.window)", "window=10)"),
    ],
    "recipes/word2vec.py": [
        ("the vocabulary knows what is held out", "frequent_words(train,", "frequent_words(train + validation,"),
        ("what is held out is what was learned", "examples.epoch(0, held_out)", "examples.epoch(0)"),
        ("CBOW has the rate of skip-gram", "RATES[settings.cbow]", "RATES[False]"),
    ],
    "recipes/nplm.py": [
        ("the vocabulary knows what is held out", "from_texts([train]", "from_texts([train, validation]"),
        ("trigrams are counted in the text that they guess", "ngram_loss(text.train,", "ngram_loss(text.validation,"),
    ],
    "recipes/texts.py": [
        ("the text that validates is trained on", "texts[0][:n_train], texts", "texts[0], texts"),
    ],
    "recipes/reviews.py": [
        ("the vocabulary knows what is held out", "[text for text, _ in parts[0]]", "[text for part in parts for text, _ in part]"),
        ("classes are exchanged", "paths = settings.negative, settings.positive", "paths = settings.positive, settings.negative"),
    ],
    "recipes/tags.py": [
        ("labels are shifted by the frame", "np.array([IGNORE_INDEX, *labels[: len(row) - 2], IGNORE_INDEX])",
         "np.array([*labels[: len(row) - 2], IGNORE_INDEX, IGNORE_INDEX])"),
        ("every piece of a word is asked", "*[IGNORE_INDEX] * len(pieces)]", "*[tags.index(tag)] * len(pieces)]"),
        ("the held-out sentences are counted", "counts_of(rows[0],", "counts_of(rows[0] + rows[1],"),
        ("an unknown word has the first tag", "counts + counts.sum(axis=0) / (counts.sum() + 1)", "counts"),
        ("a word has several tags if it occurs several times", "(counts[ids] > 0).sum(axis=-1) > 1", "counts[ids].sum(axis=-1) > 1"),
    ],
    "data/texts/tagged.py": [
        ("the last sentence of a file is lost", '.split("\\n"), ""], 1)', '.split("\\n")], 1)'),
        ("the second column is the tag", "columns[-1].strip()))", "columns[1].strip()))"),
        ("sentences repeat", "found.setdefault(tuple(_drawn(\"sentence\", rng)))",
         "found[tuple(_drawn(\"sentence\", rng)), len(found)] = None"),
    ],
    "data/batches/windows.py": [
        ("the last window is never drawn",
         "rng.integers(len(ids) - max_len,", "rng.integers(max(1, len(ids) - max_len - 1),"),
        ("the filling of the last window counts as a target",
         "np.full(shape, IGNORE_INDEX)", "np.zeros(shape, np.int64)"),
        ("the next seed has the same batches, one step later",
         "default_rng([seed, step])", "default_rng(seed + step)"),
    ],
    "data/batches/streams.py": [
        ("lengths depend on how many are drawn", "np.random.default_rng([seed, 1]).standard_normal(n)", "np.random.default_rng([seed, n]).standard_normal(n)"),
        ("a step begins where one of the usual length would", "begun, length = int(lengths[:-1].sum()), lengths[-1]", "length = lengths[-1]"),
        ("steps overlap by a character", "begun = step * length", "begun = step * (length - 1)"),
        ("the last character is never a target", "n = len(ids) - 1 ", "n = len(ids) - 2 "),
        ("all streams begin at the beginning", "np.arange(batch_size)[:, None] * n // batch_size", "np.zeros((batch_size, 1), int)"),
    ],
    "metrics/induction.py": [
        ("earlier places themselves count", "ids[:, :, None] == ids[:, None, :-1]", "ids[:, :, None] == ids[:, None, 1:]"),
        ("later places count", "followed &= np.tri(ids.shape[1], dtype=bool)", "followed &= True"),
        ("all positions count", "followed.any(-1) & asks", "followed.any(-1)"),
    ],
    "metrics/ngrams.py": [
        ("a context counts where nothing follows it",
         "contexts = seen // vocab_size", "contexts = np.append(seen // vocab_size, seen[-1:] % vocab_size ** (k - 1))"),
        ("the shorter context is left out", "+ s * p) /", "+ s / vocab_size) /"),
    ],
    "data/batches/masked_batches.py": [
        ("a row's mask depends on where it stands in its batch",
         "epoch + 1 if self.dynamic else 0, row)", "epoch + 1 if self.dynamic else 0, b)"),
        ("every epoch has the same masks", "epoch + 1 if self.dynamic else 0", "1"),
        ("batches are not of exactly the size asked for",
         "len(self) * self.batch_size if self.drop_last else len(self.rows)", "len(self.rows)"),
    ],
    "data/batches/masking.py": [
        ("the last word is never put in at random",
         "(word * len(self.ordinary))", "(word * (len(self.ordinary) - 1))"),
        ("hardly a chosen word is replaced by a random one", "self.replace[0] + self.replace[1]", "self.replace[1]"),
    ],
    "data/batches/pair_batches.py": [
        ("long targets make batches above max_tokens",
         "self._lengths[:, bucket].max()", "self._lengths[0, bucket].max()"),
        ("padding of targets is not counted when buckets are cut",
         "+ max(longest_target, t)", "+ t"),
        ("every epoch has the order of the first one", "default_rng([self.seed, epoch])", "default_rng([self.seed, 0])"),
    ],
    "data/batches/encoded_pairs.py": [
        ("targets that just fit the model are left out",
         "max(len(source), len(target) - 1)", "max(len(source), len(target))"),
    ],
    "data/texts/few_shot.py": [
        ("all topics of a row have one label", "{row[topic]}", "{row[0]}"),
        ("only the first word of a topic comes", "int(share * len(topics[topic]))", "0"),
    ],
    "data/texts/pairs.py": [
        ("the validation part is one pair too small", "if len(groups[g]) <= room:", "if len(groups[g]) < room:"),
        ("numbers of lines left out are one too small",
         "for number, row in enumerate(rows, start=1)", "for number, row in enumerate(rows)"),
    ],
    "data/texts/prose.py": [
        ("two words are a sentence", 'part.count(" ") >= 2', 'part.count(" ") >= 1'),
    ],
    "data/batches/span_corruption.py": [
        ("a span is one word", "round(n_cut / mean_length)", "round(n_cut)"),
        ("no word has to stay", "min(max(round(n * rate), 1), n - 1)", "max(round(n * rate), 1)"),
        ("the first pieces have one word each", "np.sort(rng.choice(n - 1, m - 1, replace=False))", "np.arange(m - 1)"),
        ("a span begins one word early", "np.cumsum(stay + cut) - cut  #", "np.cumsum(stay + cut) - cut - 1  #"),
        ("of a sentinel that is said twice the last counts", "words.setdefault(i, current)", "words[i] = current"),
    ],
    "data/batches/denoising.py": [
        ("no mask stands for no words", "[: max(0, len(lengths) - n_hidden)]", ""),
        ("the last span always has words", "rng.permutation(span_lengths(", "(span_lengths("),
        ("masks stand at the beginning", "rng.choice(n_left, len(lengths), replace=False)", "np.arange(len(lengths))"),
        ("a noised text can be longer than the text", "len(lengths) - n_hidden)", "len(lengths) - n_hidden - 99)"),
    ],
    "data/batches/three_masks.py": [
        ("the stop between source and target is hidden too", "may_be_hidden[:, source.shape[1] + 1] = False", "pass"),
        ("words of the source are hidden, too", "np.where(way[:, None] == 2, in_target,", "np.where(way[:, None] == 3, in_target,"),
        ("the source's stop is no part of the prefix", "& ~in_target).sum(axis=1)", "& ~in_target).sum(axis=1) - 1"),
        ("a row may have nothing to say", " | (u == u.min(axis=1, keepdims=True))", ""),
        ("targets are hidden as rarely as the rest", "np.where(way == 2, target_rate, rate)", "np.where(way == 2, rate, rate)"),
    ],
    "data/batches/noised_batches.py": [
        ("every epoch has the same noise", "epoch + 1 if self.dynamic else 0", "1"),
        ("a row's noise depends on where it stands in its batch", "else 0, row])", "else 0, len(sources)])"),
        ("every epoch has the order of the first", "_ORDER, epoch]", "_ORDER, 0]"),
    ],
    "data/texts/small_tasks.py": [
        ("adjectives are masculine", "forms[feminine]", "forms[0]"),
        ("adjectives stand before their nouns", "1 if stands_before else 2", "1"),
        ("another seed gives the same pairs", "default_rng([seed, SMALL", "default_rng([0, SMALL"),
    ],
    "data/batches/rows.py": [
        ("the last place of a row stays empty", "if len(sentence) > room or", "if len(sentence) >= room or"),
        ("of two long sentences the first is cut more", "(room + 1) // 2", "room // 2"),
        ("a document's end is not seen inside a row", "between = [sep_id] if rows[-1] else []", "between = []"),
        ("a row begins with a separator", "sentence = sentence[len(between) :]", "pass"),
        ("a separator stands between all sentences", "            between = []\n", ""),
    ],
    "data/batches/sentence_pairs.py": [
        ("a random sentence may come from the same document",
         "other = j if j < near else", "other = j if j <= near else"),
    ],
    "data/tokenizers/characters.py": [
        ("characters beyond the last one are read as the last one",
         "int(self._codes.max()) + 2", "int(self._codes.max()) + 1"),
    ],
    "data/tokenizers/words.py": [
        ("words that occur just often enough are left out", "if count >= min_count", "if count > min_count"),
        ("the rarest words are kept", "sorted((-count, word)", "sorted((count, word)"),
    ],
    "data/tokenizers/tokenizer.py": [
        ("padding with id 0 is written out", "if i is not None]", "if i]"),
    ],
    "data/tokenizers/json_tokenizer.py": [
        ("a text writes the hidden name", 'part.replace(MARK, "\\ufffd")', "part"),
    ],
    "data/tokenizers/folders.py": [
        ("special tokens of a vocabulary are tokens like others", "and name not in made]", "and name in made]"),
        ("the newer settings give way to the older ones",
         '("special_tokens_map.json", "tokenizer_config.json")', '("tokenizer_config.json", "special_tokens_map.json")'),
        ("a model of cased words reads lower case", 'settings.get("do_lower_case", True)', "True"),
        ("ids of added tokens are not compared", "if library.token_to_id(name) != i:", "if False:"),
        ("RoBERTa frames texts as GPT-2 does", '{"<s>", "</s>"} <= set(special)', "False"),
        ("ids of a vocab.txt may have gaps", "== list(range(len(lines)))", "!= []"),
    ],
    "data/tokenizers/tokenizer_json.py": [
        ("a name of the vocabulary is the special token", "{new.get(name, name): i for", "{name: i for"),
        ("a piece of the vocabulary is the special token", "[[new.get(name, name), score]", "[[name, score]"),
        ("a name in the list of added tokens is the special token",
         'token | {"content": new.get(token["content"], token["content"])}', "token"),
        ("merges make the special token", "if new.keys().isdisjoint(_names_of(merge, prefix))", "if True"),
        ("the file's padding fills every text", '| {"padding": None, "truncation": None}', ""),
        ("a panic of the library reaches the caller", "except BaseException as error:", "except Exception as error:"),
        ("an id of four billion makes a table of as many names", "10_000 + 10 * n_tokens", "10**12"),
    ],
    "data/texts/dates.py": [
        ("the 13th is the 13rd", "(11, 12, 13)", "(11, 12)"),
    ],
    "data/reading.py": [
        ("the line of a wrong byte is one too small", "content[:at])) + 1", "content[:at]))"),
    ],
    "metrics/bleu.py": [
        ("repeated n-grams are not clipped", "min(count, allowed[ngram])", "count * (ngram in allowed)"),
        ("several references' counts are added up", "allowed |= _ngrams(reference)", "allowed += _ngrams(reference)"),
        ("of two references equally close the longer one counts",
         "r += min((abs(len(reference) - len(words)), len(reference)) for",
         "r += -min((abs(len(reference) - len(words)), -len(reference)) for"),
        ("the second order without a match is smoothed like the first", "power *= 2", "power = 2"),
    ],
    "metrics/perplexity.py": [
        ("negative counts are let through", "min(counts.tolist(), default=0) < 0 or not n:", "not n:"),
    ],
}  # fmt: skip
