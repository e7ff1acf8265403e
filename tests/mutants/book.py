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
}
