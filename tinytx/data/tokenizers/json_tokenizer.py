"""Any tokenizer that the library ``tokenizers`` reads from a ``tokenizer.json``, Hugging Face's file of a tokenizer.

The file states all rules: how a text is cleaned (normalizer), cut (pre-tokenizer) and turned into tokens (model: BPE,
WordPiece, Unigram or words), which tokens frame a text (post-processor), and how tokens become a text (decoder). The
library does all of it, with two exceptions:

1. **A text cannot write special tokens.** For the library, "[SEP]" in a text *is* the token ``[SEP]``, so whoever
   writes a text may end it, or begin another part of it. Here "[SEP]" in a text is text. `JsonTokenizer.encode` gives a
   special token only if it is ``unk``, or if the caller allows it by name: ``encode(text, allow=["[MASK]"])``.
2. **The file's padding and truncation do not apply.** Batches are padded where they are made.

For the first, the library encodes with a copy of the file in which the names of special tokens begin with a character
that no encoded text contains; their ids are the same. Nothing of a file is executed or unpickled.
"""

from typing import NamedTuple

import numpy as np

from tinytx.data.reading import DataError
from tinytx.data.tokenizers.tokenizer import ROLES, Tokenizer
from tinytx.data.tokenizers.tokenizer_json import (
    MARK,
    hiding,
    library_errors,
    most_ids,
    parsed,
    read,
    stated_roles,
    vocabulary,
)
from tinytx.extras import require

_NAMES = {  # the names of special tokens in published files, by their purpose, beside those of ROLES
    "pad": ("<|pad|>",),
    "start": ("<s>", "<bos>", "<|begin_of_text|>"),
    "stop": ("</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
}


class Encoding(NamedTuple):
    """A text, or two, with the special tokens that a file puts around them; n tokens.

    Attributes
    ----------
    ids : int64 array (n,)
    types : int64 array (n,)
        The number of the segment: 0 or 1.
    offsets : int64 array (n, 2)
        The characters of its text that a token stands for: ``text[start:end]``.
    words : int64 array (n,)
        The number of the word in its text that a token belongs to; -1 for special tokens.
    texts : int64 array (n,)
        0 for tokens of the text, 1 for tokens of the second text, -1 for special tokens.
    """

    ids: np.ndarray
    types: np.ndarray
    offsets: np.ndarray
    words: np.ndarray
    texts: np.ndarray


class JsonTokenizer(Tokenizer):
    """From text to ids and back, by the rules of a ``tokenizer.json``; `from_json` finds special tokens and roles.

    Parameters
    ----------
    text : str
        The content of the file. It is kept as it is: `to_json` returns it unchanged.
    special : sequence of str
        The special tokens, all of them in the vocabulary.
    roles : dict of str to (str or None)
        The special token for each purpose: ``pad``, ``start``, ``stop``, ``unk``, ``cls``, ``sep``, ``mask``. One token
        may have several.
    vocab_size : int, optional
        V, where it is more than the largest id and 1: published models often have a larger table than their tokenizer.

    Attributes
    ----------
    text, roles
    vocab_size : int
        Ids that the file leaves out are named "", and decoded to nothing.

    Raises
    ------
    DataError
        If the text is too long, is not JSON, or the library does not accept it.
    ValueError
        If special tokens or roles do not fit the vocabulary.
    MissingExtra
        If ``tokenizers`` is not installed.
    """

    kind = "tokenizer.json"
    unit = "token"
    fields = {"text": str, "roles": dict, "vocab_size": int}

    def __init__(self, text, special, roles, vocab_size=None):
        require("tokenizers", "exchange", "a tokenizer.json")
        special = self._checked_names(special)
        self.text, self.roles, self._state = text, dict(roles), parsed(text)
        self._plain = read(self._state)
        self._libraries = {(): self._plain}  # the library's tokenizer by the special tokens that are hidden from it
        ids = vocabulary(self._plain)
        self._check_roles(special, ids)
        special_ids = [ids[name] for name in special]
        least = max(ids.values()) + 1
        most = most_ids(least)
        if not least <= (least if vocab_size is None else vocab_size) <= most:
            raise ValueError(f"JsonTokenizer: vocab_size is {vocab_size}, expected {least}, the file's tokens, to {most}")
        names = [""] * (vocab_size or least)
        for name, i in ids.items():
            names[i] = name
        super().__init__(special, np.delete(np.array(names, object), special_ids).tolist(), special_ids)
        for role, name in self.roles.items():
            setattr(self, f"{role}_id", None if name is None else ids[name])
        for pair in (None, ""):  # a post-processor that cannot be used is an error here, not at the first text
            self.frame("", pair)

    def _check_roles(self, special, ids):
        """Raise ValueError unless special tokens are in the vocabulary, and roles are given to them alone."""
        missing = [name for name in special if name not in ids]
        if missing:
            remedy = "correct tokenizer_config.json, or name the special tokens yourself (pad=, start=, ...)"
            raise ValueError(f"JsonTokenizer: special tokens {missing} are not in the vocabulary; {remedy}")
        if self.roles.keys() != ROLES.keys():
            raise ValueError(f"JsonTokenizer: roles are {list(self.roles)}, expected {list(ROLES)}: use from_json")
        for role, name in self.roles.items():
            if name is not None and name not in special:
                facts = f"{role} is {name!r}, expected one of the special tokens {list(special)[:10]} or None"
                raise ValueError(f"JsonTokenizer: {facts}: pass another name ({role}=)")

    @classmethod
    def from_json(cls, text, /, vocab_size=None, **roles):
        """Return the tokenizer of the content of a ``tokenizer.json``.

        Parameters
        ----------
        text : str
        vocab_size : int, optional
            As for the class.
        **roles : str or None
            Special tokens by purpose: ``pad="<pad>"``. Others are found: ``unk`` as the model states it, ``cls`` and
            ``sep`` where the post-processor puts one token before a text and one after it, and the rest by their
            customary names among the special tokens.

        Raises
        ------
        DataError
            For any fault of the file or of the roles.
        MissingExtra
            If ``tokenizers`` is not installed.
        """
        require("tokenizers", "exchange", "a tokenizer.json")
        unknown = roles.keys() - ROLES.keys()
        if unknown:
            raise DataError(f"JsonTokenizer: there is no role {sorted(unknown)}, expected some of {list(ROLES)}")
        state = parsed(text)
        library = read(state)
        added = sorted(library.get_added_tokens_decoder().items())
        special = [token.content for _, token in added if token.special]
        by_name = {
            role: next((name for name in (*ROLES[role], *_NAMES.get(role, ())) if name in special), None)
            for role in ROLES
        }
        ids = vocabulary(library)
        stated = {role: name for role, name in stated_roles(state).items() if name and name in ids}
        roles = by_name | stated | roles
        special = sorted(dict.fromkeys([*special, *filter(None, roles.values())]), key=lambda name: ids.get(name, -1))
        try:
            return cls(text, special, roles, vocab_size)
        except ValueError as error:
            raise DataError(str(error)) from error

    def encode(self, text, allow=()):
        """Return the ids of a text.

        Parameters
        ----------
        text : str
        allow : sequence of str
            Special tokens that the text may write by name. All others are read as text.

        Returns
        -------
        ids : int64 array (n,)
            Without the tokens that frame a text: see `frame`.

        Raises
        ------
        TypeError
            If ``text`` is not a str.
        ValueError
            If a name to allow is not a special token, or a part of the text is unknown and the file has no ``unk``.
        """
        return np.array(self._encoded(text, None, allow, framed=False).ids, np.int64)

    def frame(self, text, pair=None, *, allow=()):
        """Return a text, or a pair of texts, with the special tokens of the file's post-processor.

        Parameters
        ----------
        text : str
        pair : str, optional
            The second text.
        allow : sequence of str
            As for `encode`.

        Returns
        -------
        Encoding

        Raises
        ------
        TypeError, ValueError
            As `encode`.
        """
        found = self._encoded(text, pair, allow, framed=True)
        words, texts = ([-1 if i is None else i for i in numbers] for numbers in (found.word_ids, found.sequence_ids))
        offsets = np.array(found.offsets, np.int64).reshape(-1, 2)
        return Encoding(*(np.array(a, np.int64) for a in (found.ids, found.type_ids)), offsets,
                        *(np.array(a, np.int64) for a in (words, texts)))  # fmt: skip

    def unknown(self, text):
        """Return the parts of a text that `encode` makes ``unk``, in their order: a list of str."""
        found = self._encoded(text, None, (), framed=False)
        return [text[slice(*span)] for i, span in zip(found.ids, found.offsets, strict=True) if i == self.unk_id]

    def word_starts(self, ids):
        """Return where words start, bool (n,), as the vocabulary marks it: by "##", "</w>", "Ġ" or "▁"; else all."""
        names, model = self.tokens(ids), self._state["model"]
        prefix, suffix = model.get("continuing_subword_prefix"), model.get("end_of_word_suffix")
        if prefix:
            starts = [not name.startswith(prefix) for name in names]
        elif suffix:
            starts = [True, *(name.endswith(suffix) for name in names)][: len(names)]
        else:
            marked = any(name[:1] in ("Ġ", "▁") for name in self.names)
            starts = [not marked or name[:1] in ("Ġ", "▁") for name in names]
        return np.array(starts, bool) | np.isin(ids, self.special_ids)

    def to_json(self):
        """Return the content of the ``tokenizer.json`` that this tokenizer was read from, unchanged."""
        return self.text

    def _text(self, ids):
        with library_errors("JsonTokenizer: these ids cannot be decoded"):
            return self._plain.decode(ids.tolist(), skip_special_tokens=False)

    def _encoded(self, text, pair, allow, framed):
        """Return the library's encoding of a text, or two, in which only allowed special tokens can be written."""
        for part in (text,) if pair is None else (text, pair):
            self._check_text(part)
            self._check_encodable(part)
        hidden = tuple(name for name in self.special if name not in allow)
        if len(hidden) + len(set(allow)) > len(self.special):
            facts = f"allow is {list(allow)}, expected some of the special tokens {list(self.special)[:10]}"
            raise ValueError(f"JsonTokenizer: {facts}")
        if hidden not in self._libraries:
            self._libraries[hidden] = read(hiding(self._state, hidden))
        texts = [None if part is None else part.replace(MARK, "\ufffd") for part in (text, pair)]
        with library_errors(f"JsonTokenizer: {text!r:.60} cannot be encoded", "choose another text or tokenizer"):
            return self._libraries[hidden].encode(*texts, add_special_tokens=framed)
