"""``pipeline(task, model=folder)``: trained models in the shape that users of Hugging Face's ``transformers`` know.

===========================  ==================================  ===========================================
task                         model                               each answer
===========================  ==================================  ===========================================
text-generation              `tinytx.tasks.NextToken`            [{generated_text}, ...]
fill-mask                    `tinytx.tasks.HiddenWords`          [{score, token, token_str, sequence}, ...]
text-classification          `tinytx.tasks.TextClasses`          {label, score}
translation, summarization   `tinytx.tasks.SequenceToSequence`   {translation_text}, {summary_text}
===========================  ==================================  ===========================================

A pipeline takes a text and returns its answer, or a list of texts and returns the list of their answers. (One
exception is an old one: for a single text, text-classification returns a list with its answer.)

Generated texts show no special tokens. Two things differ from transformers: the name of a special token in a text is
text, but for ``[MASK]`` or ``<mask>`` in fill-mask; and ``length_penalty`` is the exponent of `tinytx.decoding.beam_search`, whose penalty is another one.
"""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_whole
from tinytx.decoding import beam_search, generate
from tinytx.pipelines.classify import Classifier
from tinytx.pipelines.fill import Filler
from tinytx.pipelines.load import load_run
from tinytx.pipelines.translate import Translator
from tinytx.pipelines.write import Writer


def pipeline(task, model, *, own=None):
    """Return a trained model as a function of texts.

    Parameters
    ----------
    task : str
        One of the table above.
    model : str, Path, or what `tinytx.pipelines.load_run` returns
        The folder of a run, or one of Hugging Face, with its tokenizer; or a `Writer`, `Filler`, ... of yours.
    own : dict, optional
        As for `tinytx.pipelines.load_run`.

    Returns
    -------
    TextGeneration, FillMask, TextClassification, Translation or Summarization

    Raises
    ------
    ValueError
        If there is no such task, the model is for another one, or there is no tokenizer that fits it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tinytx
    >>> from tinytx.data import CharTokenizer
    >>> from tinytx.models import GPT, GPTConfig
    >>> from tinytx.tasks import NextToken
    >>> from tinytx.training import save_checkpoint
    >>> body = GPT(GPTConfig(4, max_len=8, d_model=8, n_heads=1, n_layers=1), rng=np.random.default_rng(0))
    >>> with TemporaryDirectory() as folder:
    ...     path = save_checkpoint(folder, NextToken(body), tokenizer=CharTokenizer("abcd").to_dict())
    ...     write = tinytx.pipeline("text-generation", model=folder)
    >>> write("ab", max_new_tokens=0)
    [{'generated_text': 'ab'}]
    """
    kind = PIPELINES.get(task) if isinstance(task, str) else None
    if kind is None:
        raise ValueError(f"pipeline: task is {task!r:.80}, expected one of {', '.join(PIPELINES)}")
    return kind(model if isinstance(model, kind.use) else load_run(model, kind.use, own=own))


class Pipeline:
    """What all pipelines share: a trained model, and lists of texts in place of one.

    Attributes
    ----------
    uses : Writer, Filler, Translator or Classifier
        The model and its tokenizer.
    """

    use = None  # the class of ``uses``

    def __init__(self, uses):
        self.uses = uses

    def _each(self, inputs, answers):
        """Return the answer to a text, or the list of answers to several; ``answers`` takes a list and returns one."""
        several = isinstance(inputs, list | tuple)
        texts = list(inputs) if several else [inputs]
        for text in texts:
            parts = [text.get("text"), text.get("text_pair", "")] if isinstance(text, dict) else [text]
            if not all(isinstance(part, str) for part in parts):
                raise TypeError(f"{type(self).__name__}: {text!r:.80} is a {type(text).__name__}, expected a str or a list of str")
        said = answers(texts) if texts else []
        return said if several else said[0]

    def __repr__(self):
        return f"{type(self).__name__}({type(self.uses.model).__name__}, {self.uses[1]!r})"


class TextGeneration(Pipeline):
    """A language model continues texts."""

    use = Writer

    def __call__(self, text_inputs, *, max_new_tokens=256, num_return_sequences=1, do_sample=None, temperature=0.7,
                 top_k=50, top_p=None, num_beams=1, length_penalty=0.0, return_full_text=True, rng=None):  # fmt: skip
        """Continue a text, or several.

        Parameters
        ----------
        text_inputs : str, or list of str
        max_new_tokens : int
            Tokens that are written at most. A text ends earlier at the model's stop token.
        num_return_sequences : int
            Continuations of each text.
        do_sample : bool, optional
            Whether to draw tokens, and not to take the likeliest; by default True, but with several beams False.
        temperature, top_k, top_p, rng
            How tokens are drawn: `tinytx.decoding.generate`.
        num_beams : int
            More than 1: beam search.
        length_penalty : float
            Of a beam search: ``alpha`` of `tinytx.decoding.beam_search`.
        return_full_text : bool
            Whether the text that is continued stands before its continuation.

        Returns
        -------
        list of dict, with ``generated_text``; or a list of such lists

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range, or a text has no token, or one that the model does not know.
        """
        do_sample = num_beams == 1 if do_sample is None else do_sample
        n = _checked_search("TextGeneration", num_return_sequences, num_beams, do_sample)
        model, tokenizer, stop = self.uses.model, self.uses.tokenizer, self.uses.stop_id

        def answers(texts):
            prompts = [self.uses.encode(text, f"text {number}") for number, text in enumerate(texts, start=1)]
            if num_beams > 1:
                search = {"beam_size": num_beams, "alpha": length_penalty, "n_best": n, "stop": stop}
                rows = beam_search(model, prompts, max_new_tokens, **search).ids  # (B, n, T)
            else:
                drawn = {"temperature": temperature if do_sample else 0, "top_k": top_k, "top_p": top_p}
                prompts = [prompt for prompt in prompts for _ in range(n)]
                new = list(generate(model, prompts, max_new_tokens, **drawn, stop=stop, rng=rng or np.random.default_rng()))
                rows = np.array(new, np.int64).reshape(-1, len(texts), n).transpose(1, 2, 0)  # (T, B · n) -> (B, n, T)
            return [
                [{"generated_text": text * return_full_text + tokenizer.decode(row, special=False)} for row in some]
                for text, some in zip(texts, rows, strict=True)
            ]

        return self._each(text_inputs, answers)


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


class Translation(Pipeline):
    """An encoder-decoder translates texts."""

    use = Translator
    key = "translation_text"

    def __call__(self, inputs, *, max_new_tokens=None, num_return_sequences=1, num_beams=1, length_penalty=0.0):
        """Translate a text, or several.

        Parameters
        ----------
        inputs : str, or list of str
        max_new_tokens : int, optional
            Of a translation at most; the model's ``max_len`` if not given.
        num_return_sequences : int
            Translations of each text, at most ``num_beams``.
        num_beams : int
            1 takes the likeliest token each time; more are a beam search.
        length_penalty : float
            Of a beam search: ``alpha`` of `tinytx.decoding.beam_search`.

        Returns
        -------
        list of dict, with ``translation_text``
            Of a text all its translations; of several texts one each, or, with ``num_return_sequences``, a list each.

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range, or a text is longer than the model reads.
        """
        n = _checked_search(type(self).__name__, num_return_sequences, num_beams, False)
        beam = {"beam_size": num_beams, "alpha": length_penalty, "n_best": n} if num_beams > 1 else None

        def answers(texts):
            sources = [self.uses.encode(text, f"text {number}") for number, text in enumerate(texts, start=1)]
            said, tokenizer = self.uses.decode(sources, max_new_tokens, beam), self.uses.target_tokenizer
            return [[{self.key: tokenizer.decode(translation.ids, special=False)} for translation in some] for some in said]

        said = self._each(inputs, answers)
        return [some[0] for some in said] if n == 1 and isinstance(inputs, list | tuple) else said


class Summarization(Translation):
    """An encoder-decoder shortens texts: as `Translation`, whose ``translation_text`` is here ``summary_text``."""

    key = "summary_text"


def _checked_search(place, n, num_beams, do_sample):
    """Return how many answers each text has; raise ValueError if the search that is asked for cannot give so many."""
    check_whole(place, "num_beams", num_beams)
    check_whole(place, "num_return_sequences", n)
    if do_sample and num_beams > 1:
        raise ValueError(f"{place}: num_beams is {num_beams}, expected 1 with do_sample=True: beam search draws nothing")
    if not do_sample and n > num_beams:
        raise ValueError(f"{place}: num_return_sequences is {n}, expected at most num_beams, {num_beams}, where nothing is drawn")
    return n


PIPELINES = {
    "text-generation": TextGeneration,
    "fill-mask": FillMask,
    "text-classification": TextClassification,
    "translation": Translation,
    "summarization": Summarization,
}
