"""The words and sequences of the from-scratch BERT tutorial (Whiax/BERT-Transformer-Pytorch), rule by rule.

1. A text is lower-cased, spaces are put around each of ``, ? ; . : / * ! + - ( ) [ ] { } " ' &``, and it is cut at
   white space. So ``n'est-ce`` is five words, and a currency sign stays with its number.
2. The vocabulary: the 40,000 most frequent words, then ``<ignore>``, ``<oov>`` and ``<mask>``, at the end. Of equally
   frequent words the first in the order of code points comes first (the tutorial: the first in the text).
3. A sequence: a sentence joined with those after it until there are 20 words, cut to 20. Every sentence begins one;
   after the last sentence comes the first. ``<ignore>`` fills up what is shorter still, which only a tiny corpus is.
4. Every word of it, ``<oov>`` too, is masked with 15 %, always by ``<mask>``: `MaskedBatches` with
   ``replace=(1, 0, 0)`` and ``never=[tokenizer.pad_id]``. (The tutorial masks ``<ignore>`` too, but does not count it.)
5. Every batch has 128 sequences; what does not fill one is left out of the epoch: ``drop_last=True``.

The first 2,999 lines of Europarl's French give 7,666 words, 7,669 ids.
"""

import re

import numpy as np

from tinytx.arguments import check_list, check_whole
from tinytx.data.words import WordTokenizer

TUTORIAL_SPECIAL = ("<ignore>", "<oov>", "<mask>")
_ALONE = re.compile(r"""[,?;.:/*!+\-()\[\]{}"'&]""")


def tutorial_words(text, *, lower=True):
    """Return the list of words, by rule 1.

    Parameters
    ----------
    text : str
    lower : bool
        Put it in lower case first, as the tutorial does.

    Examples
    --------
    >>> tutorial_words("N'est-ce pas 5€, (peut-être) ?")
    ['n', "'", 'est', '-', 'ce', 'pas', '5€', ',', '(', 'peut', '-', 'être', ')', '?']
    """
    return _ALONE.sub(r" \g<0> ", text.lower() if lower else text).split()


class TutorialTokenizer(WordTokenizer):
    """Words to ids and back, by rules 1 and 2; between two words of a text that comes back is one space.

    Parameters and attributes are those of `WordTokenizer`. The special tokens have the last ids: ``<ignore>`` is
    ``pad_id``, ``<oov>`` is ``unk_id`` and ``<mask>`` is ``mask_id``.

    Examples
    --------
    >>> tokenizer = TutorialTokenizer.from_texts(["Oui, oui !", "Non !"])
    >>> tokenizer.names
    ['!', 'oui', ',', 'non', '<ignore>', '<oov>', '<mask>']
    >>> tokenizer.encode("Oui ou non")
    array([1, 5, 3])
    """

    kind = "tutorial"
    cut, join = staticmethod(lambda text: tutorial_words(text, lower=False)), staticmethod(" ".join)
    special_last = True

    def __init__(self, words, special=TUTORIAL_SPECIAL, *, lower=True):
        super().__init__(words, special, lower=lower)

    @classmethod
    def from_texts(cls, texts, max_words=40_000, *, min_count=1, special=TUTORIAL_SPECIAL, lower=True):
        """Return the tokenizer of the most frequent words of some texts, as `WordTokenizer.from_texts`."""
        return super().from_texts(texts, max_words, min_count=min_count, special=special, lower=lower)


def joined(sentences, max_len=20):
    """Return one sequence for each sentence: it and those after it, until there are enough words (rule 3).

    Every word is thus in several sequences, at several positions, and no row is padded.

    Parameters
    ----------
    sentences : list of integer arrays (n,), none empty
    max_len : int
        T, at least 1.

    Returns
    -------
    rows : list of int64 arrays (T,)
        All views of one array. Shorter than ``max_len``, all of the corpus, only where that is shorter itself.

    Raises
    ------
    ValueError
        If there are no sentences, one is empty, or max_len is below 1.

    Examples
    --------
    >>> joined([np.array([1, 2]), np.array([3]), np.array([4, 5, 6])], max_len=4)
    [array([1, 2, 3, 4]), array([3, 4, 5, 6]), array([4, 5, 6, 1])]
    """
    max_len = check_whole("joined", "max_len", max_len)
    check_list("joined", "sentences", sentences, of="integer arrays")
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    if not len(lengths):
        raise ValueError("joined: there are no sentences")
    if not lengths.all():
        raise ValueError(f"joined: sentence {int(lengths.argmin())} has no words; leave it out")
    words = np.concatenate(sentences).astype(np.int64)
    t = min(max_len, len(words))
    around = np.concatenate([words, words[:t]])  # after the last sentence comes the first
    return [around[start : start + t] for start in (np.cumsum(lengths) - lengths).tolist()]
