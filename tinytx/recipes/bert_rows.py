"""Makes BERT's training data of a text: sentences, a tokenizer, rows with or without pairs, batches with masks."""

from collections.abc import Callable
from typing import NamedTuple

from tinytx.data import (
    BERT_SPECIAL,
    TUTORIAL_SPECIAL,
    MaskedBatches,
    SubwordTokenizer,
    TutorialTokenizer,
    WordPieceTokenizer,
    builtin_corpus,
    documents,
    framed,
    full_sentences,
    joined,
    next_sentence_pairs,
    read_text,
    sentence_order_pairs,
)
from tinytx.data.batches.masking import REPLACE
from tinytx.extras import MissingExtra
from tinytx.wording import counted

_NEXT_SEED = 1_000_003  # from the seed of one epoch's pairs to that of the next
FEW = 20  # documents: with fewer, no whole document is held out
PAIRS = {"next": next_sentence_pairs, "order": sentence_order_pairs}


class Rows(NamedTuple):
    """What `MaskedBatches` takes, and the sentences that it was made of.

    Attributes
    ----------
    sentences : list of int64 arrays (n,)
        Encoded, without ``[CLS]`` and ``[SEP]``.
    parts : tuple
        Rows; and where there are pairs, their segments and labels.
    parts_of : function (int) -> tuple, or None
        Where there are pairs: the parts of an epoch 0, 1, ..., with pairs drawn anew; those of epoch 0 are ``parts``.
    n_cut : int
        Sentences that lose their ends, as they are longer than a row and are not to go on in the next one.
    """

    sentences: list
    parts: tuple
    parts_of: Callable | None = None
    n_cut: int = 0


def read_documents(settings):
    """Return (texts, lists of documents) of the data that settings name.

    First that of ``data``, of which ``lines`` may be fewer than all; then that of ``valid``, if it is given.
    """
    text, layout = (builtin_corpus(), "prose") if settings.data is None else (read_text(settings.data), "lines")
    if settings.lines is not None:
        text = "\n".join(text.split("\n")[: settings.lines])
    texts = [text] if settings.valid is None else [text, read_text(settings.valid)]
    layouts = [settings.layout or layout, settings.layout or "lines"]
    return texts, [documents(*each) for each in zip(texts, layouts, strict=False)]


def hold_out(whole, train_fraction):
    """Return (documents to train on, documents to validate on).

    Whole documents are held out, spread evenly, so that both parts speak of the same things. Where there are few, the
    end of the text is held out instead. With a fraction of 1 nothing is, and the second list is empty.

    Parameters
    ----------
    whole : list of lists of str
    train_fraction : float in (0, 1]

    Raises
    ------
    ValueError
        If the fraction leaves either part without a sentence.

    Examples
    --------
    >>> hold_out([["a", "b"], ["c", "d"]], 0.5)
    ([['a', 'b']], [['c', 'd']])
    """
    n = sum(map(len, whole))
    if train_fraction == 1:
        return whole, []
    if len(whole) < FEW:
        train, rest, left = [], [], round(n * train_fraction)
        for document in whole:
            train.append(document[:left])
            rest.append(document[left:])
            left -= len(train[-1])
    else:
        turns = [int((i + 1) * (1 - train_fraction) + 1e-9) for i in range(-1, len(whole))]
        train = [document for i, document in enumerate(whole) if turns[i] == turns[i + 1]]
        rest = [document for i, document in enumerate(whole) if turns[i] != turns[i + 1]]
    train, rest = ([document for document in part if document] for part in (train, rest))
    if not (0 < train_fraction < 1 and train and rest):
        sizes = f"{sum(map(len, train))} and {sum(map(len, rest))}"
        raise ValueError(
            f"--train-fraction is {train_fraction}, which cuts {counted(n, 'sentence')} into {sizes} to train and to "
            "validate: neither may be empty (1 trains on all, and validates on the same)"
        )
    return train, rest


def make_tokenizer(settings, train):
    """Return the tokenizer of the documents to train on; words that only others have are unknown to it."""
    texts = [sentence for document in train for sentence in document]
    if settings.tokenizer == "words":
        special = TUTORIAL_SPECIAL if settings.pairs == "none" else (*TUTORIAL_SPECIAL, "[CLS]", "[SEP]")
        return TutorialTokenizer.from_texts(
            texts, settings.vocab_size, min_count=settings.min_count, special=special, lower=settings.lower
        )
    try:
        if settings.tokenizer == "subwords":
            texts = [" ".join(document) for document in train]
            return SubwordTokenizer.from_texts(texts, settings.vocab_size, special=BERT_SPECIAL, lower=settings.lower)
        return WordPieceTokenizer.from_texts(texts, settings.vocab_size, lower=settings.lower)
    except MissingExtra as error:
        remedy = "or take --tokenizer words, which needs nothing, or the recipe bert"
        raise MissingExtra(f"{error}, {remedy}", name=error.name) from error


def make_rows(settings, tokenizer, part):
    """Return the `Rows` of some documents.

    Without pairs, each sentence begins a row, which goes on with those after it until it is full; ``[CLS]`` and
    ``[SEP]`` stand around it if the tokenizer has them. With ``full_sentences``, each sentence is in one row. With pairs, a
    row is ``[CLS] A [SEP] B [SEP]``.
    """
    space = " " if settings.tokenizer == "subwords" else ""  # it belongs to the first word of a sentence inside a document
    encoded = [[tokenizer.encode(space * (i > 0) + sentence) for i, sentence in enumerate(document)] for document in part]
    encoded = [[ids for ids in document if len(ids)] for document in encoded]
    flat = [ids for document in encoded for ids in document]
    frame = {"cls_id": tokenizer.cls_id, "sep_id": tokenizer.sep_id}
    if settings.pairs != "none":
        make, options = PAIRS[settings.pairs], frame | {"max_len": settings.max_len}

        def parts_of(epoch):
            return tuple(make(encoded, seed=settings.seed + epoch * _NEXT_SEED, **options))

        return Rows(flat, parts_of(0), parts_of)
    if tokenizer.cls_id is None:
        return Rows(flat, (joined(flat, settings.max_len),))
    if settings.max_len < 3:
        raise ValueError(f"--max-len is {settings.max_len}, expected at least 3: [CLS], a token and [SEP]")
    if settings.full_sentences:
        n_cut = sum(len(ids) > settings.max_len - 2 for ids in flat)
        return Rows(flat, (full_sentences(encoded, **frame, max_len=settings.max_len),), n_cut=n_cut)
    return Rows(flat, ([framed(row, **frame)[0] for row in joined(flat, settings.max_len - 2)],))


def make_batches(settings, tokenizer, rows):
    """Return the batches to train on: masks as the settings say."""
    n = len(rows.parts[0])
    if settings.drop_last and n < settings.batch_size:
        remedy = "take a smaller one, or --no-drop-last"
        there = f"there is to train on {counted(n, 'row')}"
        raise ValueError(f"--batch-size is {settings.batch_size}, and {there}: {remedy}")
    options = {
        "batch_size": settings.batch_size,
        "dynamic": not settings.static,
        "replace": (1, 0, 0) if settings.always_mask else REPLACE,
        "drop_last": settings.drop_last,
    } | _masking(settings, tokenizer)
    first = MaskedBatches(*rows.parts, **options)
    if rows.parts_of is None or settings.static:
        return first
    return FreshPairs(first, lambda epoch: MaskedBatches(*rows.parts_of(epoch), **options))


class FreshPairs:
    """The batches of a corpus of pairs that are drawn anew in each epoch: few pairs would be learned by heart.

    Every epoch has as many pairs, so batch ``step`` is a function of the step alone, as `MaskedBatches` has it.

    Parameters
    ----------
    first : MaskedBatches
        Of epoch 0.
    batches_of : function (int) -> MaskedBatches
        Of any epoch.
    """

    def __init__(self, first, batches_of):
        self._epoch, self._batches, self._batches_of = 0, first, batches_of

    def __len__(self):
        return len(self._batches)

    def __call__(self, step):
        """Return batch ``step`` of the run, as `MaskedBatches` does."""
        epoch = step // len(self)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._batches_of(epoch)
        return self._batches(step)


def validation_batches(settings, tokenizer, rows):
    """Return the list of batches that validate, with the same masks each time.

    Here every chosen word is hidden, also in recipes that train with other words or with the word itself in its place.
    So the figures of two recipes can be compared.
    """
    options = {"batch_size": 64, "dynamic": False, "replace": (1, 0, 0)} | _masking(settings, tokenizer)
    return list(MaskedBatches(*rows.parts, **options).epoch())


def _masking(settings, tokenizer):
    never = [i for i in tokenizer.special_ids if not (settings.mask_unknown and i == tokenizer.unk_id)]
    options = {"tokenizer": tokenizer, "seed": settings.seed, "rate": settings.mask_rate}
    return options | {"whole_words": settings.whole_words, "never": never}
