"""Texts that a model writes, in the shape of Hugging Face's pipelines: continuations, translations, summaries."""

import numpy as np

from tinytx.arguments import check_whole
from tinytx.decoding import beam_search, generate
from tinytx.pipelines.asked import beam_of, settled
from tinytx.pipelines.base import Pipeline
from tinytx.pipelines.translate import Translator
from tinytx.pipelines.write import Writer

DRAWN = {"max_new_tokens": 256, "do_sample": None, "temperature": 0.7, "top_k": 50, "top_p": 1.0}  # defaults


class TextGeneration(Pipeline):
    """A language model continues texts."""

    use = Writer

    def __call__(self, text_inputs, *, num_return_sequences=1, return_full_text=True, rng=None, **settings):
        """Continue a text, or several.

        Parameters
        ----------
        text_inputs : str, or list of str
        num_return_sequences : int
            Continuations of each text.
        return_full_text : bool
            Whether the text that is continued stands before its continuation.
        rng : numpy.random.Generator, optional
            Draws tokens.
        **settings
            Of transformers' ``generate``. What is not asked, or None, is what the model's folder says, or else:

            max_new_tokens=256
                Tokens that are written at most. A text ends earlier at the model's stop token, or at ``eos_token_id``.
            do_sample
                Whether to draw tokens, and not to take the likeliest: True, but with several beams False.
            temperature=0.7, top_k=50, top_p=1.0
                How tokens are drawn: `tinytx.decoding.generate`. A ``top_k`` of 0 keeps all.
            num_beams=1, length_penalty=1.0, early_stopping=False
                Several beams: `tinytx.decoding.beam_search`, with the log-probability divided by that power of the length.
            repetition_penalty, no_repeat_ngram_size, bad_words_ids, min_length, min_new_tokens, forced_bos_token_id,
            forced_eos_token_id, renormalize_logits
                Rules, none by default: `tinytx.decoding.rules`.

        Returns
        -------
        list of dict, with ``generated_text``; or a list of such lists

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range, or a text has no token, or one that the model does not know.
        """
        settings = settled("TextGeneration", self.uses.model, DRAWN, settings)
        num_beams, do_sample = settings["num_beams"], settings["do_sample"]
        do_sample = num_beams == 1 if do_sample is None else do_sample
        n = _checked_search("TextGeneration", num_return_sequences, num_beams, do_sample)
        model, tokenizer, n_tokens = self.uses.model, self.uses.tokenizer, settings["max_new_tokens"]
        stop = self.uses.stop_id if settings["eos_token_id"] is None else settings["eos_token_id"]
        ending = {"stop": stop, "rules": settings["rules"]}

        def answers(texts):
            prompts = [self.uses.encode(text, f"text {number}") for number, text in enumerate(texts, start=1)]
            if num_beams > 1:
                rows = beam_search(model, prompts, n_tokens, **ending, **beam_of(settings, n)).ids  # (B, n, T)
            else:
                drawn = {"temperature": settings["temperature"] if do_sample else 0, "top_p": settings["top_p"]}
                drawn |= {"top_k": settings["top_k"] or None, "rng": rng or np.random.default_rng()}
                prompts = [prompt for prompt in prompts for _ in range(n)]
                new = list(generate(model, prompts, n_tokens, **drawn, **ending))
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

    def __call__(self, inputs, *, num_return_sequences=1, **settings):
        """Translate a text, or several.

        Parameters
        ----------
        inputs : str, or list of str
        num_return_sequences : int
            Translations of each text, at most ``num_beams``.
        **settings
            Of transformers' ``generate``. What is not asked, or None, is what the model's folder says, or else:

            max_new_tokens
                Of a translation at most: one less than the folder's ``max_length``, or the model's ``max_len``.
            num_beams=1, length_penalty=1.0, early_stopping=False
                Several beams: `tinytx.decoding.beam_search`, with the log-probability divided by that power of the length.
                1 takes the likeliest token each time.
            eos_token_id, and the rules of `TextGeneration`

        Returns
        -------
        list of dict, with ``translation_text``
            Of a text all its translations; of several texts one each, or, with ``num_return_sequences``, a list each.

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range, or a text is longer than the model reads.
        """
        model = self.uses.model
        settings = settled(type(self).__name__, model, {"max_new_tokens": None, "max_length": None}, settings)
        n = _checked_search(type(self).__name__, num_return_sequences, settings["num_beams"], False)
        n_tokens = settings["max_new_tokens"]
        if n_tokens is None and settings["max_length"] is not None:  # which counts ``start_id``
            n_tokens = min(check_whole(type(self).__name__, "max_length", settings["max_length"], 2) - 1, model.config.max_len)
        beam = beam_of(settings, n) if settings["num_beams"] > 1 else None

        def answers(texts):
            sources = [self.uses.encode(text, f"text {number}") for number, text in enumerate(texts, start=1)]
            said = self.uses.decode(sources, n_tokens, beam, stop=settings["eos_token_id"], rules=settings["rules"])
            tokenizer = self.uses.target_tokenizer
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
