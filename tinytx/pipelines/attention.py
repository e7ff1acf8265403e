"""Where a trained model looks in a text, a pair of texts or a picture, as one page to explore (`tinytx.viz.attention_page`)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinytx.core import Layer
from tinytx.data import copies
from tinytx.data.batches.three_masks import SEGMENTS
from tinytx.decoding import greedy
from tinytx.pipelines.answering import Answerer
from tinytx.pipelines.classify import Classifier
from tinytx.pipelines.fill import HIDDEN, Filler
from tinytx.pipelines.images import ImageClassifier
from tinytx.pipelines.pages.copying import Copying, explained_heads, steps_of
from tinytx.pipelines.pages.pointing import START, Pointing, positions
from tinytx.pipelines.tag import Tagger
from tinytx.pipelines.texts import (
    check_length,
    encode_framed,
    encode_known,
    entry_for,
    known_form,
    title_of,
    unknown_note,
)
from tinytx.pipelines.translate import Translator
from tinytx.pipelines.write import Writer
from tinytx.viz import model_attention_page
from tinytx.viz.attention_page import model_parts


class Seen(NamedTuple):
    """What a model read, and what `tinytx.viz.model_attention_page` needs to know of it.

    Attributes
    ----------
    model : Layer
    inputs : tuple of arrays
        A batch of one row.
    words, target_words : list of str
        What stands at each position; ``target_words`` are a decoder's, or None.
    options : dict
        Further arguments of the page.
    notes : list of str
        Lines about words that the model does not know.
    """

    model: Layer
    inputs: tuple
    words: list
    target_words: list | None = None
    options: dict = {}
    notes: list = []


def write_attention_page(path, trained, text, second=None):
    """Write the page of a trained model's attention; return notes about words that it does not know, a list of str.

    Parameters
    ----------
    path : str or Path
    trained : Writer, Translator, Filler, Classifier, Tagger, Answerer, ImageClassifier, Pointing or Copying
        What `tinytx.pipelines.load_run` returns with `READ`.
    text : str
        What it reads; a question; the file of a picture; a pointer network's elements, a Neural Turing Machine's bits.
    second : str, optional
        The right translation, or the right order of the elements: the model's own if not given. A text that is read with the
        first one, for those that read pairs; the text with the answer.

    Raises
    ------
    TypeError, ValueError
        If a text is empty, unknown to the model or longer than it reads; if there is a second one that the model has no use for;
        or if the model has no attention.
    OSError
        If the file cannot be written.
    """
    seen = seen_by(trained, text, second)
    body = getattr(seen.model, "body", seen.model)
    said = {"title": title_of(text), "note": f"Attention of {type(body).__name__}"}
    model_attention_page(path, seen.model, seen.inputs, seen.words, seen.target_words, **said | seen.options)
    return seen.notes


def parts_of(trained, text, second=None):
    """Return where a trained model looks as a list of `tinytx.viz.attention_parts.Part`; arguments as `write_attention_page` has them."""
    seen = seen_by(trained, text, second)
    options = {name: value for name, value in seen.options.items() if name != "title"}
    return model_parts(seen.model, seen.inputs, seen.words, seen.target_words, **options)


def seen_by(trained, text, second=None):
    """Return what a trained model reads, a `Seen`; arguments and errors as those of `write_attention_page`."""
    return entry_for("attention", READ, trained, text=text, second=second)(trained, text, second)


def _refuse(trained, second):
    """Raise ValueError if there is a second text that a model has no use for."""
    if second is not None:
        kind = type(getattr(trained.model, "body", trained.model)).__name__
        raise ValueError(f"attention: a second text is given, and {kind} reads one: leave it out")


def _written(writer, text, second):
    """A text that is continued: each position is to say the next token."""
    _refuse(writer, second)
    text, config = known_form(writer.tokenizer, text), writer.model.config
    ids = writer.encode(text, "the text")
    most = getattr(config, "max_len", getattr(config, "segment", len(ids)))
    check_length(ids, most, "the text", text)
    names = writer.tokenizer.tokens(ids)
    return Seen(writer.model, (ids[None],), names, options={"next_word": ""}, notes=unknown_note(writer.tokenizer, text))


def _framed(trained, text, second):
    """A text, or a pair, in the frame that a model reads it in; hidden words may stand in it, if the model fills them in."""
    tokenizer = trained.tokenizer
    if isinstance(trained, Filler) and second is None and HIDDEN.search(text):
        ids, segments, notes = trained.framed(trained.encode(text)), None, trained.unknown(text)
    else:
        ids, segments = encode_framed(tokenizer, text, second)
        notes = unknown_note(tokenizer, text) + ([] if second is None else unknown_note(tokenizer, second))
    check_length(ids, getattr(trained.model.config, "max_len", len(ids)), "the text", text)
    settings = {} if second is None else {"segments": segments[None]}  # a body may read single texts only
    return Seen(trained.model, (ids[None],), tokenizer.tokens(ids), options={"settings": settings}, notes=notes)


def _answered(answerer, question, text):
    if text is None:
        raise ValueError("attention: a question is looked for in a text, which is missing: give the text with the answer")
    return _framed(answerer, question, text)


def _translated(translator, text, target):
    """Both sides; the decoder reads the target, or the model's own translation, behind <start>."""
    model, source_tokenizer, target_tokenizer = translator
    text, config = known_form(source_tokenizer, text.strip()), model.config
    ids = translator.encode(text)
    if not len(ids):
        raise ValueError("the text holds no token: give at least one word")
    if target is None:
        said = greedy(model, ids[None], None).words()[0]
        said = said[said != config.pad_id][: config.max_len - 1]  # a model that has learned little may not stop
    else:
        target = known_form(target_tokenizer, target.strip())
        said = encode_known(target_tokenizer, target, "the target")
        check_length(said, config.max_len - 1, "the target", target)
    if not hasattr(model.body, "encode"):
        return _in_one_row(translator, ids, said, target is None, unknown_note(source_tokenizer, text))
    fed = np.concatenate([[config.start_id], said])
    names = source_tokenizer.tokens(ids), target_tokenizer.tokens(fed)
    notes = unknown_note(source_tokenizer, text) + unknown_note(target_tokenizer, target or "")
    stop = target_tokenizer.names[config.stop_id]
    return Seen(model, (ids[None], fed[None]), *names, options={"next_word": stop}, notes=notes)


def _in_one_row(translator, source, said, own, notes):
    """Both texts one behind the other, as one stack reads them: the source is seen whole, the target from left to right."""
    model, tokenizer, _ = translator
    first, _ = model.begin(source[None])  # (1, S + 2)
    ids = np.concatenate([first[0], said])
    ids = ids[: model.config.max_len] if own else ids  # nothing reads the last word that it says
    check_length(ids, model.config.max_len, "the row of source and target", tokenizer.decode(source))
    segments = np.where(np.arange(len(ids)) < first.size, *SEGMENTS[2])
    settings = {"segments": segments[None], "prefix": np.array([first.size])}
    return Seen(model, (ids[None],), tokenizer.tokens(ids), options={"settings": settings}, notes=notes)


def _pictured(classifier, name, second):
    """A picture; each patch is a position, and a class token may stand before them."""
    _refuse(classifier, second)
    image, config = classifier.read(name), classifier.model.config
    columns = image.shape[1] // config.patch_size
    n = columns * (image.shape[0] // config.patch_size)
    patches = [f"row {i // columns}, column {i % columns}" for i in range(n)]
    words = ["class token", *patches] if config.class_token else patches
    return Seen(classifier.model, (image[None],), words, options={"image": image, "patch_size": config.patch_size, "title": Path(name).name})


def _pointed(pointing, text, target):
    """The elements, and the order in which they are pointed at."""
    elements, names = pointing.read(text), text.split()
    order = pointing.model.body.point(elements) if target is None else positions(target, elements.shape[1])
    read = [START, *(names[i] for i in order[0])]
    return Seen(pointing.model, (elements, order), names, read[:-1], {"next_word": read[-1]})


def _copied(copying, text, second):
    """The rows of a memory, and the steps of a copy."""
    _refuse(copying, second)
    sequence, model = copying.read(text), copying.model
    x, _ = copies(sequence, model.head.weight.data.dtype)
    rows = [f"row {i}" for i in range(model.body.config.n_rows)]
    return Seen(model, (x,), rows, steps_of(text, sequence), {"heads": explained_heads(model.body.config.n_reads)})


READ = {  # pipeline -> function (pipeline, text, second text) that returns what it `Seen`
    Writer: _written,
    Translator: _translated,
    Filler: _framed,
    Classifier: _framed,
    Tagger: _framed,
    Answerer: _answered,
    ImageClassifier: _pictured,
    Pointing: _pointed,
    Copying: _copied,
}
