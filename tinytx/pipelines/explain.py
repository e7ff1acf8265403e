"""One example on its way through a trained model, with every word, mask, state and weight, as a page of text.

What people ask of such models most: how is the decoder fed, what is shifted, which shape has the mask, what is the loss
of, what does a recurrent layer carry along, where does attention look, where does decoding start and where does it stop. The
page answers with the user's own example.
"""

from tinytx.pipelines.pages.both_ways import BothWays, explain_both_ways
from tinytx.pipelines.pages.copying import Copying, explain_copying
from tinytx.pipelines.pages.pairs import explain_pair
from tinytx.pipelines.pages.pointing import Pointing, explain_pointing
from tinytx.pipelines.pages.texts import explain_text
from tinytx.pipelines.texts import entry_for
from tinytx.pipelines.translate import Translator
from tinytx.pipelines.write import Writer

EXPLAINED = {  # pipeline -> function (pipeline, text, target, tokens) that returns its `Explanation`
    Translator: explain_pair,
    Writer: explain_text,
    BothWays: explain_both_ways,
    Pointing: explain_pointing,
    Copying: explain_copying,
}


def explain(trained, text, target=None, tokens=None):
    """Return the `tinytx.pipelines.pages.Explanation` of one text: its page, and what draws the attention.

    Parameters
    ----------
    trained : Translator, Writer, BothWays, Pointing or Copying
        What `tinytx.pipelines.load_run` returns with `EXPLAINED`.
    text : str
        What a Translator translates; what a Writer and a BothWays read; a Pointing's elements, such as ``0.7 0.2``; a
        Copying's bits, such as ``101 010``.
    target : str, optional
        The right translation, or the right order of a Pointing's elements, such as ``1 0``; without it, the model's own.
    tokens : int, optional
        Steps of decoding at most; if not given, as many as the model can before ``<stop>``, or 10 for a Writer.

    Raises
    ------
    TypeError
        If ``trained`` is something else.
    ValueError
        If a text is empty, unknown to the model or longer than it reads, ``tokens`` out of range, or an argument is given
        that the model has no use for.
    """
    return entry_for("explain", EXPLAINED, trained, text=text, target=target)(trained, text, target, tokens)
