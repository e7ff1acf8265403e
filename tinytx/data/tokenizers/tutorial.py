"""The tokenizer of the from-scratch BERT tutorial (Whiax/BERT-Transformer-Pytorch). Its rules for words and rows:

1. A text is lower-cased, spaces are put around each of ``, ? ; . : / * ! + - ( ) [ ] { } " ' &``, and it is cut at
   white space. So ``n'est-ce`` is five words, and a currency sign stays with its number.
2. The vocabulary: the 40,000 most frequent words, then ``<ignore>``, ``<oov>`` and ``<mask>``, at the end. Of equally
   frequent words the first in the order of code points comes first (the tutorial: the first in the text).
3. A row (`joined`): a sentence and those after it, until there are 20 words, cut to 20. Every sentence begins a row;
   the first sentence follows the last. Rows of a tiny corpus, which may be shorter, are padded with ``<ignore>``.
4. Every word of a row, also ``<oov>``, is masked with probability 15 %, always by ``<mask>``: `MaskedBatches` with
   ``replace=(1, 0, 0)`` and ``never=[tokenizer.pad_id]``. (The tutorial masks ``<ignore>`` too, but does not count it.)
5. Every batch has 128 rows; rows that do not fill a batch are left out of the epoch: ``drop_last=True``.

The first 2,999 lines of Europarl's French give 7,666 words, 7,669 ids.
"""

import re

from tinytx.data.tokenizers.words import WordTokenizer

TUTORIAL_SPECIAL = ("<ignore>", "<oov>", "<mask>")
_ALONE = re.compile(r"""[,?;.:/*!+\-()\[\]{}"'&]""")


def tutorial_words(text, *, lower=True):
    """Return the list of words, by rule 1.

    Parameters
    ----------
    text : str
    lower : bool
        Convert it to lower case first, as the tutorial does.

    Examples
    --------
    >>> tutorial_words("N'est-ce pas 5€, (peut-être) ?")
    ['n', "'", 'est', '-', 'ce', 'pas', '5€', ',', '(', 'peut', '-', 'être', ')', '?']
    """
    return _ALONE.sub(r" \g<0> ", text.lower() if lower else text).split()


class TutorialTokenizer(WordTokenizer):
    """From words to ids and back, by rules 1 and 2. Decoded words are joined by one space.

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
