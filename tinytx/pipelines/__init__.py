"""Uses of a trained model: a text or a picture in, an answer out, one file for each use.

A pipeline holds a model and its tokenizers: `load_run` makes it of a folder, and its class of any model of yours that is
called in the same way. `pipeline` gives all of them the shape that users of Hugging Face's ``transformers`` know.
"""

from tinytx.pipelines.answering import Answerer
from tinytx.pipelines.classify import Classifier
from tinytx.pipelines.explain import explain
from tinytx.pipelines.fill import Filler
from tinytx.pipelines.images import ImageClassifier, Preparation
from tinytx.pipelines.load import load_run
from tinytx.pipelines.pipeline import pipeline
from tinytx.pipelines.tag import Tagger
from tinytx.pipelines.translate import Translator
from tinytx.pipelines.words import Words
from tinytx.pipelines.write import Writer

__all__ = [
    "Answerer",
    "Classifier",
    "Filler",
    "ImageClassifier",
    "Preparation",
    "Tagger",
    "Translator",
    "Words",
    "Writer",
    "explain",
    "load_run",
    "pipeline",
]
