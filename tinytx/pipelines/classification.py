"""What a model says about texts and their words, in the shape of Hugging Face's pipelines."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_whole
from tinytx.pipelines.base import Pipeline
from tinytx.pipelines.classify import Classifier
from tinytx.pipelines.fill import Filler
from tinytx.pipelines.tag import Tagger


class FillMask(Pipeline):
    """A model that reads both sides says which words may be hidden."""

    use = Filler

    def __call__(self, inputs, *, top_k=5):
        """Fill a text, or several, each with ``[MASK]`` or ``<mask>`` for one hidden word or more.

        Parameters
        ----------
        inputs : str, or list of str
        top_k : int
            Words for each hidden one.

        Returns
        -------
        list of dict
            The likeliest words, the likeliest first: ``score``, its probability; ``token``, its id; ``token_str``; and
            ``sequence``, the text with it. Of several hidden words a list of such lists, whose texts show special tokens.
            Of several texts the list of all that.

        Raises
        ------
        TypeError, ValueError
            If a text hides nothing, is longer than the model reads, or top_k is out of range.
        """
        tokenizer = self.uses.tokenizer

        def answer(text):
            ids = self.uses.encode(text)
            guesses = self.uses.likely(ids, top_k)
            one, whole = len(guesses) == 1, self.uses.framed(ids)
            answers = []
            for position, words in zip(np.flatnonzero(whole == tokenizer.mask_id), guesses, strict=True):
                answers.append([])
                for token, score in words:
                    filled = np.where(np.arange(len(whole)) == position, token, whole)
                    said = tokenizer.decode([token], special=True), tokenizer.decode(filled, special=not one)
                    answers[-1].append({"score": score, "token": token, "token_str": said[0], "sequence": said[1]})
            return answers[0] if one else answers

        return self._each(inputs, lambda texts: [answer(text) for text in texts])


class TextClassification(Pipeline):
    """A model says which class a text has."""

    use = Classifier

    def __call__(self, inputs, *, top_k="one", function_to_apply=None):
        """Classify a text, or several.

        Parameters
        ----------
        inputs : str, or dict with ``text`` and ``text_pair``, or a list of these
        top_k : int or None, optional
            How many classes to name for each text, None for all; each answer is then a list.
        function_to_apply : str, optional
            What makes scores of logits: "softmax", "sigmoid" or "none". By default what config.json's "problem_type" says;
            else softmax, or sigmoid for a model of one class.

        Returns
        -------
        list of dict, with ``label`` and ``score``
            For each text the likeliest class; with ``top_k`` for each text a list of dict, the likeliest first.

        Raises
        ------
        TypeError, ValueError
            If a text is longer than the model reads, or there is no such function.
        """
        several, name = isinstance(inputs, list | tuple), function_to_apply or self._default_function()
        if name not in FUNCTIONS:
            raise ValueError(f"TextClassification: function_to_apply is {name!r:.80}, expected one of {', '.join(FUNCTIONS)}")
        labels, n = self.uses.labels, 1 if top_k == "one" else top_k
        n = len(labels) if n is None else check_whole("TextClassification", "top_k", n, remedy=", or None for all classes")

        def answer(text):
            pair = (text["text"], text.get("text_pair")) if isinstance(text, dict) else (text,)
            scores = FUNCTIONS[name](self.uses.logits(*pair))  # (n_classes,)
            best = np.argsort(-scores, kind="stable")[:n]
            ranked = [{"label": labels[i], "score": float(scores[i])} for i in best]
            return ranked[0] if top_k == "one" else ranked

        said = self._each(inputs, lambda texts: [answer(text) for text in texts])
        return said if several or top_k != "one" else [said]

    def _default_function(self):
        published = getattr(self.uses.model.body, "published", {})
        kinds = {"multi_label_classification": "sigmoid", "regression": "none", "single_label_classification": "softmax"}
        return kinds.get(published.get("problem_type"), "softmax" if len(self.uses.labels) > 1 else "sigmoid")


FUNCTIONS = {"softmax": lambda x: ops.softmax(x)[0], "sigmoid": lambda x: (1 + np.tanh(x / 2)) / 2, "none": lambda x: x}


class TokenClassification(Pipeline):
    """A model says which class each token of a text has."""

    use = Tagger

    def __call__(self, inputs, *, aggregation_strategy="none", ignore_labels=("O",)):
        """Tag a text, or several.

        Parameters
        ----------
        inputs : str, or list of str
        aggregation_strategy : str
            "none": each token by itself. "simple": neighbours of one class are one answer; a class "B-X" begins an X, and
            "I-X" goes on with it.
        ignore_labels : sequence of str
            Classes that are left out: "O" stands for tokens outside of all names.

        Returns
        -------
        list of dict
            ``entity``, the class, ``score``, its probability, ``index``, the position of the token, ``word``, the token; and
            ``start`` and ``end``, so that ``text[start:end]`` is what the token stands for, None if the tokenizer does not
            say. With "simple" ``entity_group`` in place of entity and index, the mean score, and ``word``, the tokens' text.
            Of several texts the list of all that.

        Raises
        ------
        TypeError, ValueError
            If a text is longer than the model reads, or there is no such strategy.
        """
        if aggregation_strategy not in ("none", "simple"):
            facts = f"aggregation_strategy is {aggregation_strategy!r:.80}, expected 'none' or 'simple'"
            raise ValueError(f"TokenClassification: {facts}")

        def answer(text):
            tags = self.uses.tags(text)
            if aggregation_strategy == "simple":
                return [group for group in map(self._group, _groups(tags)) if group["entity_group"] not in ignore_labels]
            keys = ("entity", "score", "index", "word", "start", "end")
            return [{key: getattr(tag, key) for key in keys} for tag in tags if tag.entity not in ignore_labels]

        return self._each(inputs, lambda texts: [answer(text) for text in texts])

    def _group(self, tags):
        """Return the answer that neighbours of one class are together."""
        entity, tokenizer = _without_prefix(tags[0].entity), self.uses.tokenizer
        word = tokenizer.decode([tag.token for tag in tags], special=True)
        for tag in tags:
            if tag.token == tokenizer.unk_id:  # in place of its name what the text has there
                word = word.replace(tokenizer.names[tag.token], tag.word, 1)
        score = float(np.mean([tag.score for tag in tags]))
        return {"entity_group": entity, "score": score, "word": word, "start": tags[0].start, "end": tags[-1].end}


def _without_prefix(entity):
    return entity[2:] if entity[:2] in ("B-", "I-") else entity


def _groups(tags):
    """Return lists of neighbours of one class."""
    groups = []
    for tag in tags:
        if groups and not tag.entity.startswith("B-") and _without_prefix(groups[-1][-1].entity) == _without_prefix(tag.entity):
            groups[-1].append(tag)
        else:
            groups.append([tag])
    return groups
