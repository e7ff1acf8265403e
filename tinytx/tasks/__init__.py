"""Tasks: a body turns ids or images into vectors; a task adds a head to it, a loss with its count, and measures."""

from tinytx.tasks.aligned_sequence_to_sequence import AlignedSequenceToSequence
from tinytx.tasks.bits import Bits
from tinytx.tasks.cooccurrences import Cooccurrences
from tinytx.tasks.hidden_words import HiddenWords
from tinytx.tasks.image_classes import ImageClasses
from tinytx.tasks.motion import Motion
from tinytx.tasks.nearby_words import NearbyWords
from tinytx.tasks.next_and_previous import NextAndPrevious
from tinytx.tasks.next_token import NextToken
from tinytx.tasks.permuted_words import PermutedWords
from tinytx.tasks.pointers import Pointers
from tinytx.tasks.sequence_to_sequence import SequenceToSequence
from tinytx.tasks.spans import Spans
from tinytx.tasks.tags import Tags
from tinytx.tasks.task import Task
from tinytx.tasks.text_classes import TextClasses
from tinytx.tasks.text_classes_next_token import TextClassesNextToken
from tinytx.tasks.unified_words import UnifiedWords

TASKS = {  # name in a checkpoint -> task
    "aligned_sequence_to_sequence": AlignedSequenceToSequence,
    "bits": Bits,
    "cooccurrences": Cooccurrences,
    "hidden_words": HiddenWords,
    "image_classes": ImageClasses,
    "motion": Motion,
    "nearby_words": NearbyWords,
    "next_and_previous": NextAndPrevious,
    "next_token": NextToken,
    "permuted_words": PermutedWords,
    "pointers": Pointers,
    "sequence_to_sequence": SequenceToSequence,
    "spans": Spans,
    "tags": Tags,
    "text_classes": TextClasses,
    "text_classes_next_token": TextClassesNextToken,
    "unified_words": UnifiedWords,
}

__all__ = [
    "AlignedSequenceToSequence",
    "Bits",
    "Cooccurrences",
    "HiddenWords",
    "ImageClasses",
    "Motion",
    "NearbyWords",
    "NextAndPrevious",
    "NextToken",
    "PermutedWords",
    "Pointers",
    "SequenceToSequence",
    "Spans",
    "TASKS",
    "Tags",
    "Task",
    "TextClasses",
    "TextClassesNextToken",
    "UnifiedWords",
]
