"""word2vec by negative sampling, and GloVe: words of a text per second and thread, against gensim where it can be imported.

    pip install gensim
    python benchmarks/word2vec.py --data wikitext2.valid.txt --json word2vec.json

Without gensim it says so, and compares with a loop of PyTorch's sparse tables, EmbeddingBag and Embedding with
``sparse=True``, which learns from our examples, 256 at a time: we are 18 times as fast in skip-gram, and 11 times in CBOW.
Every side has the same text, width, window, number of negatives, subsampling and falling rate. Each is a process of its own
with one thread, and they take turns (turns.py). After an epoch each side's tables are judged by the loss of the same
examples; random numbers differ, so the losses do too, and gensim's CBOW takes longer steps: it gives each word of a mean
the whole gradient. GloVe has no rival here; its pairs are counted once, before.

Measured on two nearly idle processors, words per second of ours, and ours / gensim 4.4: skip-gram 283,000 and 1.83, CBOW
591,000 and 1.51; GloVe 326,000 (three runs: 281,000 to 404,000).
"""

import importlib.util
import time

import numpy as np
import turns

WIDTH, WINDOW, NEGATIVES, MIN_COUNT, SAMPLE = 100, 5, 5, 5, 1e-3  # word2vec.c's
RATE = {"skip-gram": 0.025, "CBOW": 0.05}
BATCH = 256  # examples of a step in PyTorch


def read_sentences(path, most):
    """Return the lines of a text, or of the built-in one, as lists of frequent words; ``most`` words at most."""
    from tinytx.data import WordTokenizer, builtin_corpus, read_text
    from tinytx.data.tokenizers.words import words_of

    text = (read_text(path) if path else builtin_corpus()).lower()
    known = set(WordTokenizer.from_texts([text], min_count=MIN_COUNT, special=()).words)
    sentences, n = [], 0
    for line in text.split("\n"):
        words = [word for word in words_of(line) if word in known][: most - n]
        sentences += [words] * bool(words)
        n += len(words)
    return sentences


class Ours:
    """The library's side, which also judges the tables of the others."""

    def __init__(self, sentences, kind):
        from tinytx.models import Word2Vec, Word2VecConfig
        from tinytx.tasks import NearbyWords
        from tinytx.training import WordExamples

        self.words = sorted({word for sentence in sentences for word in sentence})
        number = {word: i for i, word in enumerate(self.words)}
        ids = np.array([i for sentence in sentences for i in [*map(number.get, sentence), -1]])
        self.kind, options = kind, {"cbow": kind == "CBOW", "window": WINDOW, "n_negatives": NEGATIVES, "sample": SAMPLE}
        self.examples = WordExamples(ids, len(self.words), **options)
        self.task = NearbyWords(Word2Vec(Word2VecConfig(len(self.words), WIDTH), rng=np.random.default_rng(0)))
        self._judged = [part.copy() for part in next(self.examples.epoch(99))]

    def learn(self, epochs):
        """Train, the rate falling over these epochs."""
        from tinytx.training import descend_words

        descend_words(self.task, self.examples, epochs=epochs, rate=RATE[self.kind])

    def tables(self):
        """Return the words' vectors and the second table."""
        return self.task.body.token.weight.data, self.task.output.data

    def loss(self, vectors, output):
        """Return the loss of the examples that judge all sides."""
        self.task.body.token.weight.data[...], self.task.output.data[...] = vectors, output
        return self.task.loss(*self._judged)


class Glove(Ours):
    """Our GloVe on the same text: an epoch goes through all pairs of words that stand near each other."""

    def __init__(self, sentences, kind):
        from tinytx.data import cooccurrences
        from tinytx.models import GloVe, GloVeConfig
        from tinytx.tasks import Cooccurrences

        super().__init__(sentences, "skip-gram")
        self.pairs = cooccurrences(self.examples.ids, len(self.words))
        self.task = Cooccurrences(GloVe(GloVeConfig(len(self.words), WIDTH), rng=np.random.default_rng(0)), x_max=10.0)

    def learn(self, epochs):
        from tinytx.training import descend_pairs

        descend_pairs(self.task, self.pairs, epochs=epochs)

    def tables(self):
        return self.pairs.words, self.pairs.contexts, self.pairs.counts.astype(np.float32)

    def loss(self, *pairs):
        return self.task.loss(*pairs)


class Gensim(Ours):
    """gensim.models.Word2Vec, compiled, in one thread."""

    def __init__(self, sentences, kind):
        from gensim.models import Word2Vec

        super().__init__(sentences, kind)
        self.sentences = sentences
        options = {"vector_size": WIDTH, "window": WINDOW, "negative": NEGATIVES, "min_count": 1, "sample": SAMPLE, "workers": 1}
        self.model = Word2Vec(sg=kind == "skip-gram", alpha=RATE[kind], **options)
        self.model.build_vocab(sentences)

    def learn(self, epochs):
        self.model.train(self.sentences, total_examples=len(self.sentences), epochs=epochs)

    def tables(self):
        order = [self.model.wv.key_to_index[word] for word in self.words]
        return self.model.wv.vectors[order], self.model.syn1neg[order]


class Torch(Ours):
    """Sparse tables in PyTorch: a step's gradient has the rows of its words only."""

    def __init__(self, sentences, kind):
        import torch

        super().__init__(sentences, kind)
        torch.set_num_threads(1)
        vectors, output = (torch.tensor(table) for table in self.tables())
        padded = torch.cat([vectors, torch.zeros(1, WIDTH)])  # the last row stands for no word
        self.bag = torch.nn.EmbeddingBag.from_pretrained(padded, freeze=False, mode="mean", sparse=True, padding_idx=len(vectors))
        self.output = torch.nn.Embedding.from_pretrained(output, freeze=False, sparse=True)
        self.optimizer = torch.optim.SGD([self.bag.weight, self.output.weight], lr=RATE[kind])

    def learn(self, epochs):
        import torch

        n_words, done = epochs * self.examples.n_words, 0
        for epoch in range(epochs):
            for chunk in self.examples.epoch(epoch):
                self.optimizer.param_groups[0]["lr"] = RATE[self.kind] * max(1e-4, 1 - done / n_words)
                done += min(10_000, n_words - done)
                for start in range(0, len(chunk[0]), BATCH):
                    contexts, rows, labels = (torch.from_numpy(part[start : start + BATCH]) for part in chunk)
                    h = self.bag(torch.where(contexts < 0, len(self.words), contexts))
                    asked = rows >= 0
                    scores = torch.einsum("nd,nkd->nk", h, self.output(rows.clamp(min=0)))[asked]
                    loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels[asked].float(), reduction="sum")
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()

    def tables(self):
        if not hasattr(self, "bag"):
            return super().tables()
        return self.bag.weight.detach().numpy()[:-1], self.output.weight.detach().numpy()


SIDES = {"ours": Ours, "GloVe": Glove, "gensim": Gensim, "torch": Torch}


def child(name, kind, sentences):
    """Answer a number of epochs with words per second, and the loss after them."""
    side = SIDES[name](sentences, kind)
    n_words = sum(map(len, sentences))
    side.learn(1)  # compiles

    def answer(epochs):
        began = time.perf_counter()
        side.learn(epochs)
        seconds = time.perf_counter() - began
        return {"words_per_second": epochs * n_words / seconds, "loss": side.loss(*side.tables())}

    turns.serve(answer)


def main():
    """Run both kinds, print the table, and write the JSON."""
    parser = turns.parser(__doc__, 3, quick="--words 4000 --turns 1 --kinds CBOW GloVe")
    parser.add_argument("--data", help="a text file (default: the built-in text)")
    parser.add_argument("--words", type=int, default=100_000, help="of the text at most (default 100,000)")
    parser.add_argument("--kinds", nargs="+", choices=[*RATE, "GloVe"], default=[*RATE, "GloVe"])
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.kinds[0], read_sentences(arguments.data, arguments.words))
    has_gensim = importlib.util.find_spec("gensim") is not None
    if not has_gensim:
        print("gensim is not installed (pip install gensim): the rival is a loop of PyTorch's sparse tables")
    rivals, figures = ["gensim"] if has_gensim else turns.rivals(["torch"], "torch"), {}
    env = turns.environment(arguments.keep_env) | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    turns.describe(1, ["ours", *rivals], env)
    for kind in arguments.kinds:
        sides = ["GloVe"] if kind == "GloVe" else ["ours", *rivals]
        options = ["--words", arguments.words, "--kinds", kind, *(["--data", arguments.data] if arguments.data else [])]
        with turns.running(__file__, sides, *options, env=env) as running:
            turns.take_turns(running.values(), arguments.turns, 1)
        row = figures[kind] = {name: side.median("words_per_second") for name, side in running.items()}
        row["loss"] = {name: side.turns[-1]["loss"] for name, side in running.items()}
        turns.check_losses(row["loss"], 0.2 if arguments.words > 50_000 else None)
        if len(sides) > 1:
            row["ratio"] = turns.ratio(running["ours"], running[sides[1]], "words_per_second")
        speeds = ", ".join(f"{name} {row[name]:,.0f} words/s (loss {row['loss'][name]:.3f})" for name in sides)
        ratio = f", ours / {sides[1]} {row['ratio']:.2f}" if len(sides) > 1 else ""
        print(f"{kind:>9}: {speeds}{ratio}", flush=True)
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
