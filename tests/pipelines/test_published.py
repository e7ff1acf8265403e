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
