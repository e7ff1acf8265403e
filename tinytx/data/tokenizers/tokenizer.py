"""The base class of tokenizers: special tokens, the names of ids, and checks of arguments.

Special tokens are the first ids unless a tokenizer says otherwise, so their ids are the same in all tokenizers with the
same list: with ``SPECIAL``, ``<pad>`` is 0, ``<start>`` 1, ``<stop>`` 2 and ``<unk>`` 3. Encoding a text never gives a
special token except ``<unk>``: the characters "<stop>" in a text are text.

``ROLES`` lists the names of special tokens by their purpose. Pairs of texts need the list ``SPECIAL``. BERT (Devlin et
al. 2018, arXiv 1810.04805) needs ``BERT_SPECIAL``: ``[CLS]`` begins a text, ``[SEP]`` ends each of its parts, and
``[MASK]`` replaces a hidden word.
"""

import unicodedata
from collections import Counter

import numpy as np

from tinytx.arguments import check_list
from tinytx.data.tokenizers.graphemes import shown
from tinytx.files import plain

PAD, START, STOP, UNK = "<pad>", "<start>", "<stop>", "<unk>"
SPECIAL = (PAD, START, STOP, UNK)
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROLES = {
    "pad": (PAD, "[PAD]", "<ignore>"),
    "start": (START,),
    "stop": (STOP,),
    "unk": (UNK, "[UNK]", "<oov>"),
    "cls": ("[CLS]",),
    "sep": ("[SEP]",),
    "mask": ("<mask>", "[MASK]"),
}


class Tokenizer:
    """From text to ids and back. Subclasses define ``_pieces`` and ``_text``, and ``_look_up`` if it is no dictionary.

    Attributes
    ----------
    special : tuple of str
        The special tokens; may be empty.
    special_ids : tuple of int
        Their ids: 0, 1, ... unless the tokenizer places them elsewhere.
    names : list of str
        The name of each id, special ones too, as on the axes of a picture of attention.
    vocab_size : int
        V, the number of ids.
    pad_id, start_id, stop_id, unk_id, cls_id, sep_id, mask_id : int or None
        Ids of the special tokens by their purpose (``ROLES``); None if the tokenizer has no such token.
    """

    kind = None  # the class's name in files
    unit = None  # the part of a text that an id stands for, for messages
    fields = {}  # {attribute: its type in JSON}: what to_dict writes, and the class takes, beside special
    lower = False  # whether every text is read in lower case
    spaces = False  # whether a space is a token by itself
    special_last = False  # whether special tokens have the last ids, and not the first

    def __init__(self, special, names, special_ids=None):
        special = self._checked_names(special)
        v, first = len(special) + len(names), len(names) if self.special_last else 0
        special_ids = tuple(range(first, first + len(special)) if special_ids is None else special_ids)
        in_range = all(isinstance(i, int) and 0 <= i < v for i in special_ids)
        if not in_range or not len(set(special_ids)) == len(special_ids) == len(special):
            expected = f"expected {len(special)} different ones in 0..{v - 1}"
            raise ValueError(f"{self._place}: ids of the special tokens are {special_ids}, {expected}")
        self.special, self.special_ids, self.names, self.vocab_size = special, special_ids, list(names), v
        for i, name in sorted(zip(special_ids, special, strict=True)):
            self.names.insert(i, name)
        self._other_ids = np.delete(np.arange(v), special_ids)
        self.pad_id, self.start_id, self.stop_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            next((i for i, name in zip(special_ids, special, strict=True) if name in names), None)
            for names in ROLES.values()
        )

    @property
    def _place(self):
        return type(self).__name__

    def _checked_names(self, special):
        """Return special tokens as a tuple; raise ValueError unless they are different names."""
        check_list(self._place, "special", special)
        if not all(isinstance(name, str) and name for name in special) or len(set(special)) < len(special):
            raise ValueError(f"{self._place}: special tokens are {tuple(special)}, expected different names, none empty")
        return tuple(special)

    def special_id(self, name):
        """Return the id of a special token.

        Raises
        ------
        ValueError
            If the tokenizer has no special token of that name.
        """
        if name not in self.special:
            remedy = f"build it with special={SPECIAL if name in SPECIAL else (*self.special, name)}"
            raise ValueError(f"{self._place}: {name!r} is not among its special tokens {self.special}; {remedy}")
        return self.special_ids[self.special.index(name)]

    def encode(self, text):
        """Return the ids of a text.

        Parameters
        ----------
        text : str

        Returns
        -------
        ids : int64 array (n,)
            Without start and stop tokens, which a task adds if it needs them.

        Raises
        ------
        TypeError
            If ``text`` is not a str.
        ValueError
            If a part of it is not in the vocabulary, and there is no ``<unk>``; the message has the first such part
            and its position.
        """
        self._check_text(text)
        pieces = self._pieces(text)
        ids = self._look_up(pieces)
        unknown = ids < 0
        if self.unk_id is None and unknown.any():
            position = int(unknown.argmax())
            remedy = self._known_form(text) or (
                f"build it from a text that has every {self.unit} you need, or with the special token {UNK!r}"
            )
            raise ValueError(
                f"{self._place}: {self.unit} {shown(pieces[position])} at position {position} is not among the "
                f"{len(self.names) - len(self.special)} of the vocabulary; {remedy}"
            )
        ids = self._other_ids[ids]
        if unknown.any():
            ids[unknown] = self.unk_id
        return ids

    def _known_form(self, text):
        """Return a remedy for a text that is unknown only because it is in another of Unicode's forms; or ""."""
        for form in ("NFC", "NFD"):
            if not self.unknown(unicodedata.normalize(form, text)):
                return f"in Unicode's form {form} all of it is known: pass unicodedata.normalize({form!r}, text)"
        return ""

    def unknown(self, text):
        """Return the parts of a text that `encode` makes ``<unk>``, in their order: a list of str."""
        pieces = self._pieces(text)
        return [pieces[i] for i in np.flatnonzero(self._look_up(pieces) < 0)]

    def decode(self, ids, *, special=None):
        """Return the text that ids stand for.

        The text ends at ``<stop>``. ``<pad>`` and ``<start>`` are left out. Other special tokens are written by name,
        so that an unknown word is visible and counts as wrong.

        Parameters
        ----------
        ids : integers (n,)
        special : bool, optional
            Write all special tokens by name (True) or none (False), and do not end at ``<stop>``.

        Returns
        -------
        text : str

        Raises
        ------
        TypeError
            If ids are not integers.
        ValueError
            If ids are not one row, or one is outside 0..V-1; the message has the first such id and its position.
        """
        ids = self._checked(ids)
        if special is not None:
            return self._text(ids if special else ids[~np.isin(ids, self.special_ids)])
        stops = ids == self.stop_id
        stops[:1] &= self.start_id != self.stop_id  # one token may begin and end texts, as GPT-2's
        if stops.any():
            ids = ids[: int(stops.argmax())]
        silent = [i for i in (self.pad_id, self.start_id) if i is not None]
        return self._text(ids[~np.isin(ids, silent)] if silent else ids)

    def tokens(self, ids):
        """Return the name of each id, special ones too: a list of n str. Parameters and errors as ``decode``."""
        return [self.names[i] for i in self._checked(ids).tolist()]

    def word_starts(self, ids):
        """Return the positions where words start, for masking whole words.

        Parameters
        ----------
        ids : integers (n,), of 0..V-1

        Returns
        -------
        starts : bool array (n,)
            False if the token continues the word before it. If the tokenizer does not cut words, all are True.
        """
        return np.ones(self._checked(ids).shape, bool)

    def _checked(self, ids):
        ids = np.asarray(ids)
        if ids.ndim != 1:
            raise ValueError(f"{self._place}: ids have shape {ids.shape}, expected (n,); decode one row at a time")
        if not len(ids):
            return ids.astype(np.int64)
        if ids.dtype.kind not in "iu":
            raise TypeError(f"{self._place}: ids have dtype {ids.dtype}, expected integers")
        wrong = (ids < 0) | (ids >= self.vocab_size)
        if wrong.any():
            position = int(wrong.argmax())
            raise ValueError(
                f"{self._place}: id {ids[position]} at position {position} is outside 0..{self.vocab_size - 1}"
            )
        return ids

    def to_dict(self):
        """Return what ``from_dict`` needs, in JSON's types: the part of a checkpoint that makes it readable."""
        return {"kind": self.kind} | {name: plain(getattr(self, name)) for name in {"special": list} | self.fields}

    def to_json(self):
        """Return the content of a ``tokenizer.json``, by which Hugging Face's library makes the same ids of a text.

        Raises
        ------
        ValueError
            If the library has no such rules.
        """
        remedy = "train a SubwordTokenizer or a WordPieceTokenizer"
        raise ValueError(f"{self._place}: a tokenizer.json has no rules for a vocabulary of {self.kind}: {remedy}")

    @classmethod
    def from_dict(cls, state):
        """Return the tokenizer that ``to_dict`` described.

        Raises
        ------
        ValueError
            If ``state`` describes something else.
        MissingExtra
            If the kind needs the library ``tokenizers``, and it is not installed.
        """
        types = {"special": list} | cls.fields
        if isinstance(state, dict):
            state = {"special": []} | state  # old files have no special tokens
            if state.get("kind") == cls.kind and all(isinstance(state.get(name), t) for name, t in types.items()):
                try:
                    return cls(**{name: state[name] for name in types})
                except TypeError as error:
                    raise ValueError(f"{error}; {cls.__name__}.to_dict did not return it") from error
        raise ValueError(f"{cls.__name__}: {state!r:.80} is not what {cls.__name__}.to_dict returns")

    def _check_vocabulary(self, name, entries, remedy):
        """Raise ValueError if a vocabulary is empty or contains an entry twice."""
        if not entries:
            raise ValueError(f"{self._place}: no {name}, expected at least one")
        entry, count = Counter(entries).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{self._place}: {entry!r} occurs {count} times; {remedy}")

    def _check_text(self, text):
        """Raise TypeError if a text is not a str."""
        if not isinstance(text, str):
            raise TypeError(f"{self._place}: text is a {type(text).__name__}, expected a str; encode one at a time")

    def _check_encodable(self, text):
        """Raise ValueError if a text contains half of a surrogate pair, which UTF-8 cannot encode."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{self._place}: {text[error.start]!r} at position {error.start} is no text") from error

    # To be defined by subclasses.

    def _pieces(self, text):
        """Return the parts of a text, in order, each with an id or unknown."""
        raise NotImplementedError

    def _look_up(self, pieces):
        """Return the ids (n,) of parts, int64, counted without special tokens; -1 for unknown parts."""
        return np.array([self._ids.get(piece, -1) for piece in pieces], np.int64)

    def _text(self, ids):
        """Return the text of ids (n,), with special tokens written by name."""
        raise NotImplementedError

    def __repr__(self):
        n = len(self.names) - len(self.special)
        return f"{self._place}({n} and special={self.special}, lower={self.lower})"


def room_for(place, vocab_size, special, least, what):
    """Return the size of a vocabulary without special tokens; raise ValueError if it is below ``least``."""
    check_list(place, "special", special)
    size = vocab_size - len(special)
    if size < least:
        expected = f"expected at least {least + len(special)}, for the {what} and special tokens"
        raise ValueError(f"{place}: vocab_size is {vocab_size}, {expected}")
    return size
