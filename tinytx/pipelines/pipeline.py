"""``pipeline(task, model=folder)``: trained models in the shape that users of Hugging Face's ``transformers`` know.

===========================  ==================================  ===============================================
task                         model                               each answer
===========================  ==================================  ===============================================
text-generation              `tinytx.tasks.NextToken`            [{generated_text}, ...]
fill-mask                    `HiddenWords` or `PermutedWords`    [{score, token, token_str, sequence}, ...]
text-classification          `tinytx.tasks.TextClasses`          {label, score}
token-classification         `tinytx.tasks.Tags`                 [{entity, score, index, word, start, end}, ...]
question-answering           `tinytx.tasks.Spans`                {score, start, end, answer}
image-classification         `tinytx.tasks.ImageClasses`         [{label, score}, ...]
translation, summarization   `tinytx.tasks.SequenceToSequence`   {translation_text}, {summary_text}
===========================  ==================================  ===============================================

A pipeline takes a text (or a picture) and returns its answer, or a list of them and returns the list of their answers. (One
exception is an old one: for a single text, text-classification returns a list with its answer.)

Generated texts show no special tokens. One thing differs from transformers: the name of a special token in a text is
text, but for ``[MASK]`` or ``<mask>`` in fill-mask.
"""

from tinytx.pipelines.answering import QuestionAnswering
from tinytx.pipelines.classification import FillMask, TextClassification, TokenClassification
from tinytx.pipelines.generation import Summarization, TextGeneration, Translation
from tinytx.pipelines.images import ImageClassification
from tinytx.pipelines.load import load_run

PIPELINES = {
    "text-generation": TextGeneration,
    "fill-mask": FillMask,
    "text-classification": TextClassification,
    "token-classification": TokenClassification,
    "question-answering": QuestionAnswering,
    "image-classification": ImageClassification,
    "translation": Translation,
    "summarization": Summarization,
}


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
    Pipeline
        A function of texts: its class, `TextGeneration` and so on, says what else it takes.

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
