"""Mistakes in pictures and commands."""

TABLE = {
    "pipelines/generation.py": [
        ("texts change places with their continuations", ".reshape(-1, len(texts), n).transpose(1, 2, 0)",
         ".reshape(-1, n, len(texts)).transpose(2, 1, 0)"),
        ("a translation shows special tokens", "tokenizer.decode(translation.ids, special=False)", "translation.text"),
    ],
    "pipelines/asked.py": [
        ("a beam search returns one text only", '"n_best": n_best', '"n_best": 1'),
        ("what the folder says comes before what is asked", "said_by(model) | dict(asked)", "dict(asked) | said_by(model)"),
        ("a folder's smallest length does not give way", 'name.startswith("min_") and name not in asked', "False"),
        ("what is not obeyed is not named", "    if left:", "    if False:"),
    ],
    "pipelines/classification.py": [
        ("every hidden word is filled with the same one", "np.arange(len(whole)) == position", "whole == tokenizer.mask_id"),
        ("the least likely class comes first", "np.argsort(-scores, kind", "np.argsort(scores, kind"),
        ("a word has the class of its last token", "lambda p: p[0],", "lambda p: p[-1],"),
        ("a word has the class of its least sure token", "p.max(axis=-1).argmax()", "p.max(axis=-1).argmin()"),
        ("a new name of the same kind goes on with the one before", 'not tag.entity.startswith("B-") and ', ""),
    ],
    "pipelines/classify.py": [
        ("the second text is taken for a part of the first", '{"segments": segments[None]}', "{}"),
    ],
    "pipelines/images.py": [
        ("pixels are shifted before they are scaled", "(pixels * scale - mean) / np.array(std)", "(pixels - mean) * scale / np.array(std)"),
        ("a picture is resized with its axes exchanged", "image.resize((width, height), how)", "image.rotate(90).resize((width, height), how)"),
        ("a photograph stays turned", ".exif_transpose(_opened(images, picture))", ".scale(_opened(images, picture), 1)"),
        ("the filter that a folder names is not taken", 'state.get("resample", BILINEAR))\n\n', "2)\n\n"),
        ("the mean is taken where none is to be", 'normal = state.get("do_normalize", True)', "normal = True"),
    ],
    "pipelines/tag.py": [
        ("tokens of the frame are tagged", "np.flatnonzero(~np.isin(ids, framing))", "np.arange(len(ids))"),
        ("no token goes on with a word", "encoding.words[1:] == encoding.words[:-1]", "encoding.words[1:] < 0"),
        ("places are those of the token before", "spans.get(i, (None, None))", "spans.get(i - 1, (None, None))"),
    ],
    "pipelines/answering.py": [
        ("an answer may end before it starts", "np.triu(np.outer(p[0, own], p[1, own]))", "np.outer(p[0, own], p[1, own])"),
        ("an answer has a token too many", "longest - 1)", "longest)"),
        ("an answer ends inside a word", 'np.searchsorted(words, words, "right") - 1', "np.arange(len(words))"),
        ("the question's tokens can be answers", "allowed = own | (none", "allowed = np.ones(len(rows), bool) | (none"),
        ("the end of a long text is not read", "max(1, len(inside) - min(overlap, room - 1))", "max(1, len(inside) - room)"),
        ("no answer is as likely as it starts", "float(p[0, 0] * p[1, 0])", "float(p[0, 0])"),
    ],
    "pipelines/pages/states.py": [
        ("the decoder's states beside the source's words", 'names[-1] if path.startswith("decoder") else names[0]', "names[0]"),
        ("a table for each word of a decoder", "len(parts) > 1 and all(", "False and all("),
        ("gates of padding", 'carried.mask is not None and not carried.mask[0, t]', "False"),
        ("the first head alone", "weights[0].mean(axis=0)", "weights[0, 0]"),
        ("the first layer's attention", "list(maps.items())[-1]", "list(maps.items())[0]"),
    ],
    "pipelines/pages/layout.py": [
        ("weights are cut, not rounded", "math.floor(10 * weight + 0.5)", "math.floor(10 * weight)"),
    ],
    "pipelines/pages/explanation.py": [
        ("the least likely words", "np.argsort(-row", "np.argsort(row"),
    ],
    "pipelines/pages/texts.py": [
        ("a window is not drawn", "(causal_mask(len(seen)) & ~seen).any()", "False"),
        ("classes stand for words", "if isinstance(model, NextToken) else model", "if False else model"),
    ],
    "pipelines/pages/pointing.py": [
        ("the given order is not used", "model.body.point(elements) if own else", "model.body.point(elements) if True else"),
        ("the decoder reads the element that it is to point at", "rows = [[t, read[t],", "rows = [[t, read[t + 1],"),
    ],
    "viz/memory_picture.py": [
        ("content in the place of weights", "_draw_map(axes[4], steering.w[row, head])", "_draw_map(axes[4], steering.content[row, head])"),
        ("every head has the first one's gate", "steering.gate[row, head], 0, 1)", "steering.gate[row, 0], 0, 1)"),
        ("steps from the bottom up", "(len(values) - 0.5, -0.5)", "(-0.5, len(values) - 0.5)"),
    ],
    "pipelines/pages/copying.py": [
        ("every head has the first one's numbers", "(array[0, n] for array in heads_were)", "(array[0, 0] for array in heads_were)"),
        ("the head that writes comes first", 'for i in range(1, n_reads + 1)] + ["writes"]', 'for i in range(1, n_reads)] + ["writes", "reads"]'),
        ("a bit costs what the other one would", "== 1, -logits, logits)", "== 1, logits, -logits)"),
    ],
    "pipelines/pages/both_ways.py": [
        ("unknown words have the letters of their mark", "next(unknown, name) if i == tokenizer.unk_id else name", "name"),
        ("the previous word of another position", '("previous", logits[1:, 1]', '("previous", logits[:-1, 1]'),
    ],
    "pipelines/write.py": [
        ("half a character is written as one", 'if not text.endswith("\\ufffd"):', "if True:"),
        ("a token is written without the space before it", "self.tokenizer.decode(before + new)\n            if",
         "self.tokenizer.decode(new)\n            if"),
    ],
    "pipelines/load.py": [
        ("a model is handed to a pipeline for another task", "if kind in pipeline.tasks]", "if True]"),
        ("a run made of a folder reads sources without their frame",
         'body.published = meta["published"]', "pass"),
        ("a model with more ids than its tokenizer is refused", 'load_tokenizer(folder, published["vocab_size"])', "load_tokenizer(folder, None)"),
    ],
    "viz/loss_curve.py": [
        ("the moving mean looks ahead at the start, and so begins too low",
         "np.minimum(2 * index - first, len(values) - 1)", "np.minimum(index + reach, len(values) - 1)"),
    ],
    "vectors/neighbours.py": [
        ("points of the second chunk are their own neighbours",
         "np.arange(first, last)] =", "np.arange(last - first)] ="),
        ("the nearest comes last", 'kind="stable")[:n]', 'kind="stable")[::-1][:n]'),
    ],
    "vectors/projection.py": [
        ("shares of standard deviations, not of variances",
         "np.square(s / (s.max() or 1.0))", "s / (s.max() or 1.0)"),
        ("gains grow where the gradient turns around",
         "np.sign(dy) != np.sign(velocity)", "np.sign(dy) == np.sign(velocity)"),
    ],
    "viz/word_page.py": [
        ("the map stands on its head", "* [1, -1]", "* [1, 1]"),
    ],
    "viz/attention_pictures.py": [
        ("every picture shows the batch's first row", "weights[row, :,", "weights[0, :,"),
    ],
    "vectors/word_vectors.py": [
        ("a word is its own nearest", "distances[i] = np.inf", "pass"),
        ("words of other groups count, too", "near in known for word", "near in words for word"),
    ],
    "pipelines/fill.py": [
        ("a space before a gap is lost", "HIDDEN if tokenizer.spaces else WITH_SPACE", "WITH_SPACE"),
        ("a text one token too long is let through",
         "0 if self.tokenizer.cls_id is None else 2", "0 if self.tokenizer.cls_id is None else 1"),
    ],
    "pipelines/translate.py": [
        ("the alignment is drawn of other words than were fed", "translation.ids[:-1]", "translation.ids[1:]"),
    ],
    "recipes/few_shot.py": [
        ("words are to be said too", "targets[:, 1::2] = NextToken.ignored", "pass"),
        ("rows that validate are learned from", "LEARNED, settings.seed, step)", "HELD_OUT, step)"),
        ("what is said of labels counts", "model(batch[0])[:, ::2]", "model(batch[0])[:, 1::2]"),
        ("all positions are asked", "(weights, ids, targets != NextToken.ignored)", "(weights, ids)"),
    ],
    "recipes/settings.py": [
        ("data that is cut elsewhere is taken for the same", 'total.update(b"\\xff" if', 'total.update(b"" if'),
    ],
    "cli/gradcheck.py": [
        ("what could not be told exits with success",
         "return 0 if report else 1", 'return 1 if report.verdict == "FAIL" else 0'),
    ],
    "cli/reproduce.py": [
        ("a missed figure exits with success", "return 0 if met else 1", "return 0"),
    ],
    "recipes/recipe.py": [
        ("a figure that is far too small is met", "abs(measured[self.measure] - self.value)",
         "measured[self.measure] - self.value"),
    ],
    "recipes/data_files.py": [
        ("another file is kept as the recipe's", "raise _WrongFile(how)", "pass"),
    ],
    "recipes/bert_rows.py": [
        ("masks stay the same where they should change", '"dynamic": not settings.static', '"dynamic": settings.static'),
        ("a sentence that just fits is said to be cut", "len(ids) > settings.max_len - 2 for", "len(ids) >= settings.max_len - 2 for"),
    ],
    "recipes/train.py": [
        ("ranks train for different times", "if field not in files:", "if field in files:"),
        ("ranks learn from different texts", "in prepared.digests.items():", "in ():"),
        ("a recipe's groups are forgotten", "prepared.groups(model) if prepared.groups else []", "[]"),
        ("a recipe's schedule is forgotten", '"schedule": prepared.schedule', '"schedule": None'),
    ],
    "recipes/rates.py": [
        ("the inverse square root's peak is not the rate that was given",
         "peak * math.sqrt(settings.warmup))", "peak)"),
        ("the rate that is said is that of the step after", 'f"{rate(turn):.3g}', 'f"{rate(turn + 1):.3g}'),
    ],
}  # fmt: skip
