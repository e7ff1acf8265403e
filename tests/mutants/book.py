"""Mistakes in the book's pages of models and recipes, and in the order in which to read them."""

TABLE = {
    "book/model_pages.py": [
        ("a model is its own relative", "if other not in (None, name)", "if other is not None"),
        ("the nearest relative is the last that is named", "return next((other for other in found if other", "return next((other for other in reversed([*found]) if other"),
        ("a circle of relatives has no end", "        if other in names:\n            raise ValueError", "        if len(names) > 99:\n            raise RuntimeError"),
        ("models come before their relatives", "found += [other, *_descendants(other, known)]", "found += [*_descendants(other, known), other]"),
        ("grandchildren are left out", "found += [other, *_descendants(other, known)]", "found += [other]"),
        ("a page says all that came before but the last", "before = lineage(name)[:-1]\n", "before = lineage(name)[:-2]\n"),
        ("a model's page links to itself", "if page is None or page == name:", "if page is None:"),
        ("a function of another file's name has no page", 'file = getattr(getattr(ops, function, None), "__module__", f"tinytx.ops.{function}").rpartition(".")[2]', "file = function"),
        ("operations stand as they are found", "[page for page in operations() if page in found]", "sorted(found)"),
    ],
    "book/site.py": [
        ("the last page of a part has no next one", "[*pages[1:], None]", "[*parts['Operations'][1:], *[None] * len(pages)]"),
        ("links of pages in folders begin there", "_turn(before, after, '../')", "_turn(before, after, '')"),
    ],
    "book/example.py": [
        ("words of other data are counted as those of the run's", "return max(sizes) if self.is_stand_in and sizes else None", "return None"),
        ("the largest learning rate is the setting, whatever a recipe says", "peak = settings.lr if prepared.peak is None else prepared.peak", "peak = settings.lr"),
        ("fewer pairs have fewer words", '"dates": 1000, "examples": 500', '"dates": 100, "examples": 100'),
    ],
    "book/blocks.py": [
        ("layers of other settings are alike", "self.settings, self.times, [box.likeness", "self.times, [box.likeness"),
        ("a shared layer's weights count twice", "for key, shape in own if key not in self.seen]", "for key, shape in own]"),
        ("what is in a layer is not seen before", "        self.seen |= {key for key, _ in own}\n", "        self.seen |= {key for key, _ in own[:1]}\n"),
        ("a block with shared weights counts each time", "factor = 1 if box.is_same else box.times", "factor = box.times"),
        ("all calls share their weights", "is_same = len(columns[0]), len(columns[0]) > 1 and bool", "is_same = len(columns[0]), len(columns[0]) > 1 or bool"),
        ("layers that share some weights are one box", "in (len(ids[0]), sum(map(len, ids)))", "<= sum(map(len, ids))"),
        ("a task's own weights are left out", "    if rest:  # of", "    if False:  # of"),
        ("one head says where all look", "(weights[0] > 0).any(axis=0)", "(weights[0] > weights[0].mean()).all(axis=0)"),
        ("the first expert's rows are those of all", "a if a == b else None for a, b", "a for a, b"),
        ("groups are not looked for", "PERIOD = 3", "PERIOD = 1"),
        ("words stand for any number that is like theirs", "(0, n // n_words) if n_words in shape", "(0, n // n_words) if n_words"),
    ],
    "book/drawings.py": [
        ("a cell is a sum", "table = np.add.reduceat(table, starts, axis=axis) / (n[:, None] if axis == 0 else n)", "table = np.add.reduceat(table, starts, axis=axis)"),
        ("keys are rows", "table, _ = smaller(sees)", "table, _ = smaller(sees.T)"),
        ("curves are upside down", "(high - float(scale(y)))", "(float(scale(y)) - low)"),
        ("a large range is drawn as it is", "scale = np.log if wide else np.asarray", "scale = np.asarray"),
    ],
    "book/batch_table.py": [
        ("what is not asked for is a word", 'return [_visible(next(said)) if one else "·" for one in asked]', "return [_visible(token) for token in tokenizer.tokens(np.abs(values) % tokenizer.vocab_size)]"),
        ("classes are numbers", "str(classes[value]) if name in OF_CLASSES and classes else", ""),
        ("white space is white", "SIGNS.get(character, character)", "character"),
    ],
    "book/diagram.py": [
        ("a path is written from the top", "short = [path.removeprefix(f\"{around}.\") for path in near", "short = [path for path in near"),
        ("pictures do not belong to layers", "for path in box.paths for mark in", "for path in box.paths[:0] for mark in"),
    ],
    "book/recipe_pages.py": [
        ("each layer has a picture of its own", "kinds.setdefault((sees.shape, sees.tobytes()), (sees, []))", "kinds.setdefault(path, (sees, []))"),
        ("the first layer alone has the picture", "in dict.fromkeys(paths):", "in paths[:1]:"),
    ],
    "book/runs.py": [
        ("a run of another model is taken", "if model is not None and MODELS", "if model is None and MODELS"),
        ("the second run of a recipe is looked for under its own name", 're.sub(r"-\\d+$", "", Path(name).resolve().name)', "Path(name).resolve().name"),
        ("pages of runs replace each other", 'return f"runs/{recipe}-{n + 1}.html"', 'return f"runs/{recipe}-1.html"'),
        ("a loss that is not finite is drawn", "if record.get(key) is not None and math.isfinite(record[key])]", "if key in record]"),
        ("whatever is measured meets the figure", '"met" if expect.is_met(run.measures) else "not met"', '"not met"'),
    ],
}
