"""The contents of the book's pages of operations, and of the one before them."""

import ast
import html
import re
from dataclasses import dataclass
from importlib import resources

from tinytx.book.indexed import Fixed
from tinytx.book.live import live
from tinytx.book.prose import formula, inline, number
from tinytx.derivations import TABLE, introduction, reader
from tinytx.derivations.latex import latex
from tinytx.derivations.scene import Row
from tinytx.derivations.show import checked, examples, inputs, kept, numbers, operations, subject
from tinytx.viz.page import as_script


@dataclass(frozen=True)
class Page:
    """A page of the book: where it stands, how it is listed, and what it holds."""

    path: str
    title: str
    subject: str
    body: str
    words: str = ""  # for the search
    lead: str = ""  # what stands below the title, where it is not the subject


def introduction_page():
    """Return the page to read first: what a gradient is, and how derivations are written."""
    page = introduction.page()
    title, _, _ = page.lines[0].text.partition(":")
    body = f'<div class="intro"><article>{_derivation(page.name, page, Row([]), [])}</article></div>'
    return Page("introduction.html", title, "what a gradient is, what dy means, the chain rule, indices", body)


def operation_pages():
    """Yield the page of each operation, in the order in which to read them."""
    for name in operations():
        row = TABLE[name]
        page = reader.read(name, whole=row.whole)
        results = examples(page, row)
        body = f'<div class="both"><article>{_derivation(name, page, row, results)}</article>{_code(page)}</div>'
        yield Page(f"ops/{name}.html", name, subject(name), body, " ".join(line.text for line in page.lines))


def _derivation(name, page, row, results):
    """Return the docstring with equations as formulas, each with its numbers of the example."""
    parts, prose, code, waiting, places, seen = [], [], [], [], [], set()
    equations, why = _live(row, page, results)

    def flush():
        if code:
            parts.append(f"<pre>{html.escape(chr(10).join(code))}</pre>")
            code.clear()
        if prose:
            parts.append(f"<p>{inline(' '.join(prose), page.cited, formulas=True)}</p>")
            prose.clear()
        if waiting:
            parts.append(_details("with numbers", waiting, places if equations and set(places) <= equations["shown"].keys() else ()))
            waiting.clear()
        places.clear()

    if results:
        parts += [_example(inputs(row.scenes[0], results[0])), _fields(equations, row.scenes) if equations else f'<p class="note">{html.escape(why)}</p>']
    for line, before in zip(page.lines, [None, *page.lines]):
        if line.kind == "title":
            if not re.fullmatch(r"-{4,}", line.text):
                flush()
                parts.append(f"<h2>{html.escape(line.text)}</h2>")
        elif line.kind == "":
            flush()
        elif line.kind != "equation":
            if prose and line.kind != before.kind:
                flush()
            if line.kind == "example" and (code or line.text.startswith((">>>", " "))):
                if prose:
                    flush()
                code.append(line.text)
            else:
                prose.append(line.text)
        else:
            flush()
            parts.append(_formula(line, page))
        texts = [text.removeprefix("      | ") for text in numbers(line.line, row, results, seen)]
        waiting += texts
        places += [line.line] if texts else []
        if line.kind == "equation":
            flush()
    flush()
    parts += [_example(kept(results))] if kept(results) else []
    parts += [f'<p class="note">{html.escape(checked(name, results))}</p>'] if results else []
    return "\n".join([*parts, _script(equations)] if equations else parts)


def _live(row, page, results):
    """Return (what the page computes numbers from, None), or (None, why its numbers are fixed)."""
    if not results:
        return None, ""
    try:
        return live(row, page, results[0]), None
    except Fixed as error:
        return None, f"These numbers cannot be changed in the page: {error}."


def _fields(equations, scenes):
    """Return the inputs of an example as fields, which may be changed."""
    rows = []
    for name, entry in equations["inputs"].items():
        if entry["free"]:
            width = entry["shape"][-1] if entry["shape"] else 1
            fields = [_field(name, n, value) for n, value in enumerate(entry["data"])]
            lines = [" ".join(fields[n : n + width]) for n in range(0, len(fields), width)]
            rows.append(f"<tr><th>{html.escape(name)}</th><td>{'<br>'.join(lines)}</td></tr>")
    note = "Change a number: every equation of this page is computed again, by its own text, and so is what stands under “with numbers”."
    if len(scenes) > 1:
        note += f" What begins with “{html.escape(scenes[1].title)}:” or another title keeps its first numbers."
    if any(isinstance(value, str) for entry in equations["inputs"].values() for value in entry["data"]):
        note += " What is masked, -inf, stays so."
    return (
        f'<details class="live"><summary>Change the numbers</summary><p>{note} <button id="back">Back to the first numbers</button></p>'
        f"<table>{''.join(rows)}</table></details>"
        '<p class="changed note" hidden>The numbers below follow from what you typed.</p>'
    )


def _field(name, place, value):
    """Return the field of a number; what is masked is infinite, and stays so."""
    number = f'value="{value:g}"' if not isinstance(value, str) else f'value="{value.replace("Infinity", "inf")}" disabled title="masked"'
    return f'<input data-input="{name}" data-place="{place}" {number} inputmode="decimal" aria-label="{name}, entry {place + 1}">'


def _script(equations):
    """Return the equations, and the program that computes them."""
    program = resources.files("tinytx.book").joinpath("live.js").read_text(encoding="utf-8")
    return f'<script type="application/json" id="equations">{as_script(equations)}</script>\n<script>\n{program}</script>'


def _formula(line, page):
    """Return the equations that end in a line as MathML, with the line's number."""
    if not line.chains:
        remark = re.sub(r"\s*\(\d+\)\s*$", "", line.text).strip()
        return f'<p class="remark">{inline(remark)}</p>' if re.match(r"[A-Za-z]{4,}", remark) else ""
    formulas = ""
    for chain in line.chains:  # a formula for each side, so that a long chain can break before an =
        first, second, *others = map(latex, chain.sides)
        sides = [f"{first} = {second}", *(f"= {side}" for side in others)]
        formulas += f'<span title="{html.escape(chain.text)}">{" ".join(map(formula, sides))}</span>'
    mark = f' data-n="{line.number}"' if line.number is not None else ""
    return f'<div class="equation"{mark}>{formulas}{number(line.number) if mark else ""}</div>'


def _details(title, lines, places=()):
    mark = f' data-lines="{" ".join(map(str, places))}"' if places else ""
    return f"<details><summary>{title}</summary><pre{mark}>{html.escape(chr(10).join(lines))}</pre></details>"


def _example(lines):
    """Return lines under a title, as `inputs` and `kept` give them."""
    title, rest = (lines[0], lines[2:]) if lines[0] else (lines[1], lines[3:])
    return _details(html.escape(title), rest)


def _code(page):
    """Return the code behind the docstring, with its numbers, and those of its lines that cite an equation."""
    cited = {}
    for n, lines in sorted(page.cited.items()):
        for line, _ in lines:
            cited.setdefault(line, []).append(n)
    return listing(reader.source_of(page.name), f"tinytx/ops/{page.name}.py", cited)


def listing(source, path, cited=None):
    """Return a file's code without its docstring, as HTML; lines that are ``cited``, {line: numbers of equations}, light up with them."""
    start = ast.parse(source).body[0].end_lineno
    lines = source.split("\n")[start:]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines, start = lines[1:], start + 1
    found = []
    for place, text in enumerate(lines, start + 1):
        marks = (cited or {}).get(place)
        attribute = f' data-n="{" ".join(map(str, marks))}" tabindex="0"' if marks else ""
        found.append(f'<span class="line"{attribute}><i>{place}</i>{html.escape(text)}\n</span>')
    return f'<aside><h2>{html.escape(path)}</h2><pre class="code">{"".join(found)}</pre></aside>'
