"""The book: every operation, model and recipe has a page, formulas are those of the docstrings, links lead somewhere."""

import html
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from command_runs import call

from tinytx.book import write
from tinytx.book.model_pages import recipes_of, relative_of
from tinytx.book.prose import inline, paragraphs
from tinytx.derivations import TABLE, read
from tinytx.derivations.latex import latex
from tinytx.derivations.notation import parse
from tinytx.derivations.reader import source_of
from tinytx.derivations.show import operations
from tinytx.extras import MissingExtra
from tinytx.models import MODELS
from tinytx.recipes import RECIPES, load_recipe

KINDS = {"ops": operations(), "models": MODELS, "recipes": RECIPES}


@pytest.fixture(scope="module")
def written(tmp_path_factory, finished):
    """The folder of a book with a run of the recipe gpt, and what the command that wrote it printed."""
    pytest.importorskip("latex2mathml")
    folder = tmp_path_factory.mktemp("book") / "b"
    return folder, call("book", folder, "--runs", [f"gpt={finished[0]}"])


@pytest.fixture(scope="module")
def site(written):
    return written[0]


def page(site, path):
    return (site / path).read_text(encoding="utf-8")


def test_everything_has_a_page(site):
    for folder, names in KINDS.items():
        assert {path.stem for path in (site / folder).glob("*.html")} == set(names)
    index = page(site, "index.html")
    listed = re.findall(r'<li data-page="\d+"><a href="(ops/\w+\.html)">', index)
    assert listed == [f"ops/{name}.html" for name in operations()], "in the order in which to read"


def test_links_lead_to_pages(site):
    for path in site.rglob("*.html"):
        for link in re.findall(r'href="([^"]+)"', path.read_text(encoding="utf-8")):
            assert (path.parent / link).is_file(), f"{path}: {link}"


def test_every_page_is_reached_from_the_first(site):
    """By links from the contents, and page after page in the order in which to read."""
    links = {path: [(path.parent / link).resolve() for link in re.findall(r'href="([^"]+)"', path.read_text())] for path in site.resolve().rglob("*.html")}
    seen, waiting = set(), [site.resolve() / "index.html"]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += links[path]
    assert seen == links.keys()
    path, order = "introduction.html", []
    while path:
        order.append(path)
        text = page(site, path)
        following = re.search(r'rel="next" href="(?:\.\./)?([^"]+)"', text)
        before = re.search(r'rel="prev" href="(?:\.\./)?([^"]+)"', text)
        assert (before and before.group(1)) == (order[-2] if len(order) > 1 else None)
        path = following and following.group(1)
    assert order[1] == "ops/linear.html" and len(order) == len(links) - 2 == len(set(order)), "all but the contents and the run"
    places = [order.index(f"models/{name}.html") for name in ("gpt", "transformer", "t5")]
    assert places == [len(operations()) + 1 + i for i in range(3)], "from linear to T5"
    (start,) = re.findall(r"<p>Start here: .*?</p>", page(site, "index.html"))
    first = ["introduction", "ops/linear", "ops/softmax", "ops/layer_norm", "ops/attention", "ops/cross_entropy"]
    assert re.findall(r'href="([\w/]+)\.html"', start) == [*first, "models/gpt", "models/transformer", "models/t5", "recipes/t5"]


@pytest.mark.parametrize("name", MODELS)
def test_a_page_of_a_model_begins_with_what_differs(site, name):
    article = page(site, f"models/{name}.html").partition("<article>")[2]
    note, _, rest = article.partition("</p>")
    relative = relative_of(name)
    if relative is None:
        assert "The first model" in note
    else:
        assert note.endswith(f'href="{relative}.html">{MODELS[relative][0].__name__}</a>. Below is what differs from the last of them.')
        assert f"{relative}.html" in rest.partition("</p>")[0], "the first paragraph links to it"
    assert all(f'href="../recipes/{recipe}.html"' in rest for recipe in recipes_of(name))
    assert '<a href="../ops/' in rest


@pytest.mark.parametrize("name", RECIPES)
def test_a_page_of_a_recipe_has_its_picture_and_figure(site, name):
    text, recipe = page(site, f"recipes/{name}.html"), load_recipe(name)
    article, aside = text.split("<aside>")
    assert aside.count('<figure class="model">') == 1 and aside.count('class="box') >= 1
    assert '<svg class="curve"' in article and '<div class="batch">' in article
    assert f"{recipe.expect}, after {recipe.expect.step:,} steps" in article
    model = next(key for key, (kind, _) in MODELS.items() if kind is recipe.model)
    assert f'<a href="../models/{model}.html">' in article
    shown = set(re.findall(r'<figure class="looks" data-n="(\w+)"', article))
    marks = {mark for marks in re.findall(r'<div class="box[^"]*looks" data-n="([^"]+)"', aside) for mark in marks.split()}
    assert shown == marks, "each picture of attention belongs to a layer"
    for drawing in re.findall(r"<svg.*?</svg>", text):
        ElementTree.fromstring(drawing)


def test_no_page_loads_anything(site):
    for path in site.rglob("*.html"):
        head = path.read_text(encoding="utf-8").partition("<body>")[0]
        assert "default-src 'none'" in head
        assert not re.search(r"<(img|link|iframe|script src)", path.read_text(encoding="utf-8"))


class Balanced(HTMLParser):
    """Raises AssertionError where an element ends that did not begin last."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())


def test_elements_are_closed(site):
    """Catches a docstring whose < or & is taken for HTML."""
    for path in site.glob("[!r]*/*.html"):
        parser = Balanced()
        parser.feed(path.read_text(encoding="utf-8"))
        assert parser.open == [], path


@pytest.mark.parametrize("name", TABLE)
def test_every_equation_is_a_formula_and_every_number_stands_on_both_sides(site, name):
    text = page(site, f"ops/{name}.html")
    article, aside = text.split("<aside>")
    article = re.sub(r'<span class="said">.*?</span>', "", article)
    derived = read(name, whole=TABLE[name].whole)
    shown = [chain for line in derived.lines if line.kind == "equation" for chain in line.chains]
    assert article.count("<span title=") == len(shown)
    assert article.count("<math") == sum(max(1, len(chain.sides) - 1) for chain in shown)
    for number in set(derived.numbers):
        assert re.search(rf'<div class="equation" data-n="{number}">', article)
        assert re.search(rf'class="line" data-n="[\d ]*\b{number}\b', aside)
    for formula in re.findall(r"<math.*?</math>", article):
        ElementTree.fromstring(formula)


@pytest.mark.parametrize("name", ["attention", "layer_norm"])
def test_code_is_shown_as_it_stands(site, name):
    """Catches code that is taken for HTML, and lines that are lost."""
    listing = re.search(r'<pre class="code">(.*?)</pre>', page(site, f"ops/{name}.html"), re.DOTALL).group(1)
    bare = re.sub(r"<[^<>]*>", "", re.sub(r"<i>\d+</i>", "", listing))
    shown = html.unescape(bare)
    assert "<" not in bare
    assert source_of(name).endswith(shown) and " < " in shown and shown.lstrip().startswith(("import ", "from "))


def test_numbers_of_the_example_are_shown(site):
    """Those of ``python -m tinytx derive``."""
    text = page(site, "ops/linear.html")
    assert "dX = [[" in text and "Executed on these numbers: " in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y_i = e^(x_i) / sum_j e^(x_j)", r"y_{i} = \frac{e^{x_{i}}}{\sum_{j} e^{x_{j}}}"),
        ("a = (b + c) (d - e)^2", r"a = \left(b + c\right) \, \left(d - e\right)^{2}"),
        ("dA_ts = c (dP_ts - sum_r P_tr dP_tr)", r"\mathrm{d}A_{t s} = c \, \left(\mathrm{d}P_{t s} - \sum_{r} P_{t r} \, \mathrm{d}P_{t r}\right)"),
        ("x = sum_i (a_i - b_i)", r"x = \sum_{i} \left(a_{i} - b_{i}\right)"),
        ("x_1 = 2.50 y_12", r"x_{1} = 2.50 \, y_{1 2}"),
        ("x = (sum_i a_i)^2", r"x = \left(\sum_{i} a_{i}\right)^{2}"),
        ("x = (sum_i a_i) b", r"x = \left(\sum_{i} a_{i}\right) \, b"),
        ("x = - a * b . c", r"x = -a \odot b \cdot c"),
        ("x = W^T y + |z| sqrt(u)", r"x = W^{\top} \, y + \left|z\right| \, \sqrt{u}"),
        ("x = [i = j] cosh^2 a", r"x = [i = j] \, \cosh^{2}\left(a\right)"),
        ("x = ∂/∂a_i (b c)", r"x = \frac{\partial}{\partial a_{i}} \left(b \, c\right)"),
        ("x = mean(dn n) - epsilon'", r"x = \mathrm{mean}\left(\mathrm{d}n \, n\right) - \epsilon'"),
        ("x = sum_{n : t_n = v} a_n", r"x = \sum_{n \,:\, t_{n} = v} a_{n}"),
    ],
)
def test_latex(text, expected):
    """Catches a parenthesis that is lost, and with it the meaning."""
    assert latex(parse(text)) == expected


def test_prose():
    assert inline("see `a < b` and (3)", linked={3}) == (
        'see <code>a &lt; b</code> and <button class="number" data-n="3" aria-label="equation 3">(3)</button>'
    )
    assert paragraphs("Title\n-----\nOne\ntwo.\n\n    x < 1") == "<h2>Title</h2>\n<p>One two.</p>\n<pre>    x &lt; 1</pre>"


@pytest.mark.parametrize(
    ("text", "formulas", "rest"),
    [
        ("because ∂Y_nj/∂X_ni = W_ij holds", 1, "because  holds"),
        ("a x_i moves y_j.", 2, "a  moves ."),
        ("the file log_softmax, and d_model", 0, "the file log_softmax, and d_model"),
        ("with [i = j] and (3)", 0, "with [i = j] and (3)"),
        ("`x_i` is code", 0, "<code>x_i</code> is code"),
        ("Since ∂ ln y_i/∂x_j = (1/y_i) ∂y_i/∂x_j, multiply", 1, "Since , multiply"),
        ("dx = ∂loss/∂x, dW = ∂loss/∂W and so on", 2, ",  and so on"),
        ("s' is e^(-x) / (1 + e^(-x))^2 = s (1 - s), as in (7) y^2's last", 2, "s' is , as in (7) 's last"),
        ("with B_o a bias, and a y_i; sum_j (p_ij - q_ij) w_ij - z", 3, "with  a bias, and a ; "),
        ("N^2 pairs; a log-sum-exp; x = 1; the T of (3)", 1, " pairs; a log-sum-exp; x = 1; the T of (3)"),
        ("as -ln sigma(-s) = ln(1 + e^s) - s. Then", 1, "as . Then"),
        ("an *order*, 2 * 3 * 4", 0, "an <em>order</em>, 2 * 3 * 4"),
    ],
)
def test_formulas_between_words(text, formulas, rest):
    pytest.importorskip("latex2mathml")
    shown = inline(text, formulas=True)
    assert shown.count("<math") == formulas
    assert re.sub(r'<span class="said">.*?</span>', "", shown).replace("&#x27;", "'") == rest
    if text.startswith("because"):
        assert "<mfrac>" in shown and shown.count("<mo>&#x0003D;</mo>") == 1


def test_command(written):
    folder, result = written
    assert result.code == 0 and f"Wrote {3 + sum(map(len, KINDS.values()))} pages to" in result.out
    assert f"open {folder / 'index.html'} in a browser" in result.out


def test_without_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    monkeypatch.setitem(sys.modules, "latex2mathml", None)
    with pytest.raises(MissingExtra, match=r'writing formulas needs latex2mathml: pip install "tinytx\[book\]"'):
        write(tmp_path)
    assert not list(tmp_path.iterdir())
