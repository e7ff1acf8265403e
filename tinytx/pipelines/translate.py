"""A trained encoder-decoder translates: greedily, or by beam search."""

from contextlib import closing
from typing import NamedTuple

import numpy as np

from tinytx import workers
from tinytx.core import Layer
from tinytx.data import Tokenizer
from tinytx.decoding import beam_search, greedy
from tinytx.pipelines.asked import rules_of
from tinytx.pipelines.load import read_tokenizer
from tinytx.pipelines.texts import check_length, encode_framed, encode_marked, known_form
from tinytx.progress import progress
from tinytx.tasks import AlignedSequenceToSequence, SequenceToSequence, UnifiedWords

AT_A_TIME = 64  # texts that are decoded together
LENGTH_PENALTY = 0.6  # Vaswani et al. 2017, section 6.1


class Translation(NamedTuple):
    """One translation of a text.

    Attributes
    ----------
    text : str
    ids : int64 array (T,)
        ``<stop>`` included where ``ended``.
    score : float
        By which a beam search orders them.
    ended : bool
    """

    text: str
    ids: np.ndarray
    score: float
    ended: bool


class Translator(NamedTuple):
    """A trained Transformer, or a task of yours that `tinytx.decoding.greedy` can ask, and its tokenizers.

    Examples
    --------
    >>> Translator(model, source_tokenizer, target_tokenizer).translate(["may 3, 1994"])  # doctest: +SKIP
    ['1994-05-03']
    """

    model: Layer
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    tasks = (SequenceToSequence, AlignedSequenceToSequence, UnifiedWords)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizers do not fit the model."""
        tokenizers = []
        for side in ("source", "target"):
            state, size = meta.get(f"{side}_tokenizer"), getattr(model.config, f"{side}_vocab_size")
            ids, whose = ("pad_id", "start_id", "stop_id"), f"the {side}'s tokenizer"
            tokenizers.append(read_tokenizer(place, state, size, model.config, *ids, whose=whose))
        return cls(model, *tokenizers)

    def translate(self, texts):
        """Return the greedy translations, a list of str, of texts."""
        texts = [known_form(self.source_tokenizer, text) for text in texts]
        return self.translate_ids([self.encode(text, f"text {n}") for n, text in enumerate(texts, start=1)])

    def encode(self, text, place="the text"):
        """Return the ids of a source; raise ValueError if the model cannot read so many."""
        if hasattr(getattr(self.model, "body", None), "published"):  # as T5, it reads sources in their file's frame
            ids, _ = encode_framed(self.source_tokenizer, text)
        else:
            ids = encode_marked(self.source_tokenizer, text, place)
        check_length(ids, self.model.config.max_len, place, text)
        return ids

    def decode(self, sources, n_tokens=None, beam=None, *, stop=None, rules=None):
        """Translate a few sources together.

        Parameters
        ----------
        sources : list of B int arrays (S,)
            The translation of an empty one is empty.
        n_tokens : int, optional
            Of a translation at most; as many as the model has room for if not given.
        beam : dict, optional
            ``beam_size``, ``alpha``, ... of `tinytx.decoding.beam_search`; without it, greedy.
        stop : int or sequence of int, optional
            As for `tinytx.decoding.greedy`.
        rules : sequence of functions, optional
            Of `tinytx.decoding.rules`; without it, those that the model's folder says.

        Returns
        -------
        list of B lists of Translation, the best first
        """
        found = [[] if len(source) else [Translation("", source, 0.0, True)] for source in sources]
        rows = [row for row, source in enumerate(sources) if len(source)]
        if not rows:
            return found
        search, options = (beam_search, beam) if beam else (greedy, {})
        rules = rules_of(self.model) if rules is None else rules
        decoded = search(self.model, [sources[row] for row in rows], n_tokens, stop=stop, rules=rules, **options)
        n = len(rows)
        ids = decoded.ids.reshape(n, -1, decoded.ids.shape[-1])  # (B, n_best, T)
        lengths, ended, scores = (a.reshape(n, -1) for a in (decoded.lengths, decoded.ended, decoded.scores))
        for b, i in np.argwhere(lengths > 0).tolist():
            own = ids[b, i, : lengths[b, i]]
            text = self.target_tokenizer.decode(own)
            found[rows[b]].append(Translation(text, own, float(scores[b, i]), bool(ended[b, i])))
        return found

    def translate_ids(self, sources):
        """Return the greedy translations, a list of str, of many sources, as `best` finds them."""
        return [best.text for best in self.best(sources)]

    def best(self, sources):
        """Return the greedy `Translation` of each of many sources; those of like lengths are decoded together.

        Standard error shows how many are done.
        """
        order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
        found = [None] * len(sources)
        parts = [order[start : start + AT_A_TIME] for start in range(0, len(order), AT_A_TIME)]
        with closing(progress(len(sources), unit="translation", stays=False)) as bar:

            def decoded(rows):
                best = [tuple(found[0]) for found in self.decode([sources[row] for row in rows])]
                bar.update(n=len(rows))
                return best

            for rows, best in zip(parts, workers.each(decoded, parts), strict=True):
                for row, facts in zip(rows, best, strict=True):
                    found[row] = Translation(*facts)
        return found

    def draw(self, path, source, translation):
        """Draw how much each word of a translation looked at each of the source: the mean of the last layer's heads.

        Parameters
        ----------
        path : str or Path
        source : int array (S,)
        translation : Translation

        Raises
        ------
        ValueError
            If the model has no cross-attention.
        """
        if not any("cross_attention" in name for name, _ in self.model.named_layers()):
            raise ValueError("Translator: this model has no cross-attention to draw")
        from tinytx.viz import alignment_picture, attention_maps  # draws with matplotlib: only where it is asked for

        fed = np.concatenate([[self.model.config.start_id], translation.ids[:-1]])  # position t, fed this, said word t
        maps = attention_maps(self.model, source[None], fed[None])
        last = [weights for layer, weights in maps.items() if "cross_attention" in layer][-1]  # (1, H, T, S)
        names = self.source_tokenizer.tokens(source), self.target_tokenizer.tokens(translation.ids)
        alignment_picture(path, last[0].mean(axis=0), *names, "Cross-attention, the mean of the last layer's heads")
