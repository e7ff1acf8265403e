"""word2vec's training (Mikolov et al. 2013, arXiv:1310.4546): examples of a text, and plain gradient descent, one by one.

A step of `tinytx.training.Trainer` makes the gradient of a whole table, V x D numbers, most of which are 0, and an optimiser
goes through all of them. Here a step reads and writes the rows of the words that it sees, and no others: see
`tinytx.ops.logistic_rows`, whose derivation it shares, and whose gradient it takes.
"""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.data.huffman import huffman
from tinytx.kernel import hash_row, kernel
from tinytx.ops.logistic_rows import NONE, descend
from tinytx.shapes import check_ids

CHUNK = 10_000  # words of a text between two learning rates, as in word2vec.c
NOISE = 1 << 18  # entries of the table that negatives are drawn from: so many, or 32 for each word
LEAST_RATE = 1e-4  # of the first learning rate, as in word2vec.c


@kernel
def _ask(rows, labels, word, noise, nodes, turns, key, number):
    """Fill in what is asked of one example: the nodes above its word, or the word and drawn ones that are not it."""
    if nodes.shape[0] > 0:
        for k in range(rows.shape[0]):
            rows[k], labels[k] = nodes[word, k], turns[word, k]
        return
    rows[0], labels[0] = word, 1
    for k in range(1, rows.shape[0]):
        bits = np.uint64(hash_row(key, np.uint64(number) * np.uint64(rows.shape[0]) + np.uint64(k)))
        drawn = noise[np.int64((bits * np.uint64(noise.shape[0])) >> np.uint64(32))]
        rows[k], labels[k] = (NONE if drawn == word else drawn), 0


@kernel
def _examples(made, contexts, rows, labels, ids, noise, nodes, turns, key, window):
    """Write the examples of a text, and their number into made[0]; contexts (N, 1) ask for skip-gram, wider ones for CBOW."""
    n, size = 0, ids.shape[0]
    for t in range(size):
        if ids[t] == NONE:
            continue
        reach = 1 + (np.int64(hash_row(key, np.uint64(t))) * window >> 32)  # 1 .. window, each as likely
        low = high = t
        while low > 0 and t - low < reach and ids[low - 1] != NONE:
            low -= 1
        while high + 1 < size and high - t < reach and ids[high + 1] != NONE:
            high += 1
        column = 0
        for s in range(low, high + 1):
            if s != t:
                contexts[n, column] = ids[s]
                column += 1
                if contexts.shape[1] == 1:
                    _ask(rows[n], labels[n], ids[t], noise, nodes, turns, key + np.uint64(1), n)
                    n, column = n + 1, 0
        if column > 0:
            contexts[n, column:] = NONE
            _ask(rows[n], labels[n], ids[t], noise, nodes, turns, key + np.uint64(1), n)
            n += 1
    made[0] = n


class WordExamples:
    """The examples that word2vec learns from: words of a text, and the words near them.

    Words that are frequent in the text are left out at random, each time anew, and the others close up: with f the share of a
    word in the text and t = ``sample``, it stays with probability min(1, sqrt(t/f) + t/f), as in word2vec.c (the paper has
    sqrt(t/f)). The window of a word is 1 to ``window`` words on each side, each as likely, and ends where its sentence ends.
    Negatives are drawn by count^0.75; one that is the word itself is left out.

    Parameters
    ----------
    ids : integers (n,)
        Words of a text; -1 stands between two sentences.
    vocab_size : int
        V.
    cbow : bool
        Whether a word is predicted from the mean of all words of its window (CBOW), and not from each of them (skip-gram).
    window, n_negatives : int
    tree : bool
        Whether the nodes of Huffman's tree are asked (hierarchical softmax), in place of negatives.
    sample : float
        t; 0 to leave no word out.
    chunk : int
        Words in a part of the text; windows end where a part ends.
    seed : int

    Raises
    ------
    TypeError, ValueError
        If an id is out of range, the text has no word, or a setting is.

    Examples
    --------
    >>> examples = WordExamples(np.array([0, 1, -1, 2]), 3, window=1, n_negatives=2, sample=0.0)
    >>> [(contexts.tolist(), rows[:, 0].tolist()) for contexts, rows, labels in examples.epoch(0)]
    [([[1], [0]], [0, 1])]
    """

    def __init__(self, ids, vocab_size, *, cbow=False, window=5, n_negatives=5, tree=False, sample=1e-3, chunk=CHUNK, seed=0):
        place = "WordExamples"
        self.ids = check_ids(place, ids, vocab_size, what="word", allowed=NONE).ravel()
        self.counts = np.bincount(self.ids[self.ids != NONE], minlength=vocab_size)
        self.n_words, self.window = int(self.counts.sum()), check_whole(place, "window", window, 1, 1000)
        if not self.n_words:
            raise ValueError(f"{place}: there is no word in ids of shape {np.shape(ids)}")
        self.sample = check_number(place, "sample", sample, "a finite number of at least 0", lambda t: 0 <= t < math.inf)
        self.cbow, self.tree, self.seed = bool(cbow), bool(tree), check_whole(place, "seed", seed, 0)
        self.width = 1 + check_whole(place, "n_negatives", n_negatives, 1, 1000)
        self.chunk = check_whole(place, "chunk", chunk)
        self._noise, self._nodes, self._turns = np.empty(0, np.int32), np.empty((0, 0), np.int64), np.empty((0, 0), np.int64)
        if tree:
            self._nodes, self._turns = huffman(self.counts)
            self.width = self._nodes.shape[1]
        else:
            shares, n = np.cumsum(self.counts**0.75), max(NOISE, 32 * vocab_size)
            places = (np.arange(n) + 0.5) / n
            self._noise = np.searchsorted(shares, places * shares[-1]).astype(np.int32)
        with np.errstate(divide="ignore", invalid="ignore"):  # counts may be 0
            ratio = self.sample * self.n_words / self.counts  # t / f
        self._kept = np.where(self.sample > 0, np.sqrt(ratio) + ratio, 1.0).astype(np.float32)

    def __len__(self):
        """The number of parts of the text."""
        return -(-len(self.ids) // self.chunk)

    def epoch(self, number, ids=None):
        """Yield (contexts, rows, labels) for each part of the text, in its order; they depend on seed and number.

        The arrays are used again for the next ones: copy what you keep.

        Parameters
        ----------
        number : int
        ids : integers (n,), optional
            Another text, which is asked as if its words were as frequent as in the first: to validate.
        """
        ids = self.ids if ids is None else check_ids("WordExamples", ids, len(self.counts), what="word", allowed=NONE).ravel()
        room = self._room()
        for start in range(0, len(ids), self.chunk):
            yield self._part(ids, number, start, *room)

    def batch(self, step):
        """Return (contexts, rows, labels) of the part after ``step`` others, epoch after epoch; they depend on seed and step.

        Parts in which no word has another one beside it are passed over.

        Raises
        ------
        ValueError
            If all are such parts.
        """
        for number in range(step, step + len(self)):
            epoch, part = divmod(number, len(self))
            examples = self._part(self.ids, epoch, part * self.chunk, *self._room())
            if len(examples[0]):
                return examples
        facts = f"no word has another one beside it in {self.n_words:,} words, of which sample={self.sample:g} leaves some out"
        raise ValueError(f"WordExamples: {facts}: give a longer text, or a larger sample")

    def _room(self):
        """Return arrays for the examples of a part: contexts, rows and labels."""
        n, columns = (self.chunk, 2 * self.window) if self.cbow else (2 * self.window * self.chunk, 1)
        return tuple(np.empty((n, size), np.int64) for size in (columns, self.width, self.width))

    def _part(self, ids, number, start, contexts, rows, labels):
        """Write the examples of the part that begins at ``start`` into arrays, and return what is filled of them."""
        rng, made = np.random.default_rng([self.seed, number, start]), np.zeros(1, np.int64)
        ids = ids[start : start + self.chunk]
        ids = ids[(ids == NONE) | (rng.random(len(ids), np.float32) < self._kept[ids])]
        key = rng.integers(2**63, dtype=np.uint64)
        _examples(made, contexts, rows, labels, ids, self._noise, self._nodes, self._turns, key, self.window)
        return contexts[: made[0]], rows[: made[0]], labels[: made[0]]


def descend_words(task, examples, *, epochs=5, rate=None, update=None):
    """Train word2vec in place by plain gradient descent, example after example; the rate falls linearly to almost 0.

    Parameters
    ----------
    task : NearbyWords
        Of a `tinytx.models.Word2Vec`, and with ``tree`` as the examples have it.
    examples : WordExamples
    epochs : int
    rate : float, optional
        The first learning rate: 0.025 for skip-gram and 0.05 for CBOW if not given, as in word2vec.c.
    update : function (str), optional
        Is called after each part of the text, with the share of the work that is done, in words.

    Raises
    ------
    TypeError, ValueError
        If the tables are smaller than the examples ask, or a setting is out of range.
    """
    place, (words, table) = "descend_words", (task.body.token.weight.data, task.output.data)
    epochs = check_whole(place, "epochs", epochs)
    rate = (0.05 if examples.cbow else 0.025) if rate is None else rate
    rate = check_number(place, "rate", rate, "a finite number of at least 0", lambda x: 0 <= x < math.inf)
    v = len(examples.counts)
    if len(words) < v or len(table) != max(1, len(words) - examples.tree):
        facts = f"the tables have {len(words)} and {len(table)} rows"
        raise ValueError(f"{place}: {facts}, expected at least {v} and {v - examples.tree}, as the examples have words")
    room = (*np.empty((2, words.shape[1]), words.dtype), np.empty(examples.width, words.dtype))  # h, dh, g of descend
    n_chunks = epochs * len(examples)
    chunk = 0
    for epoch in range(epochs):
        for contexts, rows, labels in examples.epoch(epoch):
            now = rate * max(LEAST_RATE, 1 - chunk / n_chunks)
            descend(words, table, contexts, rows, labels, words.dtype.type(now), *room)
            chunk += 1
            if update is not None:
                update(f"epoch {epoch + 1} of {epochs}, {chunk / n_chunks:.0%}")
