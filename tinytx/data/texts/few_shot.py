"""Texts that can only be continued by learning from the text itself: examples of a rule that is new in each row.

A row is a list of examples, "cat 2 red 0 dog 2 pear 1": words, each with the label of its topic. Which label a topic has is
drawn anew for each row, so a label is known only where its topic has been before. With topics of one letter each this is
associative recall, "c 1 a 3 d 0 c 1". An example has two words, so how often a model is right can be counted by the number
of examples that it has read.
"""

from tinytx.arguments import check_whole

LETTERS = (("a",), ("b",), ("c",), ("d",))
TOPICS = (("cat", "dog"), ("red", "blue"), ("pear", "plum"), ("rain", "snow"))


def labelled_rows(rng, n_rows, n_examples, topics=TOPICS):
    """Return rows of words, each with the label that its row gives to the word's topic.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_rows, n_examples : int
    topics : sequence of sequences of str
        The words of each topic. There are as many labels, "0", "1", ...; several topics of a row may have one.

    Returns
    -------
    list of n_rows str
        Of 2 n_examples words.

    Examples
    --------
    >>> import numpy as np
    >>> labelled_rows(np.random.default_rng(0), 2, 4, LETTERS)
    ['a 3 d 1 c 2 d 1', 'c 0 c 0 d 0 c 0']
    """
    place = "labelled_rows"
    shape = check_whole(place, "n_rows", n_rows), check_whole(place, "n_examples", n_examples)
    labels = rng.integers(0, len(topics), (shape[0], len(topics)))
    chosen, words = rng.integers(0, len(topics), shape), rng.random(shape)

    def example(topic, share, row):
        return f"{topics[topic][int(share * len(topics[topic]))]} {row[topic]}"

    return [" ".join(map(example, *columns, [row] * shape[1])) for row, *columns in zip(labels, chosen, words)]


def words_of_rows(topics=TOPICS):
    """Return all words of such rows, those of the topics and the labels."""
    return [*(word for words in topics for word in words), *map(str, range(len(topics)))]
