"""Fixtures: the command line, called in this process; and small runs that several tests look at."""

import contextlib
import functools
import io
import itertools
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tinytx.cli import main
from tinytx.data import tagged_sentences

TINY = (
    "--d-model 16 --n-heads 2 --n-layers 1 --max-len 8 --batch-size 4 --dropout 0.1 --lr 1e-2 --warmup 3 --threads 2 "
    "--eval-every 7 --log-every 5 --eval-batches 1 --decay-steps 40"
)
TINY_TRANSFORMER = (
    "--tokenizer word --min-count 1 --no-shared-vocabulary --d-model 16 --n-heads 2 --n-encoder-layers 1 "
    "--n-decoder-layers 1 --d-ff 32 --max-len 9 --max-tokens 60 --dropout 0.1 --label-smoothing 0 --lr 1e-2 --warmup 3 "
    "--threads 2 --eval-every 7 --log-every 5 --eval-batches 1 --report-pairs 9 --decay-steps 40"
)
TINY_RECURRENT = TINY_TRANSFORMER.replace("--n-heads 2 --n-encoder-layers 1 --n-decoder-layers 1 --d-ff 32", "--d-embedding 8")
TINY_BERT = (
    "--d-model 16 --n-heads 2 --n-layers 1 --max-len 8 --batch-size 4 --lr 1e-2 --warmup 3 --threads 2 --eval-every 7 "
    "--log-every 5 --eval-batches 1 --decay-steps 40"
)
TINY_RNN = (
    "--d-embedding 4 --d-model 8 --length 8 --batch-size 3 --dropout 0.1 --warmup 3 --threads 2 --eval-every 7 --log-every 5 "
    "--eval-batches 1 --decay-steps 40"
)
TINY_UNIT = TINY_RNN + " --n-reviews 60"
TINY_NPLM = TINY_RNN.replace("--d-model 8", "--d-hidden 8 --min-count 1")
TINY_WORDS = "--d-model 8 --batch-size 60 --warmup 3 --eval-every 7 --log-every 5 --eval-batches 1 --decay-steps 40"
TINY_POINTER = (
    "--d-model 8 --shortest 2 --longest 3 --batch-size 4 --lr 1e-2 --warmup 3 --threads 2 --eval-every 7 --log-every 5 "
    "--eval-batches 1 --decay-steps 40"
)
TINY_GATR = (
    "--n-channels 2 --n-heads 1 --n-layers 1 --n-systems 20 --n-planets 2 --batch-size 4 --lr 1e-2 --warmup 3 --threads 2 "
    "--eval-every 7 --log-every 5 --eval-batches 1 --decay-steps 40"
)
TINY_NTM = TINY_POINTER.replace("--d-model 8 --shortest 2", "--d-controller 8 --n-rows 5 --d-row 4 --n-bits 3")
TINY_REFORMER = TINY_POINTER.replace("--shortest 2 --longest 3", "--length 7 --chunk 4 --n-buckets 4")
TINY_ALIGNED = (
    "--d-model 16 --n-heads 2 --n-encoder-layers 1 --n-decoder-layers 1 --d-ff 32 --n-words 12 --shortest 2 --longest 4 "
    "--batch-size 4 --dropout 0.1 --lr 1e-2 --warmup 3 --threads 2 --eval-every 7 --log-every 5 --eval-batches 1 --decay-steps 40"
)
TINY_NOISED = (
    "--d-model 16 --n-heads 2 --n-encoder-layers 1 --n-decoder-layers 1 --d-ff 32 --max-len 20 --row-len 19 --min-count 1 "
    "--batch-size 4 --dropout 0.1 --lr 1e-2 --warmup 3 --threads 2 --eval-every 7 --log-every 5 --eval-batches 1 "
    "--report-rows 4 --decay-steps 40"
)
TINY_UNILM = TINY_TRANSFORMER.replace("--n-encoder-layers 1 --n-decoder-layers 1", "--n-layers 1").replace(
    "--label-smoothing 0 ", ""
).replace("--no-shared", "--shared")
TINY_VIT = "--d-model 16 --n-heads 2 --n-layers 1 " + TINY_BERT.partition("--max-len 8 ")[2]
TINY_AWD = TINY_NPLM.replace("--d-embedding 4", "--d-model 6") + " --weight-drop 0.1 --alpha 1"
TINY_XL = (
    "--d-model 8 --n-heads 2 --n-layers 2 --segment 8 --memory 6 --batch-size 3 --dropout 0.1 --warmup 3 --threads 2 "
    "--eval-every 7 --log-every 5 --eval-batches 1 --decay-steps 40"
)
TINY_ULMFIT = (
    "--d-model 6 --d-hidden 8 --max-len 8 --batch-size 4 --labelled 12 --dropout 0.1 --threads 2 --eval-every 7 --log-every 5 "
    "--eval-batches 1 --decay-steps 40 --general-steps 5 --text-steps 5 --thaw-every 2"
)
RUNS = {  # recipe -> the flags of its data, the fixture that is its file, flags of a model whose step takes milliseconds
    "gpt": ("--data", "book", TINY),
    "gpt_modern": ("--data", "book", TINY.replace("--n-heads 2", "--n-heads 2 --n-kv-heads 1 --d-ff 24")),
    "mixtral": ("--data", "book", TINY.replace("--n-heads 2", "--n-heads 2 --n-kv-heads 1 --d-ff 12 --n-experts 3")),
    "few_shot": ("", "book", TINY.replace("--max-len 8", "--n-examples 3")),
    "char_rnn": ("--data", "book", TINY_RNN + " --locked --weight-drop 0.1"),
    "awd_lstm": ("--data", "book", TINY_AWD),
    "ulmfit": ("--general --positive --negative", "tales", TINY_ULMFIT),
    "sentiment_unit": ("", "book", TINY_UNIT),
    "word2vec": ("--data", "calendar", TINY_WORDS),
    "glove": ("--data", "calendar", TINY_WORDS.replace("--decay-steps 40", "")),
    "transformer_xl": ("--data", "book", TINY_XL),
    "xlnet": ("--data", "book", TINY_XL.replace("--memory 6 ", "--one-in 2 ")),
    "nplm": ("--data", "book", TINY_NPLM),
    "recurrent_seq2seq": ("--pairs", "pairs_file", TINY_RECURRENT),
    "pointer": ("", "book", TINY_POINTER),
    "gatr": ("", "book", TINY_GATR),
    "ntm": ("", "book", TINY_NTM),
    "reformer": ("", "book", TINY_REFORMER),
    "alignment": ("", "book", TINY_ALIGNED),
    "transformer": ("--pairs", "pairs_file", TINY_TRANSFORMER),
    "t5": ("--pairs", "pairs_file", TINY_TRANSFORMER.replace("--no-shared", "--d-key 8 --shared")),
    "t5_tasks": ("--pairs", "prefixed_file", TINY_TRANSFORMER.replace("--no-shared", "--d-key 8 --shared")),
    "bart": ("--data", "tales", TINY_NOISED),
    "unilm": ("--pairs", "pairs_file", TINY_UNILM),
    "t5_text": ("--data", "tales", TINY_NOISED + " --d-key 8"),
    "pairs": ("--pairs", "pairs_file", TINY_TRANSFORMER),
    "bert": ("--data", "tales", TINY_BERT),
    "linformer": ("--data", "tales", TINY_BERT + " --n-sums 3"),
    "longformer": ("", "book", TINY_BERT.replace("--max-len 8", "--distance 12 --nearest 2 --windows 2")),
    "bert_modern": ("--data", "tales", TINY_BERT + " --window 2"),
    "tutorial": ("--data", "tales", TINY_BERT.replace("--decay-steps 40", "")),
    "digits": ("--images --test", "pictures", TINY_VIT),
    "simple_digits": ("--images --test", "pictures", TINY_VIT),
    "reviews": ("--positive --negative", "tales", TINY_BERT),
    "elmo": ("--tagged", "tagged_file", TINY_BERT.replace("--n-heads 2 ", "").replace("--max-len 8", "--probe-steps 9")),
    "tags": ("--tagged", "tagged_file", TINY_BERT.replace("--max-len 8", "--max-len 12")),
    "albert": ("--data", "tales", TINY_BERT.replace("--max-len 8", "--d-embedding 8 --max-len 16 --vocab-size 60")),
    "roberta": ("--data", "tales", TINY_BERT.replace("--max-len 8", "--max-len 24 --vocab-size 280")),
    "wordpieces": ("--data", "tales", TINY_BERT.replace("--max-len 8", "--max-len 16 --vocab-size 60")),
}
NUMBERS = {"one": "un", "two": "deux", "three": "trois", "four": "quatre", "five": "cinq"}


class Result(NamedTuple):
    code: int
    out: str
    err: str


def call(*argv):
    """Run a command: text is cut at its blanks, as a shell would; lists, paths and numbers are taken as they are."""
    words = []
    for part in argv:
        words += part.split() if isinstance(part, str) else part if isinstance(part, list) else [str(part)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as exit:
            code = exit.code
    return Result(code, out.getvalue(), err.getvalue())


def run_with_pictures(*argv):
    """Run a command of the session's, whatever the test that asks for it first has hidden (`no_pictures`)."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("matplotlib", "matplotlib.figure"):
            if name in sys.modules and sys.modules[name] is None:
                patch.delitem(sys.modules, name)
        return call(*argv)


@pytest.fixture(scope="session")
def tinytx():
    """Run a command: ``tinytx("sample", folder, "--tokens 3")`` returns its exit code and what it printed."""
    return call


@pytest.fixture(scope="session")
def tiny():
    """Flags of a model so small that a step takes a millisecond."""
    return TINY


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """A text file with some regularity to learn."""
    path = tmp_path_factory.mktemp("data") / "book.txt"
    path.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(100)))
    return path


@pytest.fixture(scope="session")
def flags_of(request):
    """flags_of(name): what a tiny run of a recipe is called with, but for its steps and its folder."""

    def flags(name):
        flags, file, sizes = RUNS[name]
        path = str(request.getfixturevalue(file))
        return ["train", name, *(word for flag in flags.split() for word in (flag, path)), *sizes.split()]

    return flags


@pytest.fixture(scope="session")
def trained(tmp_path_factory, flags_of):
    """trained(name): a tiny run of 20 steps by a recipe, its folder and what it printed. Read only."""

    @functools.cache
    def run(name):
        folder = tmp_path_factory.mktemp(name) / "run"
        return folder, run_with_pictures(flags_of(name), "--steps 20 --out", folder)

    return run


@pytest.fixture(scope="session")
def finished(trained):
    """A GPT's run of 20 steps: its folder, and what it printed. Read only."""
    return trained("gpt")


@pytest.fixture(scope="session")
def tiny_transformer():
    """Flags of a Transformer so small that a step takes a few milliseconds."""
    return TINY_TRANSFORMER


@pytest.fixture(scope="session")
def numbers():
    """Pairs to translate word by word: 150 different sources, and as many targets."""
    sentences = [words for n in (1, 2, 3, 4) for words in itertools.product(NUMBERS, repeat=n)][:150]
    return [(" ".join(words), " ".join(NUMBERS[word] for word in words)) for words in sentences]


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory, numbers):
    """The pairs in a file, tab-separated."""
    path = tmp_path_factory.mktemp("pairs") / "numbers.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in numbers))
    return path


@pytest.fixture(scope="session")
def prefixed_file(tmp_path_factory, numbers):
    """Two tasks in a file, told apart by a prefix: the pairs, and their sources the other way round."""
    path = tmp_path_factory.mktemp("pairs") / "tasks.tsv"
    lines = [f"french: {source}\t{target}\nback: {source}\t{' '.join(source.split()[::-1])}\n" for source, target in numbers]
    path.write_text("".join(lines))
    return path


@pytest.fixture(scope="session")
def translator(trained):
    """A Transformer's run of 20 steps: its folder, and what it printed. Read only."""
    return trained("transformer")


@pytest.fixture(scope="session")
def tiny_bert():
    """Flags of a BERT so small that a step takes a few milliseconds."""
    return TINY_BERT


@pytest.fixture(scope="session")
def tales(tmp_path_factory):
    """A text file of 100 sentences, one on each line, in 25 documents."""
    animals, verbs = ("cat", "dog", "bird", "fish", "horse"), ("sees", "hears", "likes", "fears")
    lines = [f"The {a} {v} the {b}." for a in animals for b in animals for v in verbs]
    path = tmp_path_factory.mktemp("tales") / "tales.txt"
    path.write_text("\n\n".join("\n".join(lines[i : i + 4]) for i in range(0, 100, 4)) + "\n")
    return path


@pytest.fixture(scope="session")
def calendar(tmp_path_factory):
    """A text file of 196 sentences with a month and a number, each a paragraph."""
    path = tmp_path_factory.mktemp("calendar") / "calendar.txt"
    months, numbers = ("January February March April May June July".split(), "two three four five six seven eight".split())
    seen = itertools.product(months, numbers, ("birds", "mice", "foxes", "frogs"))
    path.write_text("\n\n".join(f"In {month} we saw {number} {things}." for month, number, things in [*seen][::-1]))
    return path


@pytest.fixture(scope="session")
def tagged_file(tmp_path_factory):
    """A file of 60 generated sentences, a word and its tag on each line."""
    path = tmp_path_factory.mktemp("tagged") / "tagged.tsv"
    path.write_text("\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in tagged_sentences(60)))
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A file of 40 images of 4 x 4 pixels in three classes."""
    path, rng = tmp_path_factory.mktemp("pictures") / "pictures.csv", np.random.default_rng(0)
    labels = np.arange(40) % 3
    np.savetxt(path, np.column_stack([rng.integers(0, 12, (40, 16)) + labels[:, None], labels]), fmt="%d", delimiter=",")
    return path


@pytest.fixture(scope="session")
def filler(trained):
    """A BERT's run of 20 steps: its folder, and what it printed. Read only."""
    return trained("bert")


@pytest.fixture
def no_pictures(monkeypatch):
    """Matplotlib is missing: a run then ends faster."""
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def refused(tinytx, tmp_path, monkeypatch):
    """Run a command that must fail, and return its message: exit code 2, one line on stderr, and nothing else done."""
    monkeypatch.chdir(tmp_path)

    def call_and_check(*argv):
        result = tinytx(*argv)
        assert (result.code, result.out) == (2, "")
        (line,) = result.err.splitlines()
        assert line.startswith("tinytx: ")
        assert not list(tmp_path.iterdir())
        return line

    return call_and_check


@pytest.fixture
def letters(tmp_path, book, monkeypatch):
    """A folder, the current one, with letters.py as README has it, and book.txt."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)
    (source,) = [text for text in blocks if "RECIPE = " in text]
    (tmp_path / "letters.py").write_text(source)
    (tmp_path / "book.txt").write_text(book.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path
