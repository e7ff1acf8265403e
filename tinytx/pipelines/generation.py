"""Texts that a model writes, in the shape of Hugging Face's pipelines: continuations, translations, summaries."""

import numpy as np

from tinytx.arguments import check_whole
from tinytx.decoding import beam_search, generate
from tinytx.pipelines.base import Pipeline
from tinytx.pipelines.translate import Translator
from tinytx.pipelines.write import Writer


class TextGeneration(Pipeline):
    """A language model continues texts."""

    use = Writer

    def __call__(self, text_inputs, *, max_new_tokens=256, num_return_sequences=1, do_sample=None, temperature=0.7,
                 top_k=50, top_p=None, num_beams=1, length_penalty=1.0, return_full_text=True, rng=None):  # fmt: skip
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
            Of a beam search: texts are ordered by their log-probability, divided by this power of their length.
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
                search = _beam(num_beams, length_penalty, n)
                rows = beam_search(model, prompts, max_new_tokens, stop=stop, **search).ids  # (B, n, T)
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


class Translation(Pipeline):
    """An encoder-decoder translates texts."""

    use = Translator
    key = "translation_text"

    def __call__(self, inputs, *, max_new_tokens=None, num_return_sequences=1, num_beams=1, length_penalty=1.0):
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
            Of a beam search: texts are ordered by their log-probability, divided by this power of their length.

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
        beam = _beam(num_beams, length_penalty, n) if num_beams > 1 else None

        def answers(texts):
            sources = [self.uses.encode(text, f"text {number}") for number, text in enumerate(texts, start=1)]
            said, tokenizer = self.uses.decode(sources, max_new_tokens, beam), self.uses.target_tokenizer
            return [[{self.key: tokenizer.decode(translation.ids, special=False)} for translation in some] for some in said]

        said = self._each(inputs, answers)
        return [some[0] for some in said] if n == 1 and isinstance(inputs, list | tuple) else said


class Summarization(Translation):
    """An encoder-decoder shortens texts: as `Translation`, whose ``translation_text`` is here ``summary_text``."""

    key = "summary_text"


def _beam(num_beams, length_penalty, n):
    """Return the settings of `tinytx.decoding.beam_search` with the length penalty of transformers."""
    return {"beam_size": num_beams, "alpha": length_penalty, "penalty": "length", "n_best": n}


def _checked_search(place, n, num_beams, do_sample):
    """Return how many answers each text has; raise ValueError if the search that is asked for cannot give so many."""
    check_whole(place, "num_beams", num_beams)
    check_whole(place, "num_return_sequences", n)
    if do_sample and num_beams > 1:
        raise ValueError(f"{place}: num_beams is {num_beams}, expected 1 with do_sample=True: beam search draws nothing")
    if not do_sample and n > num_beams:
        raise ValueError(f"{place}: num_return_sequences is {n}, expected at most num_beams, {num_beams}, where nothing is drawn")
    return n
