"""Chooses tokenizers by name: two for a corpus of pairs, or the one that a file describes."""

from tinytx.arguments import check_pairs
from tinytx.data.tokenizers.characters import CharTokenizer
from tinytx.data.tokenizers.json_tokenizer import JsonTokenizer
from tinytx.data.tokenizers.subwords import SubwordTokenizer
from tinytx.data.tokenizers.tutorial import TutorialTokenizer
from tinytx.data.tokenizers.wordpieces import WordPieceTokenizer
from tinytx.data.tokenizers.words import WordTokenizer

TOKENIZERS = {"characters": CharTokenizer, "words": WordTokenizer, "subwords": SubwordTokenizer}
_KINDS = TOKENIZERS | {kind.kind: kind for kind in (TutorialTokenizer, WordPieceTokenizer, JsonTokenizer)}


def build_tokenizers(pairs, kind, *, shared=False, **options):
    """Return (source tokenizer, target tokenizer) for pairs of texts.

    Parameters
    ----------
    pairs : list of (source, target)
        The training part only, so that new words of the validation part are unknown, as in use.
    kind : str
        One of ``TOKENIZERS``: ``"characters"``, ``"words"``, ``"subwords"``.
    shared : bool
        Build one vocabulary of both sides, and return the same object twice. Related languages share many subwords, and
        tied embeddings need one vocabulary (Vaswani et al. 2017, section 5.1).
    **options
        For ``from_texts`` of that kind: ``lower``, ``max_words``, ``min_count``, ``vocab_size``, ``special``.

    Raises
    ------
    TypeError
        If an item is not a pair of two str.
    ValueError
        If there is no such kind, or the pairs contain no token.
    """
    if kind not in TOKENIZERS:
        raise ValueError(f"build_tokenizers: kind is {kind!r}, expected one of {', '.join(TOKENIZERS)}")
    pairs = check_pairs("build_tokenizers", pairs)
    from_texts = TOKENIZERS[kind].from_texts
    if shared:
        both = from_texts((text for pair in pairs for text in pair), **options)
        return both, both
    return from_texts((pair[0] for pair in pairs), **options), from_texts((pair[1] for pair in pairs), **options)


def tokenizer_from_dict(state):
    """Return the tokenizer, of any kind, that a ``to_dict`` described.

    Raises
    ------
    ValueError
        If ``state`` does not describe a tokenizer.
    MissingExtra
        If it describes subwords, word pieces or a tokenizer.json, and ``tokenizers`` is not installed.
    """
    kind = state.get("kind") if isinstance(state, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"tokenizer_from_dict: {state!r:.80} is not what a tokenizer's to_dict returns")
    return _KINDS[kind].from_dict(state)
