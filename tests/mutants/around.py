"""Mistakes in pictures and commands."""

TABLE = {
    "pipelines/pipeline.py": [
        ("texts change places with their continuations", ".reshape(-1, len(texts), n).transpose(1, 2, 0)",
         ".reshape(-1, n, len(texts)).transpose(2, 1, 0)"),
        ("every hidden word is filled with the same one", "np.arange(len(whole)) == position", "whole == tokenizer.mask_id"),
        ("the least likely class comes first", "np.argsort(-scores, kind", "np.argsort(scores, kind"),
        ("a beam search returns one text only", '"n_best": n, "stop"', '"n_best": 1, "stop"'),
        ("a translation shows special tokens", "tokenizer.decode(translation.ids, special=False)", "translation.text"),
    ],
    "pipelines/classify.py": [
        ("the second text is taken for a part of the first", "None if pair is None else segments[None]", "None"),
    ],
    "pipelines/load.py": [
        ("a model is handed to a pipeline for another task", "if pipeline.task is kind]", "if True]"),
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
    ],
    "pipelines/fill.py": [
        ("a text one token too long is let through",
         "0 if self.tokenizer.cls_id is None else 2", "0 if self.tokenizer.cls_id is None else 1"),
    ],
    "pipelines/translate.py": [
        ("the alignment is drawn of other words than were fed", "translation.ids[:-1]", "translation.ids[1:]"),
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
    ],
    "recipes/rates.py": [
        ("the inverse square root's peak is not the rate that was given",
         "settings.warmup, peak * root)", "settings.warmup, peak)"),
        ("the rate that is said is that of the step after", 'f"{rate(turn):.3g}', 'f"{rate(turn + 1):.3g}'),
    ],
}  # fmt: skip
