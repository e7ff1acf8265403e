"""pipeline("token-classification") and pipeline("question-answering"): tokens with their places in a text."""

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from tinytx.data import BERT_SPECIAL, CharTokenizer, JsonTokenizer, WordPieceTokenizer, WordTokenizer
from tinytx.models import Bert, BertConfig
from tinytx.pipelines import Answerer, Tagger, pipeline
from tinytx.tasks import Spans, Tags
from tinytx.training import save_checkpoint

PIECES = WordPieceTokenizer(["the", "cat", "sat", "on", "a", "mat", "##s", ".", "?", "who"])
JSON = JsonTokenizer.from_json(PIECES.to_json())
LABELS = ["O", "B-CAT", "I-CAT", "MAT"]
TEXT = "The cats sat on a MAT."


def rng():
    return np.random.default_rng(0)


class Fixed:
    """A model that says the same logits for an id wherever it stands, so that every answer can be written down."""

    def __init__(self, table, max_len=30):
        self.table, self.config = np.asarray(table, np.float32), BertConfig(PIECES.vocab_size, max_len=max_len, d_model=8, n_heads=2)
        self.read = []

    def __call__(self, ids, segments=None):
        self.read.append((ids[0].tolist(), None if segments is None else segments[0].tolist()))
        return self.table[ids]


def table(n, **logits):
    """Return logits (V, n): 0 but for some words."""
    rows = np.zeros((PIECES.vocab_size, n))
    for name, row in logits.items():
        rows[JSON.names.index(name.replace("_", "##"))] = row
    return rows


def tagger(tokenizer=JSON):
    return Tagger(Fixed(table(4, cat=[0, 5, 0, 0], _s=[0, 0, 5, 0], the=[5, 0, 0, 0], mat=[0, 0, 0, 5]) + [2, 0, 0, 0]), tokenizer, LABELS)


def test_tags_of_tokens():
    said = pipeline("token-classification", tagger())(TEXT)
    p = {3: np.exp(5) / (np.exp(5) + np.exp(2) + 2)}
    assert [(a["entity"], a["index"], a["word"], TEXT[a["start"] : a["end"]]) for a in said] == [
        ("B-CAT", 2, "cat", "cat"), ("I-CAT", 3, "##s", "s"), ("MAT", 7, "mat", "MAT"),
    ]  # fmt: skip
    assert [a["score"] for a in said] == pytest.approx([p[3]] * 3, rel=1e-5)
    assert [a["index"] for a in pipeline("token-classification", tagger())(TEXT, ignore_labels=[])] == list(range(1, 9))


def test_tags_of_groups():
    pipe = pipeline("token-classification", tagger())
    (cats, mat) = pipe(TEXT, aggregation_strategy="simple")
    assert (cats["entity_group"], cats["word"], TEXT[cats["start"] : cats["end"]]) == ("CAT", "cats", "cats")
    assert (mat["entity_group"], mat["word"], TEXT[mat["start"] : mat["end"]]) == ("MAT", "mat", "MAT")
    two = pipe(["cat cats mat mat"], aggregation_strategy="simple")
    assert [[a["word"] for a in some] for some in two] == [["cat", "cats", "mat mat"]]
    with pytest.raises(ValueError, match="aggregation_strategy is 'last', expected one of none, simple, first, max, average"):
        pipe(TEXT, aggregation_strategy="last")


@pytest.mark.parametrize(("strategy", "entity"), [("first", "MAT"), ("max", "O"), ("average", "O")])
def test_tags_of_words(strategy, entity):
    """Of "cats", "cat" says MAT softly and "##s" says O surely; "sat" behind it is a CAT."""
    rows = table(4, cat=[0, 1, 0, 2], _s=[9, 0, 0, 0], sat=[0, 5, 0, 0])
    said = pipeline("token-classification", Tagger(Fixed(rows), JSON, LABELS))("cats sat", aggregation_strategy=strategy, ignore_labels=())
    assert [(a["entity_group"], a["word"], a["start"], a["end"]) for a in said] == [(entity, "cats", 0, 4), ("CAT", "sat", 5, 8)]
    p = np.exp([[0, 1, 0, 2], [9, 0, 0, 0]])
    p /= p.sum(axis=-1, keepdims=True)
    assert said[0]["score"] == pytest.approx({"first": p[0, 3], "max": p[1, 0], "average": p[:, 0].mean()}[strategy], rel=1e-5)


def test_words_without_places(tmp_path):
    """A tokenizer of words does not say which characters a word has."""
    words = WordTokenizer(["the", "cat", "sat"], BERT_SPECIAL)
    model = Tags(Bert(BertConfig(8, max_len=9, n_layers=1, d_model=8, n_heads=2), rng=rng()), n_classes=4, rng=rng())
    save_checkpoint(tmp_path, model, tokenizer=words.to_dict(), labels=LABELS)
    said = pipeline("token-classification", model=tmp_path)("the cat sat", ignore_labels=())
    assert [a["word"] for a in said] == ["the", "cat", "sat"] and [a["index"] for a in said] == [1, 2, 3]
    logits = model(np.array([[2, 5, 6, 7, 3]]))[0, 1:4]
    assert [LABELS.index(a["entity"]) for a in said] == logits.argmax(axis=-1).tolist()
    assert {a["start"] for a in said} == {a["end"] for a in said} == {None}
    with pytest.raises(ValueError, match="has 10 tokens, and the model reads at most 9"):
        pipeline("token-classification", model=tmp_path)("cat " * 8)
    with pytest.raises(ValueError, match="holds bert for Tags, expected one for TextClasses"):
        pipeline("text-classification", model=tmp_path)


# ---------------------------------------------------------------------------------------- answers

STARTS_AND_ENDS = table(2, cat=[4, 1], _s=[0, 4], a=[3, 0], mat=[0, 3], who=[9, 9])


def test_the_likeliest_part_of_the_text():
    """Catches an answer in the question, one that ends before it starts, and the words' places in another text."""
    answerer = Answerer(Fixed(STARTS_AND_ENDS), JSON)
    said = pipeline("question-answering", answerer)(question="Who sat?", context=TEXT)
    assert (said["answer"], TEXT[said["start"] : said["end"]]) == ("cats", "cats")
    start, end = (np.exp([0, a, b, 0, 0, c, d, 0]) for a, b, c, d in ((4, 0, 3, 0), (1, 4, 0, 3)))
    assert said["score"] == pytest.approx(np.exp(4) / start.sum() * np.exp(4) / end.sum(), rel=1e-5)
    ids, segments = answerer.model.read[0]
    assert ids == JSON.frame("Who sat?", TEXT).ids.tolist() and segments == [0] * 5 + [1] * 9


def test_several_answers_and_several_questions():
    pipe = pipeline("question-answering", Answerer(Fixed(STARTS_AND_ENDS), JSON))
    best = pipe(question="Who sat?", context=TEXT, top_k=3)
    assert [a["answer"] for a in best[:2]] == ["cats", "cats sat on a MAT"] and len(best) == 3
    assert best[0]["score"] > best[1]["score"] > best[2]["score"]
    short = pipe(question="Who sat?", context=TEXT, top_k=3, max_answer_len=2)
    assert [a["answer"] for a in short[:2]] == ["cats", "a MAT"]
    single = pipe(question="Who sat?", context=TEXT, top_k=99, max_answer_len=1)
    assert [a["answer"] for a in single[:3]] == ["cats", "a", "MAT"] and "a MAT" not in {a["answer"] for a in single}
    both = pipe(question=["Who sat?", "who"], context=[TEXT, "a mat"])
    assert both[0] == best[0] and both[1]["answer"] == "a mat"


def test_no_answer():
    none = Answerer(Fixed(STARTS_AND_ENDS + table(2, **{"[CLS]": [9, 9]})), JSON)
    options = {"question": "Who sat?", "context": TEXT}
    said = pipeline("question-answering", none)(**options, handle_impossible_answer=True)
    assert (said["answer"], said["start"], said["end"]) == ("", 0, 0)
    logits = [9, 4, 0, 3, 0, 0, 0, 0, 0], [9, 1, 4, 0, 3, 0, 0, 0, 0]  # of [CLS] and the text
    assert said["score"] == pytest.approx(np.prod([np.exp(9) / np.exp(x).sum() for x in logits]), rel=1e-5)
    assert pipeline("question-answering", none)(**options)["answer"] == "cats"


@pytest.mark.parametrize("overlap", [0, 1, 3, 128])
def test_a_text_that_is_longer_than_the_model_reads(overlap):
    """Catches parts that leave tokens out, are too long, or name places in the part and not in the text."""
    long = "on the mat . " * 6 + "the cats sat ."
    answerer = Answerer(Fixed(STARTS_AND_ENDS, max_len=10), JSON)
    said = pipeline("question-answering", answerer)(question="who?", context=long, doc_stride=overlap)
    assert said["answer"] == long[said["start"] : said["end"]] == "cats"
    assert {len(ids) for ids, _ in answerer.model.read} <= set(range(5, 11))
    heads = [ids[:4] for ids, _ in answerer.model.read]
    assert all(head == heads[0] and ids[-1] == JSON.sep_id for head, (ids, _) in zip(heads, answerer.model.read, strict=True))


def test_a_run_whose_tokenizer_was_trained_here(tmp_path):
    model = Spans(Bert(BertConfig(PIECES.vocab_size, max_len=30, n_layers=1, d_model=8, n_heads=2), rng=rng()), rng=rng())
    save_checkpoint(tmp_path, model, tokenizer=PIECES.to_dict())
    said = pipeline("question-answering", model=tmp_path)(question="Who sat?", context=TEXT)
    assert said == pipeline("question-answering", Answerer(model, JSON))(question="Who sat?", context=TEXT)
    save_checkpoint(tmp_path, model, tokenizer=CharTokenizer("abcdefghijklmno").to_dict())
    with pytest.raises(ValueError, match="CharTokenizer: a tokenizer.json has no rules"):
        pipeline("question-answering", model=tmp_path)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"context": ""}, "the text is '', which has no token"),
        ({"question": "who " * 30}, "the question has so many tokens that 30, which the model reads, leave no room"),
        ({"top_k": 0}, "QuestionAnswering: top_k is 0"),
        ({"max_answer_len": 0}, "max_answer_len is 0"),
        ({"doc_stride": -1}, "doc_stride is -1"),
        ({"question": ["who", "who"]}, "2 questions need a list of as many contexts"),
    ],
)
def test_questions_that_cannot_be_asked(options, match):
    pipe = pipeline("question-answering", Answerer(Fixed(STARTS_AND_ENDS), JSON))
    with pytest.raises(ValueError, match=match):
        pipe(**{"question": "who?", "context": TEXT} | options)
    with pytest.raises(TypeError, match="expected a str"):
        pipe(question=3, context=TEXT)
