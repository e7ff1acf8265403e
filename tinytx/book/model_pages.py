"""The pages of models: each begins with what differs from its nearest relative, which its file names first."""

import ast
import dataclasses
import inspect
import re
from functools import cache
from pathlib import Path

import numpy as np

import tinytx.models
from tinytx import ops
from tinytx.book.pages import Page, listing
from tinytx.book.prose import inline, paragraphs
from tinytx.derivations.show import operations
from tinytx.models import MODELS
from tinytx.recipes import RECIPES, load_recipe
from tinytx.settings import LAYERS

END = "t5"  # where the way for newcomers ends
SMALL = {"d_model": 16, "n_heads": 2, "max_len": 16}  # a model whose layers are looked at, and not trained
WORDS = 8  # of what a config does not say itself
_REFERENCE = re.compile(r"`(?:tinytx\.models\.)?(\w+)`")
_CODE = re.compile(r"<code>(tinytx\.ops\.(\w+)|(?:tinytx\.models\.)?(\w+))</code>")


def model_pages():
    """Yield a page for each model, in the order of `reading_order`."""
    for name in reading_order():
        model, source = MODELS[name][0], source_of(name)
        title, _, text = docstring(name).partition("\n")
        article = f"{_nearest(name)}{linked(paragraphs(text), name)}{_ways_on(name)}"
        body = f'<div class="both"><article>{article}</article>{listing(source, f"tinytx/models/{name}.py")}</div>'
        words = f"{name} {title} {text} {' '.join(recipes_of(name))}"
        yield Page(f"models/{name}.html", model.__name__, title.partition(" (")[0].rstrip("."), body, words, linked(inline(title), name))


@cache
def docstring(name):
    """Return the docstring of a model's file."""
    return ast.get_docstring(ast.parse(source_of(name)), clean=False) or MODELS[name][0].__name__


def source_of(name):
    """Return a model's file."""
    return (Path(tinytx.models.__file__).parent / f"{name}.py").read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------- relatives


def named(word):
    """Return the name in `MODELS` that a word means, be it this name or that of the class; None if it means no model.

    >>> named("Bert"), named("char_rnn"), named("Stack")
    ('bert', 'char_rnn', None)
    """
    return word if word in MODELS else next((name for name, (model, _) in MODELS.items() if model.__name__ == word), None)


@cache
def relative_of(name):
    """Return the name of a model's nearest relative: the first other model that its file's docstring names; None of a root.

    >>> relative_of("t5"), relative_of("transformer"), relative_of("gpt")
    ('transformer', 'gpt', None)
    """
    found = map(named, _REFERENCE.findall(docstring(name)))
    return next((other for other in found if other not in (None, name)), None)


def lineage(name):
    """Return the names from a root to a model, each the nearest relative of the next.

    >>> lineage("t5")
    ['gpt', 'transformer', 't5']
    """
    names = [name]
    while (other := relative_of(names[0])) is not None:
        if other in names:
            raise ValueError(f"the nearest relatives of {name} go in a circle: {' -> '.join([*reversed(names), other])}")
        names.insert(0, other)
    return names


def reading_order():
    """Return the names of all models, each after its nearest relative: first the way to T5, then what comes from each of these."""
    order = lineage(END)
    for name in (*order, *MODELS):
        order += _descendants(name, order) if name in order else []
    return order


def _descendants(name, known):
    """Return the models that come from one, each followed by its own, without those that are known."""
    found = []
    for other in MODELS:
        if relative_of(other) == name and other not in known:
            found += [other, *_descendants(other, known)]
    return found


# ---------------------------------------------------------------------------------------- links


def recipes_of(name):
    """Return the names of the recipes that train a model."""
    return [recipe for recipe in RECIPES if load_recipe(recipe).model is MODELS[name][0]]


@cache
def page_of_operation(function):
    """Return the name of the operation's page that a function of `tinytx.ops`, or its file, stands on; None if there is none.

    >>> page_of_operation("address_backward"), page_of_operation("layer_norm"), page_of_operation("dropout_key")
    ('addressing', 'layer_norm', None)
    """
    file = getattr(getattr(ops, function, None), "__module__", f"tinytx.ops.{function}").rpartition(".")[2]
    return file if file in operations() else None


def operations_of(name):
    """Return the operations that a model's layers call, as far as they have pages, in the order in which to read them."""
    model, config = MODELS[name]
    fields = {f.name: f.default for f in dataclasses.fields(config)}
    sizes = {name: WORDS for name, default in fields.items() if default is dataclasses.MISSING}
    sizes |= {name: 1 for name in fields if LAYERS.fullmatch(name)} | {name: SMALL[name] for name in SMALL.keys() & fields.keys()}
    body = model(config(**sizes), rng=np.random.default_rng(0))
    found = set()
    for kind in {type(layer) for _, layer in body.named_layers()}:
        found |= called_by(kind)
    return [page for page in operations() if page in found]


@cache
def called_by(kind):
    """Return the pages of operations that a class of layers calls."""
    sources = [inspect.getsource(base) for base in kind.__mro__ if base.__module__.startswith("tinytx.layers")]
    return {page_of_operation(function) for source in sources for function in re.findall(r"\bops\.(\w+)", source)} - {None}


def linked(text, name):
    """Return HTML in which names of operations and of other models are links to their pages."""

    def link(match):
        page = page_of_operation(match[2]) if match[2] else named(match[3])
        if page is None or page == name:
            return match[0]
        return f'<a href="../{"ops" if match[2] else "models"}/{page}.html">{match[0]}</a>'

    return _CODE.sub(link, text)


def _nearest(name):
    """Return what a page begins with: the models before this one."""
    before = lineage(name)[:-1]
    if not before:
        return '<p class="note">The first model: what the others are is said by what differs from it, or from one of its relatives.</p>'
    way = " &rarr; ".join(f'<a href="{other}.html">{MODELS[other][0].__name__}</a>' for other in before)
    return f'<p class="note">What comes before: {way}. Below is what differs from the last of them.</p>'


def _ways_on(name):
    """Return links to the recipes that train the model, to models that are described by what differs from it, and to its operations."""
    links = {
        "Trained by": [("recipes", recipe, recipe) for recipe in recipes_of(name)],
        "Described by what differs from it": [("models", other, MODELS[other][0].__name__) for other in MODELS if relative_of(other) == name],
        "Operations of its layers": [("ops", page, page) for page in operations_of(name)],
    }
    lists = {title: ", ".join(f'<a href="../{part}/{page}.html">{said}</a>' for part, page, said in pages) for title, pages in links.items()}
    return "".join(f"<h2>{title}</h2><p>{text}</p>" for title, text in lists.items() if text)
