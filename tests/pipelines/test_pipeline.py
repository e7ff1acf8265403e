"""pipeline(task, model=folder): the answers of trained models, in the shape that users of transformers know."""

import numpy as np
import pytest

import tinytx
from tinytx.data import BERT_SPECIAL, SPECIAL, CharTokenizer, SubwordTokenizer, WordTokenizer
from tinytx.decoding import beam_search, generate
from tinytx.models import GPT, Bert, BertConfig, GPTConfig, Transformer, TransformerConfig
from tinytx.pipelines import Classifier, Filler, Translator, Writer, pipeline
from tinytx.tasks import HiddenWords, NextToken, SequenceToSequence, TextClasses
from tinytx.training import save_checkpoint

SEED = 1  # with it a translation has several words, and one that is unknown
SIZES = {"d_model": 8, "n_heads": 2}
WORDS = WordTokenizer(["the", "cat", "sat", "on", "a", "mat"], BERT_SPECIAL)
PAIRS = WordTokenizer(["the", "cat", "sat", "on", "a", "mat"], SPECIAL)
LETTERS = CharTokenizer("abcdefgh")


def rng():
    return np.random.default_rng(0)


def loud(model):
    """Return a model whose outputs differ: small initial matrices make all words nearly alike."""
    draw = np.random.default_rng(SEED)
    for parameter in model.parameters():
        if parameter.data.ndim > 1:
            parameter.data[...] = draw.normal(0, 1, parameter.data.shape)
    return model


MODELS = {
    "text-generation": lambda: (loud(NextToken(GPT(GPTConfig(8, max_len=16, n_layers=1, **SIZES), rng=rng()))), LETTERS),
    "fill-mask": lambda: (loud(HiddenWords(Bert(BertConfig(11, max_len=9, n_layers=1, **SIZES), rng=rng()), rng=rng())), WORDS),
    "text-classification": lambda: (
        loud(TextClasses(Bert(BertConfig(11, max_len=9, n_layers=1, **SIZES), rng=rng()), n_classes=3, rng=rng())), WORDS
    ),
    "translation": lambda: (
        loud(SequenceToSequence(Transformer(
            TransformerConfig(10, 10, max_len=9, n_encoder_layers=1, n_decoder_layers=1, **SIZES), rng=rng()
        ))), PAIRS, PAIRS
    ),
}  # fmt: skip
USES = {"text-generation": Writer, "fill-mask": Filler, "text-classification": Classifier, "translation": Translator}
TEXTS = {"text-generation": "abc", "fill-mask": "the [MASK] sat", "text-classification": "the cat", "translation": "the cat"}
every_task = pytest.mark.parametrize("task", MODELS)


def save(task, folder, **meta):
    """Write a run of a task's model; return the folder."""
    model, *tokenizers = MODELS[task]()
    names = ["source_tokenizer", "target_tokenizer"] if len(tokenizers) > 1 else ["tokenizer"]
    save_checkpoint(folder, model, **{name: t.to_dict() for name, t in zip(names, tokenizers, strict=True)}, **meta)
    return folder


def made(task, *more):
    return tinytx.pipeline(task, USES[task](*MODELS[task](), *more))


@every_task
def test_a_folder_and_the_model_itself_give_the_same(task, tmp_path):
    options = {"do_sample": False, "max_new_tokens": 5} if task == "text-generation" else {}
    more = [["LABEL_0", "LABEL_1", "LABEL_2"]] if task == "text-classification" else []
    assert pipeline(task, model=save(task, tmp_path))(TEXTS[task], **options) == made(task, *more)(TEXTS[task], **options)


@every_task
def test_a_list_of_texts_has_a_list_of_answers(task):
    options = {"do_sample": False, "max_new_tokens": 5} if task == "text-generation" else {}
    pipe = made(task, *([["x", "y", "z"]] if task == "text-classification" else []))
    other = {"text-generation": "h", "fill-mask": "[MASK]"}.get(task, "a mat sat on the cat")
    answers = [pipe(text, **options) for text in (TEXTS[task], other)]
    if task in ("text-classification", "translation"):  # of one text, a list with its answer
        answers = [answer for answer, in answers]
    assert pipe([TEXTS[task], other], **options) == answers and pipe([], **options) == []


@every_task
def test_what_is_no_text(task):
    pipe = made(task, *([["x", "y", "z"]] if task == "text-classification" else []))
    for wrong in (3, None, ["a", 3], b"the"):
        with pytest.raises(TypeError, match=r"expected a str or a list of str"):
            pipe(wrong)


def test_the_greedy_continuation():
    model, tokenizer = MODELS["text-generation"]()
    rows = np.stack(list(generate(model, tokenizer.encode("abc")[None], 30, temperature=0)), axis=1)
    text = tokenizer.decode(rows[0])
    pipe = made("text-generation")
    assert pipe("abc", do_sample=False, max_new_tokens=30) == [{"generated_text": "abc" + text}]
    assert pipe("abc", do_sample=False, max_new_tokens=30, return_full_text=False) == [{"generated_text": text}]


class Says:
    """A model that says one given token after another, whatever it reads."""

    config = GPTConfig(300, max_len=16, **SIZES)
    vocab_size, pads_prompts, slides = 300, False, True

    def __init__(self, ids):
        self.ids = iter(ids)

    def begin(self, ids):
        return ids, ()

    def last_logits(self, ids, state):
        return np.eye(300)[[next(self.ids)]]


def test_texts_are_written_when_they_are_whole():
    """Catches half a character, and words without the spaces between them."""
    pytest.importorskip("tokenizers")
    subwords = SubwordTokenizer.from_texts([], 260)
    ids = subwords.encode("aé☃b\U0001f600").tolist()
    assert list(Writer(Says(ids), subwords).write("é", len(ids), temperature=0)) == ["é", "a", "é", "☃", "b", "\U0001f600"]
    assert list(Writer(Says(ids), subwords).write("é", 4, temperature=0)) == ["é", "a", "é", "\ufffd"]
    words = WORDS.encode("cat sat on").tolist()
    assert list(Writer(Says(words), WORDS).write("the", 3, temperature=0)) == ["the", " cat", " sat", " on"]
    assert Writer(Says([]), WORDS).default_prompt == "the"


def test_drawn_continuations():
    """Catches texts that change places, and settings that do not arrive."""
    pipe, model = made("text-generation"), MODELS["text-generation"]()[0]
    said = pipe(["abc", "h"], num_return_sequences=3, max_new_tokens=6, temperature=1.5, top_k=4, top_p=0.9, rng=rng())
    prompts = [LETTERS.encode(text) for text in ("abc", "h") for _ in range(3)]
    rows = np.stack(list(generate(model, prompts, 6, temperature=1.5, top_k=4, top_p=0.9, rng=rng())), axis=1)
    texts = [text + LETTERS.decode(row) for text, row in zip(["abc"] * 3 + ["h"] * 3, rows, strict=True)]
    assert said == [[{"generated_text": text} for text in texts[:3]], [{"generated_text": text} for text in texts[3:]]]
    assert len(set(texts)) > 2
    assert len(pipe("abc", max_new_tokens=6, num_return_sequences=2)) == 2


def test_continuations_of_a_beam_search():
    pipe, model = made("text-generation"), MODELS["text-generation"]()[0]
    said = pipe("abc", num_beams=4, num_return_sequences=2, max_new_tokens=4, length_penalty=1.5)
    rows = beam_search(model, LETTERS.encode("abc")[None], 4, beam_size=4, n_best=2, alpha=1.5, penalty="length").ids[0]
    assert said == [{"generated_text": "abc" + LETTERS.decode(row)} for row in rows]


def test_a_text_ends_at_stop():
    """Catches a stop token, or what fills rows after it, in the text."""
    model = loud(NextToken(GPT(GPTConfig(10, max_len=16, n_layers=1, **SIZES), rng=rng())))
    pipe = pipeline("text-generation", Writer(model, PAIRS))
    said = pipe(["the", "cat"], num_return_sequences=8, max_new_tokens=8, rng=rng(), return_full_text=False, temperature=3.0)
    texts = [answer["generated_text"] for some in said for answer in some]
    assert len({len(text.split()) for text in texts}) > 2 and not any("<" in text for text in texts)


def test_hidden_words():
    filler = Filler(*MODELS["fill-mask"]())
    said = pipeline("fill-mask", filler)("the [MASK] sat", top_k=3)
    (guesses,) = filler.fill("the [MASK] sat", top=3).guesses
    assert [(answer["token_str"], answer["score"]) for answer in said] == guesses
    assert [WORDS.names[answer["token"]] for answer in said] == [answer["token_str"] for answer in said]
    words = [answer["token_str"] for answer in said]
    assert [answer["sequence"] for answer in said] == [" ".join(["the", *([] if w in BERT_SPECIAL else [w]), "sat"]) for w in words]
    assert len(pipeline("fill-mask", filler)("the [MASK] sat")) == 5


def test_targets():
    filler = Filler(*MODELS["fill-mask"]())
    pipe = pipeline("fill-mask", filler)
    all_words = {answer["token_str"]: answer for answer in pipe("the [MASK] sat", top_k=11)}
    said = pipe("the [MASK] sat", targets=["cat", "mat", "cat"])
    assert said == sorted((all_words["cat"], all_words["mat"]), key=lambda answer: -answer["score"])
    assert pipe("the [MASK] sat", targets="mat") == [all_words["mat"]]
    assert len(pipe("the [MASK] sat", targets=["cat", "mat"], top_k=1)) == 1
    for wrong, message in ((["cat", "zebra"], "targets is 'zebra', no token of the vocabulary"), ([], "targets is empty")):
        with pytest.raises(ValueError, match=message):
            pipe("the [MASK] sat", targets=wrong)


def test_several_hidden_words():
    filler = Filler(*MODELS["fill-mask"]())
    first, second = pipeline("fill-mask", filler)("the <mask> sat on [MASK]", top_k=2)
    guesses = filler.fill("the [MASK] sat on [MASK]", top=2).guesses
    assert [[(a["token_str"], a["score"]) for a in some] for some in (first, second)] == guesses
    assert first[0]["sequence"] == f"[CLS] the {guesses[0][0][0]} sat on [MASK] [SEP]"
    assert second[1]["sequence"] == f"[CLS] the [MASK] sat on {guesses[1][1][0]} [SEP]"


def test_classes(tmp_path):
    model, tokenizer = MODELS["text-classification"]()
    pipe = pipeline("text-classification", model=save("text-classification", tmp_path, labels=["bad", "fair", "good"]))
    ids = np.array([[2, *tokenizer.encode("the cat"), 3]])
    e = np.exp(model(ids)[0].astype(np.float64))
    p = {label: x for label, x in zip(["bad", "fair", "good"], e / e.sum(), strict=True)}
    best = sorted(p, key=p.get, reverse=True)
    (answer,) = pipe("the cat")
    assert answer["label"] == best[0] and answer["score"] == pytest.approx(p[best[0]], rel=1e-5)
    ranked = pipe("the cat", top_k=None)
    assert [a["label"] for a in ranked] == best and [a["score"] for a in ranked] == pytest.approx([p[b] for b in best], rel=1e-5)
    assert pipe("the cat", top_k=2) == ranked[:2] and pipe(["the cat"], top_k=1) == [ranked[:1]]
    logits = model(ids)[0]
    by_logit = pipe("the cat", top_k=None, function_to_apply="none")
    assert sorted(a["score"] for a in by_logit) == pytest.approx(sorted(logits.tolist()))
    sigmoids = pipe("the cat", top_k=1, function_to_apply="sigmoid")
    assert sigmoids[0]["score"] == pytest.approx(1 / (1 + np.exp(-logits.max())), rel=1e-5)


def test_classes_of_pairs():
    """Catches a second text that is left out, or that the model takes for a part of the first."""
    classifier = Classifier(*MODELS["text-classification"](), ["x", "y", "z"])
    pipe, model = pipeline("text-classification", classifier), classifier.model
    ids, segments = np.array([[2, 5, 6, 3, 9, 10, 3]]), np.array([[0, 0, 0, 0, 1, 1, 1]])
    logits = pipe({"text": "the cat", "text_pair": "a mat"}, top_k=None, function_to_apply="none")
    assert {a["label"]: a["score"] for a in logits} == dict(zip("xyz", model(ids, segments=segments)[0].tolist(), strict=True))
    assert pipe([{"text": "the cat"}]) == pipe("the cat")


def test_translations(tmp_path):
    """Catches special tokens in a text, such as an unknown word's."""
    translator = Translator(*MODELS["translation"]())
    pipe = pipeline("translation", model=save("translation", tmp_path))
    texts = ["the cat", "a mat sat on"]

    def said(options=None, n_tokens=None):
        some = translator.decode([translator.encode(text) for text in texts], n_tokens, options)
        return [[{"translation_text": PAIRS.decode(t.ids, special=False)} for t in answers] for answers in some]

    assert pipe(texts) == [one for one, in said()]
    assert {t["translation_text"] for t in pipe(texts)} != set(translator.translate(texts))
    several = said({"beam_size": 3, "alpha": 0.6, "penalty": "length", "n_best": 2}, 5)
    options = {"num_beams": 3, "max_new_tokens": 5, "length_penalty": 0.6}
    assert pipe(texts, num_return_sequences=2, **options) == several
    assert pipe(texts[0], num_return_sequences=2, **options) == several[0]
    summary = pipeline("summarization", model=tmp_path)(texts[0], **options)
    assert summary == [{"summary_text": several[0][0]["translation_text"]}]


@pytest.mark.parametrize("task", ["sentiment", None, ["fill-mask"]])
def test_tasks_that_there_are_not(task):
    with pytest.raises(ValueError, match="pipeline: task is .*, expected one of text-generation, fill-mask, text-class"):
        pipeline(task, model="nowhere")


def test_models_that_are_for_another_task_and_folders_without_any(tmp_path):
    save("fill-mask", tmp_path)
    with pytest.raises(ValueError, match="holds bert for HiddenWords, expected one for NextToken; for it there is python -m"):
        pipeline("text-generation", model=tmp_path)
    with pytest.raises(ValueError, match="there is no checkpoint.npz in .*none"):
        pipeline("text-generation", model=tmp_path / "none")


def test_a_missing_tokenizer(tmp_path):
    save_checkpoint(tmp_path, MODELS["fill-mask"]()[0])
    with pytest.raises(ValueError, match="None is not what a tokenizer's to_dict returns"):
        pipeline("fill-mask", model=tmp_path)


def test_labels_that_are_not_those_of_the_model(tmp_path):
    save("text-classification", tmp_path, labels=["bad", "good"])
    with pytest.raises(ValueError, match=r"labels are \['bad', 'good'\], expected 3 names, one for each class"):
        pipeline("text-classification", model=tmp_path)


@pytest.mark.parametrize(
    "task, options, match",
    [
        ("text-generation", {"num_return_sequences": 2, "do_sample": False}, "num_return_sequences is 2, expected at most num_beams, 1"),
        ("text-generation", {"num_beams": 2, "do_sample": True}, "num_beams is 2, expected 1 with do_sample=True"),
        ("text-generation", {"num_beams": 0}, "num_beams is 0"),
        ("text-generation", {"temperature": -1}, "temperature is -1"),
        ("fill-mask", {"top_k": 12}, "top is 12"),
        ("text-classification", {"top_k": 0}, "top_k is 0, expected .* or None for all classes"),
        ("text-classification", {"function_to_apply": "relu"}, "'relu', expected one of softmax, sigmoid, none"),
        ("translation", {"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences is 3, expected at most num_beams, 2"),
    ],
)
def test_arguments_out_of_range(task, options, match):
    with pytest.raises(ValueError, match=match):
        made(task, *([["x", "y", "z"]] if task == "text-classification" else []))(TEXTS[task], **options)


@pytest.mark.parametrize(
    "task, text, match",
    [
        ("text-generation", "", "text 1 is '', which has no token to continue"),
        ("text-generation", "xyz", "text 1 has 'x', 'y', 'z', which the model was not trained on"),
        ("fill-mask", "the cat", r"hides no word: write \[MASK\]"),
        ("fill-mask", "[MASK] " * 8, "has 8 tokens, and the model reads at most 7: cut it"),
        ("text-classification", "cat " * 8, "has 10 tokens, and the model reads at most 9: cut it"),
        ("translation", "cat " * 10, "text 1 has 10 tokens, and the model reads at most 9: cut it"),
    ],
)
def test_texts_that_the_model_cannot_read(task, text, match):
    with pytest.raises(ValueError, match=match):
        made(task, *([["x", "y", "z"]] if task == "text-classification" else []))(text)
