"""Folders of Hugging Face, and runs made of them: the same answers as of the model itself."""

import json

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("safetensors")

from tinytx.data import BERT_SPECIAL, DataError, JsonTokenizer, SubwordTokenizer, WordPieceTokenizer, save_tokenizer
from tinytx.models import GPT, T5, Bert, BertConfig, GPTConfig, T5Config
from tinytx.pipelines import Classifier, Filler, Tagger, Translator, Writer, load_run, pipeline
from tinytx.pipelines.convert import convert
from tinytx.tasks import HiddenWords, NextToken, SequenceToSequence, Tags, TextClasses

TEXT = "she sells sea shells by the sea shore"
PIECES = JsonTokenizer.from_json(WordPieceTokenizer.from_texts([TEXT] * 3, 60).to_json())
SUBWORDS = JsonTokenizer.from_json(SubwordTokenizer.from_texts([TEXT] * 3, 280, special=["</s>"]).to_json())
SIZES = {"d_model": 8, "n_heads": 2}


def t5_tokenizer():
    """One of 13 tokens, for a model of 20, whose texts end with </s>."""
    added = [{"id": i, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
             for i, name in enumerate(["<pad>", "</s>", "<unk>"])]  # fmt: skip
    pieces = ["<pad>", "</s>", "<unk>", "▁", *"shelaby", "▁sea", "▁the"]
    state = {
        "version": "1.0", "added_tokens": added, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "model": {"type": "Unigram", "unk_id": 2, "vocab": [[piece, -float(i)] for i, piece in enumerate(pieces)]},
        "post_processor": {
            "type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [], "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
    }  # fmt: skip
    return JsonTokenizer.from_json(json.dumps(state))


def bert(task, **settings):
    rng = np.random.default_rng(1)
    body = Bert(BertConfig(PIECES.vocab_size, max_len=16, n_layers=1, **SIZES), rng=rng)
    return loud(task(body, rng=rng, **settings))


def loud(model):
    """Return a model whose outputs differ: small initial matrices make all words nearly alike."""
    draw = np.random.default_rng(3)
    for parameter in model.parameters():
        if parameter.data.ndim > 1:
            parameter.data[...] = draw.normal(0, 1, parameter.data.shape)
    return model


def t5():
    config = T5Config(20, n_encoder_layers=1, n_decoder_layers=1, **SIZES)
    body = T5(config, rng=np.random.default_rng(1))
    return loud(SequenceToSequence(body, rng=np.random.default_rng(1), label_smoothing=0.0, loss_form="cross_entropy"))


LABELS = ["LABEL_0", "LABEL_1", "LABEL_2"]
GREEDY = {"do_sample": False, "max_new_tokens": 9}
CASES = {  # task: (model, tokenizer, how the model itself is used, text, options)
    "text-generation": lambda: (
        loud(NextToken(GPT(GPTConfig(SUBWORDS.vocab_size, max_len=16, n_layers=1, **SIZES), rng=np.random.default_rng(1)))),
        SUBWORDS, lambda model, tokenizer: Writer(model, tokenizer), "the sea", GREEDY,
    ),
    "fill-mask": lambda: (bert(HiddenWords), PIECES, Filler, "the [MASK] shore", {}),
    "text-classification": lambda: (
        bert(TextClasses, n_classes=3), PIECES, lambda *two: Classifier(*two, LABELS), "the sea", {"top_k": None}
    ),
    "token-classification": lambda: (bert(Tags, n_classes=3), PIECES, lambda *two: Tagger(*two, LABELS), "the sea", {}),
    "translation": lambda: (t5(), t5_tokenizer(), None, "shea", {"max_new_tokens": 8}),
}  # fmt: skip


@pytest.mark.parametrize("task", CASES)
def test_a_folder_and_the_run_made_of_it(task, tmp_path):
    """Catches a frame, labels or ids of special tokens that a run made of a folder has lost."""
    model, tokenizer, use, text, options = CASES[task]()
    model.save_pretrained(tmp_path / "folder")
    save_tokenizer(tmp_path / "folder", tokenizer)
    said = pipeline(task, model=tmp_path / "folder")(text, **options)
    convert(tmp_path / "folder", tmp_path / "run")
    assert pipeline(task, model=tmp_path / "run")(text, **options) == said
    if use:
        assert said == pipeline(task, use(model, tokenizer))(text, **options)


SAYS = {"num_beams": 3, "min_length": 4, "max_length": 6, "no_repeat_ngram_size": 2, "forced_eos_token_id": 1, "length_penalty": 2.0}


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_a_folder_says_how_texts_are_generated(file, tmp_path):
    """So does the run made of it, and the folder made of that run; what is asked comes first."""
    model = t5()
    model.save_pretrained(tmp_path / "folder")
    save_tokenizer(tmp_path / "folder", t5_tokenizer())
    plain = pipeline("translation", model=tmp_path / "folder")
    expected = plain("shea", **SAYS)
    path = tmp_path / "folder" / file
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | SAYS))
    convert(tmp_path / "folder", tmp_path / "run")
    convert(tmp_path / "run", tmp_path / "again")
    for folder in ("folder", "run", "again"):
        translate = pipeline("translation", model=tmp_path / folder)
        assert translate("shea") == expected != plain("shea", max_new_tokens=5)
        nothing = dict.fromkeys(("min_length", "no_repeat_ngram_size"), 0) | {"num_beams": 1, "forced_eos_token_id": 1}
        assert translate("shea", max_new_tokens=9, **nothing) == plain("shea", max_new_tokens=9, forced_eos_token_id=1)
        assert translate("shea", max_new_tokens=2)  # less than min_length, which is the folder's and gives way
        with pytest.raises(ValueError, match="min_length: n is 9, but n_tokens 2 allows 3"):
            translate("shea", max_new_tokens=2, min_length=9)
        with pytest.raises(TypeError, match="Translation: there is no setting 'min_tokens', expected some of bad_words_ids, early_"):
            translate("shea", min_tokens=2)
    assert load_run(tmp_path / "again", Translator).translate(["shea"]) == [plain("shea", **SAYS | {"num_beams": 1, "max_new_tokens": 512})[0]["translation_text"]]


def test_settings_that_are_not_obeyed_are_named(tmp_path):
    t5().save_pretrained(tmp_path)
    save_tokenizer(tmp_path, t5_tokenizer())
    (tmp_path / "generation_config.json").write_text(json.dumps({"typical_p": 0.5, "min_p": 0.0, "encoder_no_repeat_ngram_size": 3}))
    with pytest.warns(UserWarning, match="Translation: the model's folder says encoder_no_repeat_ngram_size, typical_p, which tinytx"):
        pipeline("translation", model=tmp_path)("shea", max_new_tokens=2)
    (tmp_path / "generation_config.json").write_text(json.dumps({"max_length": 1, "eos_token_id": 50256}))  # of a large vocabulary
    translate = pipeline("translation", model=tmp_path)
    assert translate("shea", max_new_tokens=3)
    with pytest.raises(ValueError, match="Translation: max_length is 1, expected a whole number of at least 2"):
        translate("shea")
    (tmp_path / "generation_config.json").write_text("[1")
    with pytest.raises(ValueError, match="generation_config.json"):
        pipeline("translation", model=tmp_path)


def test_how_a_writer_continues_is_said_by_its_folder(tmp_path):
    model, tokenizer, _, text, _ = CASES["text-generation"]()
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path, tokenizer)
    asked = {"do_sample": False, "max_new_tokens": 7, "repetition_penalty": 3.0, "bad_words_ids": [[9], [11]]}
    plain = pipeline("text-generation", model=tmp_path)
    expected, first = plain(text, **asked), plain(text, max_new_tokens=7, do_sample=False)
    ids = tokenizer.encode(first[0]["generated_text"]).tolist()
    (tmp_path / "generation_config.json").write_text(json.dumps(asked))
    assert pipeline("text-generation", model=tmp_path)(text) == expected != first
    written = load_run(tmp_path, Writer).write(text, 7, temperature=0)
    assert "".join(written) == expected[0]["generated_text"]
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids[-1], 3]}))
    assert len(pipeline("text-generation", model=tmp_path)(text, do_sample=False)[0]["generated_text"]) <= len(first[0]["generated_text"])


def test_a_source_is_read_in_its_frame(tmp_path):
    model, tokenizer = t5(), t5_tokenizer()
    model.save_pretrained(tmp_path / "folder")
    save_tokenizer(tmp_path / "folder", tokenizer)
    convert(tmp_path / "folder", tmp_path / "run")
    for folder in ("folder", "run"):
        translator = load_run(tmp_path / folder, Translator)
        assert translator.encode("the sea").tolist() == [*tokenizer.encode("the sea"), 1]
        assert translator.source_tokenizer.vocab_size == 20 and translator.target_tokenizer.decode([19, 1]) == ""


@pytest.mark.parametrize(
    "task, command, flags",
    [("text-generation", "sample", "--tokens 9 --temperature 0 --prompt"), ("fill-mask", "fill", ""), ("translation", "translate", "")],
)
def test_commands_take_a_folder(task, command, flags, tinytx, tmp_path):
    model, tokenizer, _, text, options = CASES[task]()
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path, tokenizer)
    done = tinytx(command, tmp_path, flags, [text])
    answer = pipeline(task, model=tmp_path)(text, **options | ({"max_new_tokens": 512} if task == "translation" else {}))
    said = answer[0].get("generated_text") or answer[0].get("sequence") or answer[0].get("translation_text")
    assert done.code == 0 and said in done.out


def test_folders_that_cannot_be_used(tmp_path):
    model = bert(HiddenWords)
    model.save_pretrained(tmp_path)
    with pytest.raises(DataError, match="has no tokenizer.json, no vocab.json with merges.txt and no vocab.txt: put the"):
        pipeline("fill-mask", model=tmp_path)
    save_tokenizer(tmp_path, PIECES)
    with pytest.raises(ValueError, match="holds bert for HiddenWords, expected one for NextToken; for it there is python"):
        pipeline("text-generation", model=tmp_path)
    save_tokenizer(tmp_path, SUBWORDS)
    with pytest.raises(DataError, match=f"vocab_size is {PIECES.vocab_size}, expected {SUBWORDS.vocab_size}, the file's tokens"):
        pipeline("fill-mask", model=tmp_path)


def test_a_body_without_a_task(tmp_path):
    bert(HiddenWords).body.save_pretrained(tmp_path)
    save_tokenizer(tmp_path, PIECES)
    with pytest.raises(ValueError, match="holds bert for Bert, expected one for HiddenWords"):
        pipeline("fill-mask", model=tmp_path)


def test_the_space_before_a_hidden_word_belongs_to_it():
    """Byte pairs begin with their space: catches one that is a token by itself, here or in the tokenizer.json that is written."""
    own = SubwordTokenizer.from_texts([TEXT] * 3, 280, special=BERT_SPECIAL)
    read = JsonTokenizer.from_json(own.to_json())
    model = HiddenWords(Bert(BertConfig(own.vocab_size, n_layers=1, **SIZES), rng=np.random.default_rng(0)), rng=np.random.default_rng(0))
    expected = [*own.encode("she sells"), own.mask_id, *own.encode(" shells")]
    for tokenizer in (own, read):
        for text in ("she sells [MASK] shells", "she sells[MASK] shells"):
            assert Filler(model, tokenizer).encode(text).tolist() == expected
