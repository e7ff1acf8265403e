"""word2vec in its four forms, and GloVe: which words become neighbours, and how fast.

    python examples/word_vectors.py
    python examples/word_vectors.py --text wikitext2.valid.txt wikitext2.test.txt --questions questions-words.txt

Skip-gram and CBOW (Mikolov et al. 2013), each by negative sampling and by hierarchical softmax, and GloVe (Pennington et al.
2014) learn from one text. Their neighbours are judged by two groups of words that a reader would put together: of the 5
nearest words of each month and of each number, how many are months and numbers? With a file of questions (a line: "Athens Greece Oslo Norway") they are also asked for analogies; a text
of half a million words is too short to answer many. On 426,000 words, the two files above, and 382 questions about nations,
plurals, tenses, families and comparatives, of which chance answers 0.01 %:

                             months    numbers    analogies
    skip-gram, negatives     0.98      0.58       6.8 %
    skip-gram, tree          1.00      0.93       13.1 %
    CBOW, negatives          0.98      0.64       8.9 %
    CBOW, tree               1.00      0.82       13.4 %
    GloVe                    1.00       0.78

GloVe is judged by its first table: by the sum of both, which is published, it is worse on so short a text.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from tinytx.data import WordPairs, WordTokenizer, builtin_corpus, cooccurrences, read_text
from tinytx.data.tokenizers.words import words_of
from tinytx.models import GloVe, GloVeConfig, Word2Vec, Word2VecConfig
from tinytx.pipelines.embeddings import common
from tinytx.progress import progress
from tinytx.tasks import Cooccurrences, NearbyWords
from tinytx.training import WordExamples, descend_pairs, descend_words
from tinytx.vectors import analogies, nearest, purity, read_questions

GROUPS = {
    "months": "january february march april may june july august september october november december".split(),
    "numbers": "two three four five six seven eight nine ten".split(),
}
NEAREST = 5


def read_ids(texts, min_count):
    """Return (words, ids): the frequent words, the most frequent first, and the texts as numbers of words, -1 between lines."""
    lines = [words_of(line.replace("<unk>", " ")) for text in texts for line in text.lower().split("\n")]
    kept = WordTokenizer.from_texts([" ".join(words) for words in lines], min_count=min_count, special=()).words
    number = {word: i for i, word in enumerate(kept)}
    ids = [i for words in lines for i in [*(number[word] for word in words if word in number), -1]]
    return kept, np.array(ids)


def counted(words, ids, arguments):
    """Return (vectors, words of the text per second) of GloVe; its time includes that of counting."""
    began = time.perf_counter()
    pairs = cooccurrences(ids, len(words), window=10)
    seconds = time.perf_counter() - began
    body = GloVe(GloVeConfig(len(words), arguments.width), rng=np.random.default_rng(arguments.seed))
    task = Cooccurrences(body, x_max=10.0)
    descend_pairs(task, WordPairs(*(part[:9] for part in pairs)), epochs=1, rate=0.0)  # compiles
    bar = progress(arguments.epochs * -(-len(pairs.counts) // 100_000), unit="part")
    began = time.perf_counter()
    descend_pairs(task, pairs, epochs=arguments.epochs, seed=arguments.seed, update=bar.update)
    seconds += time.perf_counter() - began
    bar.close()
    return body.token.weight.data, arguments.epochs * np.sum(ids >= 0) / seconds


def learned(words, ids, cbow, tree, arguments):
    """Return (vectors, words of the text per second) of one form."""
    examples = WordExamples(ids, len(words), cbow=cbow, tree=tree, seed=arguments.seed)
    config = Word2VecConfig(len(words), arguments.width)
    task = NearbyWords.around(Word2Vec, config, rng=np.random.default_rng(arguments.seed), settings={"tree": tree})
    n_parts = arguments.epochs * -(-len(ids) // 10_000)
    descend_words(task, WordExamples(ids[:100], len(words), cbow=cbow, tree=tree), epochs=1, rate=0.0)  # compiles
    bar = progress(n_parts, unit="part")
    began = time.perf_counter()
    descend_words(task, examples, epochs=arguments.epochs, update=bar.update)
    seconds = time.perf_counter() - began
    bar.close()
    return task.body.token.weight.data, arguments.epochs * examples.n_words / seconds


FORMS = {  # name -> function, and its arguments after words and ids
    "skip-gram, negatives": (learned, False, False),
    "skip-gram, tree": (learned, False, True),
    "CBOW, negatives": (learned, True, False),
    "CBOW, tree": (learned, True, True),
    "GloVe": (counted,),
}


def main():
    """Train all forms, and print the table and neighbours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", nargs="+", metavar="FILE", help="UTF-8 text files; without, Python's own language reference")
    parser.add_argument("--questions", metavar="FILE", help="analogies: a file in the form of questions-words.txt")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--width", type=int, default=100, help="of the vectors (default: 100)")
    parser.add_argument("--min-count", type=int, default=5, help="times that a word must occur (default: 5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="1 epoch of narrow vectors: shows that it runs, and no more")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.epochs, arguments.width = 1, 8
    words, ids = read_ids([read_text(path) for path in arguments.text or ()] or [builtin_corpus()], arguments.min_count)
    questions = []
    if arguments.questions:
        questions = read_questions(Path(arguments.questions).read_text(encoding="utf-8").lower())
    print(f"{np.sum(ids >= 0):,} words, {len(words):,} distinct, {arguments.epochs} epochs")
    for name, (learn, *options) in FORMS.items():
        vectors, speed = learn(words, ids, *options, arguments)
        parts = [f"{speed:9,.0f} words/s"]
        for kind, group in GROUPS.items():
            share = purity(vectors, words, group, NEAREST)
            parts += [] if share is None else [f"{kind} {share:.2f}"]
        if questions:
            right, asked, left_out = analogies(vectors, words, questions)
            parts.append(f"analogies {right / max(1, asked):.1%} of {asked:,} ({left_out:,} left out; by chance {1 / (len(words) - 3):.2%})")
        print(f"{name:20}: {', '.join(parts)}", flush=True)
        if "tree" not in name:
            known = [word for group in GROUPS.values() for word in group[:1] if word in words]
            for word in [*known, *common(words)][:4]:
                print(f"    {word}: {', '.join(near for near, _ in nearest(vectors, words, word, NEAREST))}")


if __name__ == "__main__":
    main()
