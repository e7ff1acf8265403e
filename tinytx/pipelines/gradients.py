"""One example followed through a trained model, forward then backward, as one page to step through (`tinytx.viz.gradient_page`)."""

from typing import NamedTuple

import numpy as np

from tinytx.core import Layer
from tinytx.data import copies
from tinytx.pipelines.attention import seen_by
from tinytx.pipelines.classify import Classifier
from tinytx.pipelines.fill import Filler
from tinytx.pipelines.images import ImageClassifier
from tinytx.pipelines.pages.both_ways import BothWays
from tinytx.pipelines.pages.copying import Copying
from tinytx.pipelines.pages.pointing import Pointing
from tinytx.pipelines.tag import Tagger
from tinytx.pipelines.texts import encode_known, entry_for, known_form, title_of
from tinytx.pipelines.translate import Translator
from tinytx.pipelines.write import Writer
from tinytx.tasks import PermutedWords
from tinytx.viz import gradient_page
from tinytx.wording import counted


class Example(NamedTuple):
    """An example that a model could learn from.

    Attributes
    ----------
    model : Task
    batch : tuple of arrays
        The arguments of its loss, a batch of one row.
    texts : list of lists of str
        What stands at each position, of each text that it reads.
    target : str
        What the loss is of, in words.
    notes : list of str
        Lines about words that the model does not know.
    """

    model: Layer
    batch: tuple
    texts: list
    target: str
    notes: list = []


def write_gradient_page(path, trained, text, target=None):
    """Write the page of one example's way through a trained model; return notes about words that it does not know, a list of str.

    Parameters
    ----------
    path : str or Path
    trained : one of the classes in `LEARNED`
        What `tinytx.pipelines.load_run` returns with these.
    text : str
        What it reads: a text, the file of a picture, a pointer network's elements, a Neural Turing Machine's bits.
    target : str, optional
        What it is to say: a translation, a class, the text in which words were hidden, an order. If not given, the loss is
        that of what the model says itself; of a text that is continued, its own next words.

    Raises
    ------
    TypeError, ValueError
        If a text is empty, unknown to the model, too short or longer than it reads; if the target does not fit, or the model
        has no use for one.
    OSError
        If the file cannot be written.
    """
    example = entry_for("gradients", LEARNED, trained, text=text, target=target)(trained, text, target)
    note = f"Gradients of a {type(example.model.body).__name__}; the loss is of {example.target}"
    gradient_page(example.model, *example.batch, path=path, tokens=example.texts, title=title_of(text), note=note)
    return example.notes


def _refuse(trained, target, remedy):
    """Raise ValueError if there is a target that a model has no use for."""
    if target is not None:
        raise ValueError(f"gradients: a target is given, and {type(trained.model.body).__name__} needs none: {remedy}")


def _continued(writer, text, target):
    _refuse(writer, target, "each token of the text is the target of those before it")
    seen = seen_by(writer, text)
    (ids,) = seen.inputs
    if ids.size < 2:
        raise ValueError(f"the text has {counted(ids.size, 'token')}, expected at least 2")
    return Example(seen.model, (ids[:, :-1], ids[:, 1:]), [seen.words[:-1]], "the next token at each position", seen.notes)


def _translated(translator, text, target):
    seen = seen_by(translator, text, target)
    if len(seen.inputs) != 2:
        kind = type(translator.model.body).__name__
        raise ValueError(f"gradients: {kind} is one stack; the page takes encoder-decoders: train transformer or t5")
    source, fed = seen.inputs
    row = np.append(fed[0], translator.model.config.stop_id)[None]  # (1, T + 1)
    said = "the model's own translation" if target is None else "the given translation"
    return Example(seen.model, (source, row), [seen.words, seen.target_words], said, seen.notes)


def _filled(filler, text, target):
    """Hidden words: those of the target, or the likeliest."""
    tokenizer, ids = filler.tokenizer, filler.encode(text)
    hidden, notes = ids == tokenizer.mask_id, filler.unknown(text)
    words = ids.copy()
    if target is None:
        words[hidden] = [guesses[0][0] for guesses in filler.likely(ids, 1)]
    else:
        words = encode_known(tokenizer, known_form(tokenizer, target), "the target")
        if len(words) != len(ids) or (words != ids)[~hidden].any():
            raise ValueError(f"the target is {target!r:.60}, expected the text, {text!r:.60}, with a word for each hidden one")
    said = "the likeliest words in the hidden places" if target is None else "the words of the target"
    ids, words = filler.framed(ids), filler.framed(words)
    hidden = ids == tokenizer.mask_id
    if isinstance(filler.model, PermutedWords):
        batch = words[None], np.concatenate([np.flatnonzero(~hidden), np.flatnonzero(hidden)])[None]
    else:
        ignored = filler.model.ignored
        pairs = (None, np.array([ignored])) if getattr(filler.model, "next_sentence", None) else ()
        batch = (ids[None], np.where(hidden, words, ignored)[None], *pairs)
    return Example(filler.model, batch, [tokenizer.tokens(ids)], said, notes)


def _classified(trained, text, target):
    """A text or a picture, and its class."""
    seen = seen_by(trained, text)
    if target is not None and target not in trained.labels:
        raise ValueError(f"the target is {target!r:.60}, expected one of the classes {', '.join(trained.labels)!s:.200}")
    logits = trained.model(*seen.inputs, **seen.options.get("settings", {}))[0]
    label = int(logits.argmax()) if target is None else trained.labels.index(target)
    said = f"the class {trained.labels[label]}" + (", which the model finds likeliest" if target is None else "")
    return Example(trained.model, (*seen.inputs, np.array([label])), [seen.words], said, seen.notes)


def _tagged(tagger, text, target):
    _refuse(tagger, target, "the page takes the likeliest tags")
    seen = seen_by(tagger, text)
    tags = tagger.model(*seen.inputs).argmax(axis=-1)
    return Example(tagger.model, (*seen.inputs, tags), [seen.words], "the likeliest tag of each token", seen.notes)


def _pointed(pointing, text, target):
    seen = seen_by(pointing, text, target)
    said = "the model's own order" if target is None else "the given order"
    return Example(seen.model, seen.inputs, [seen.words], said)


def _copied(copying, text, target):
    _refuse(copying, target, "it copies the bits")
    seen = seen_by(copying, text)
    return Example(seen.model, copies(copying.read(text), seen.inputs[0].dtype), [seen.target_words], "the copy of the bits")


def _read_both_ways(trained, text, target):
    _refuse(trained, target, "each word of the text is the target of its neighbours")
    ids, letters, names, notes = trained.read(text)
    return Example(trained.model, (ids, *letters), [names], "the next and the previous word of each", notes)


LEARNED = {  # pipeline -> function (pipeline, text, target) that returns its `Example`
    Classifier: _classified,  # before Writer: some classifiers continue texts as well
    Writer: _continued,
    Translator: _translated,
    Filler: _filled,
    Tagger: _tagged,
    ImageClassifier: _classified,
    Pointing: _pointed,
    Copying: _copied,
    BothWays: _read_both_ways,
}
