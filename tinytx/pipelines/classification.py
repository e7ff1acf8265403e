"""What a model says about texts and their words, in the shape of Hugging Face's pipelines."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_choice, check_whole
from tinytx.pipelines.base import Pipeline
from tinytx.pipelines.classify import Classifier
from tinytx.pipelines.fill import Filler
from tinytx.pipelines.tag import Tagger


class FillMask(Pipeline):
    """A model that reads both sides says which words may be hidden."""

    use = Filler

    def __call__(self, inputs, *, top_k=5, targets=None):
        """Fill a text, or several, each with ``[MASK]`` or ``<mask>`` for one hidden word or more.

        Parameters
        ----------
        inputs : str, or list of str
        top_k : int
            Words for each hidden one.
        targets : str, or list of str, optional
            The only words to be judged, each a token of the vocabulary; probabilities stay those among all tokens.

        Returns
        -------
        list of dict
            The likeliest words, the likeliest first: ``score``, its probability; ``token``, its id; ``token_str``; and
            ``sequence``, the text with it. Of several hidden words a list of such lists, whose texts show special tokens.
            Of several texts the list of all that.

        Raises
        ------
        TypeError, ValueError
            If a text hides nothing, is longer than the model reads, top_k is out of range, or a target is no token.
        """
        tokenizer = self.uses.tokenizer
        among = None if targets is None else self._ids_of([targets] if isinstance(targets, str) else targets)

        def answer(text):
            ids = self.uses.encode(text)
            guesses = self.uses.likely(ids, top_k, among)
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

    def _ids_of(self, targets):
        """Return the id of each target, without repetition; raise ValueError if there is none, or one is no token."""
        names = self.uses.tokenizer.names
        unknown = [target for target in targets if target not in names]
        if unknown or not len(targets):
            wrong = f"{', '.join(map(repr, unknown))}, no token of the vocabulary" if unknown else "empty"
            raise ValueError(f"FillMask: targets is {wrong:.200}: name tokens as the tokenizer does, such as {names[-1]!r}")
        return sorted({names.index(target) for target in targets})


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
        several, ranked = isinstance(inputs, list | tuple), ranking("TextClassification", self.uses, function_to_apply)
        labels, n = self.uses.labels, 1 if top_k == "one" else top_k
        n = len(labels) if n is None else check_whole("TextClassification", "top_k", n, remedy=", or None for all classes")

        def answer(text):
            pair = (text["text"], text.get("text_pair")) if isinstance(text, dict) else (text,)
            best = ranked(self.uses.logits(*pair))[:n]
            return best[0] if top_k == "one" else best

        said = self._each(inputs, lambda texts: [answer(text) for text in texts])
        return said if several or top_k != "one" else [said]


FUNCTIONS = {"softmax": lambda x: ops.softmax(x)[0], "sigmoid": lambda x: (1 + np.tanh(x / 2)) / 2, "none": lambda x: x}


def ranking(place, uses, asked=None):
    """Return the function from a classifier's logits (n_classes,) to dict with ``label`` and ``score``, the likeliest first.

    Parameters
    ----------
    place : str
        For messages.
    uses : Classifier or ImageClassifier
    asked : str, optional
        Of `FUNCTIONS`. By default what config.json's "problem_type" says; else softmax, or sigmoid for a model of one class.

    Raises
    ------
    ValueError
        If there is no such function.
    """
    published = getattr(uses.model.body, "published", {})
    kinds = {"multi_label_classification": "sigmoid", "regression": "none", "single_label_classification": "softmax"}
    default = kinds.get(published.get("problem_type"), "softmax" if len(uses.labels) > 1 else "sigmoid")
    score = FUNCTIONS[check_choice(place, "function_to_apply", asked or default, FUNCTIONS)]

    def ranked(logits):
        scores = score(logits)
        return [{"label": uses.labels[i], "score": float(scores[i])} for i in np.argsort(-scores, kind="stable")]

    return ranked


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
            "I-X" goes on with it. "first", "max", "average": first all tokens of a word get one class, that of its first
            token, of its surest one, or of the mean of their probabilities; then neighbours are joined as by "simple".
            Words are those of a tokenizer.json; of other tokenizers each token is a word.
        ignore_labels : sequence of str
            Classes that are left out: "O" stands for tokens outside of all names.

        Returns
        -------
        list of dict
            ``entity``, the class, ``score``, its probability, ``index``, the position of the token, ``word``, the token; and
            ``start`` and ``end``, so that ``text[start:end]`` is what the token stands for, None if the tokenizer does not
            say. With another strategy ``entity_group`` in place of entity and index, the mean score, and ``word``, the
            tokens' text.
            Of several texts the list of all that.

        Raises
        ------
        TypeError, ValueError
            If a text is longer than the model reads, or there is no such strategy.
        """
        check_choice("TokenClassification", "aggregation_strategy", aggregation_strategy, ("none", "simple", *WORDS))

        def answer(text):
            tags = self.uses.tags(text)
            if aggregation_strategy == "none":
                keys = ("entity", "score", "index", "word", "start", "end")
                return [{key: getattr(tag, key) for key in keys} for tag in tags if tag.entity not in ignore_labels]
            if aggregation_strategy in WORDS:
                tags = [self._word(word, WORDS[aggregation_strategy]) for word in _together(tags, lambda _, tag: tag.inside)]
            groups = map(self._group, _together(tags, _of_one_class))
            return [group for group in groups if group["entity_group"] not in ignore_labels]

        return self._each(inputs, lambda texts: [answer(text) for text in texts])

    def _word(self, tags, choose):
        """Return the one `Tag` of a word's tokens."""
        p = choose(np.array([tag.p for tag in tags]))
        ids, best = [i for tag in tags for i in tag.ids], int(p.argmax())
        said = {"entity": self.uses.labels[best], "score": float(p[best]), "p": p}
        return tags[0]._replace(**said, word="".join(tag.word for tag in tags), end=tags[-1].end, ids=ids)

    def _group(self, tags):
        """Return the answer that neighbours of one class are together."""
        entity, tokenizer = _without_prefix(tags[0].entity), self.uses.tokenizer
        word = tokenizer.decode([i for tag in tags for i in tag.ids], special=True)
        for tag in tags:
            if tokenizer.unk_id in tag.ids:  # in place of its name what the text has there
                word = word.replace(tokenizer.names[tokenizer.unk_id], tag.word, 1)
        score = float(np.mean([tag.score for tag in tags]))
        return {"entity_group": entity, "score": score, "word": word, "start": tags[0].start, "end": tags[-1].end}


WORDS = {  # from the probabilities (n, n_classes) of a word's tokens to those of the word
    "first": lambda p: p[0],
    "max": lambda p: p[p.max(axis=-1).argmax()],
    "average": lambda p: p.mean(axis=0),
}


def _together(tags, go_on):
    """Return lists of neighbours; ``go_on(before, tag)`` says whether a tag belongs to the one before it."""
    groups = []
    for tag in tags:
        if groups and go_on(groups[-1][-1], tag):
            groups[-1].append(tag)
        else:
            groups.append([tag])
    return groups


def _without_prefix(entity):
    return entity[2:] if entity[:2] in ("B-", "I-") else entity


def _of_one_class(before, tag):
    return not tag.entity.startswith("B-") and _without_prefix(before.entity) == _without_prefix(tag.entity)
