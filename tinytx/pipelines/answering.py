"""A trained model points at the part of a text that answers a question: extractive question answering."""

from typing import NamedTuple

import numpy as np

from tinytx import ops
from tinytx.arguments import check_whole
from tinytx.core import Layer
from tinytx.data import JsonTokenizer
from tinytx.pipelines.base import Pipeline
from tinytx.pipelines.load import read_tokenizer
from tinytx.tasks import Spans


class Answerer(NamedTuple):
    """A trained `Spans` and its tokenizer, which says which characters a token stands for.

    Examples
    --------
    >>> Answerer(model, tokenizer).answers("Who sat?", "The cat sat.")  # doctest: +SKIP
    """

    model: Layer
    tokenizer: JsonTokenizer
    tasks = (Spans,)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer does not fit the model."""
        tokenizer = read_tokenizer(place, meta.get("tokenizer"), model.config.vocab_size, model.config)
        return cls(model, tokenizer if isinstance(tokenizer, JsonTokenizer) else JsonTokenizer.from_json(tokenizer.to_json()))

    def answers(self, question, text, *, longest=15, overlap=128, none_allowed=False):
        """Return answers (score, start, end), the best first: ``text[start:end]``; start and end 0 are no answer.

        An answer's score is the probability of its first token times that of its last one; it has all of the words that these
        tokens are parts of. A text that is longer than the model reads is read in parts.

        Parameters
        ----------
        question, text : str
        longest : int
            Tokens in an answer, at most.
        overlap : int
            Tokens that a part has in common with the one before it, where there are several.
        none_allowed : bool
            Whether "no answer" is one of the answers: the model points at the first token for it.

        Raises
        ------
        ValueError
            If the question leaves no room for the text.
        """
        encoding = self.tokenizer.frame(question, text)
        inside = np.flatnonzero(encoding.texts == 1)
        if not len(inside):
            raise ValueError(f"the text is {text!r:.60}, which has no token that could be an answer: write some text")
        room = self.model.config.max_len - (len(encoding.ids) - len(inside))
        if room < 1:
            facts = f"the question has so many tokens that {self.model.config.max_len}, which the model reads, leave no room"
            raise ValueError(f"{facts} for the text: shorten it, {question!r:.60}")
        found, none = [], 1.0
        for first in range(0, max(1, len(inside) - min(overlap, room - 1)), room - min(overlap, room - 1)):
            part = inside[first : first + room]
            rows = np.concatenate([np.arange(inside[0]), part, np.arange(inside[-1] + 1, len(encoding.ids))])
            chosen, unanswered = self._chosen(encoding, rows, part, longest, none_allowed)
            found, none = found + chosen, min(none, unanswered)
        found = sorted(found + ([(none, 0, 0)] if none_allowed else []), key=lambda answer: -answer[0])
        return list({answer[1:]: answer for answer in reversed(found)}.values())[::-1]  # parts may have some in common

    def _chosen(self, encoding, rows, part, longest, none_allowed):
        """Return what the model says about a part of a text: its answers, and the score of there being none."""
        logits = self.model(encoding.ids[None, rows], segments=encoding.types[None, rows])[0]  # (T, 2)
        own = np.isin(rows, part)
        allowed = own | (none_allowed & (np.arange(len(rows)) == 0))
        p, _ = ops.softmax(np.where(allowed[:, None], logits, -np.inf).T)  # (2, T)
        pairs = np.tril(np.triu(np.outer(p[0, own], p[1, own])), longest - 1)  # (first, last)
        words, spans = encoding.words[part], encoding.offsets[part]
        starts = spans[np.searchsorted(words, words, "left"), 0]  # where the word of each token starts
        ends = spans[np.searchsorted(words, words, "right") - 1, 1]
        best = {}
        for first, last in np.argwhere(pairs).tolist():
            span = int(starts[first]), int(ends[last])
            best[span] = max(best.get(span, 0.0), float(pairs[first, last]))
        return [(score, *span) for span, score in best.items()], float(p[0, 0] * p[1, 0])


class QuestionAnswering(Pipeline):
    """A model points at the part of a text that answers a question."""

    use = Answerer

    def __call__(self, *, question, context, top_k=1, max_answer_len=15, doc_stride=128, handle_impossible_answer=False):
        """Answer a question about a text, or several.

        Parameters
        ----------
        question, context : str, or two lists of str of one length
            The answer is a part of the context.
        top_k : int
            Answers to each question.
        max_answer_len : int
            Tokens in an answer, at most.
        doc_stride : int
            Tokens that parts of a context have in common, where it is longer than the model reads.
        handle_impossible_answer : bool
            Whether "no answer" is one of the answers: its text is empty.

        Returns
        -------
        dict
            ``score``, a probability; ``start`` and ``end``; ``answer``, which is ``context[start:end]``. With top_k above 1
            a list of dict, the best first. Of several questions the list of all that.

        Raises
        ------
        TypeError, ValueError
            If the context has no token, a question is longer than the model reads, or an argument is out of range.
        """
        place, several = "QuestionAnswering", isinstance(question, list | tuple)
        for name, value in (("top_k", top_k), ("max_answer_len", max_answer_len)):
            check_whole(place, name, value)
        check_whole(place, "doc_stride", doc_stride, least=0)
        questions, contexts = (question, context) if several else ([question], [context])
        if several and (not isinstance(context, list | tuple) or len(context) != len(question)):
            raise ValueError(f"{place}: {len(question)} questions need a list of as many contexts")

        def answers(texts):
            options = {"longest": max_answer_len, "overlap": doc_stride, "none_allowed": handle_impossible_answer}
            said = [self.uses.answers(text["text"], text["text_pair"], **options)[:top_k] for text in texts]
            return [
                [{"score": score, "start": start, "end": end, "answer": text["text_pair"][start:end]}
                 for score, start, end in some] for text, some in zip(texts, said, strict=True)
            ]

        pairs = [{"text": asked, "text_pair": text} for asked, text in zip(questions, contexts, strict=True)]
        said = [some[0] if top_k == 1 else some for some in self._each(pairs, answers)]
        return said if several else said[0]
