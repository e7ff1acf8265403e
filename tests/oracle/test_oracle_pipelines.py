"""Pipelines of transformers, over small random models that it writes: the same dicts, scores to 1e-5."""

import pytest

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from json_kinds import TEXTS  # noqa: E402

from tinytx.data import SubwordTokenizer, WordPieceTokenizer  # noqa: E402
from tinytx.pipelines import pipeline  # noqa: E402

SUBWORDS = SubwordTokenizer.from_texts(TEXTS * 3, 300, special=())
PIECES = WordPieceTokenizer.from_texts(TEXTS * 3, 90)
GPT1 = {name: i for i, name in enumerate(["<unk>", *"shelabyt", *(f"{c}</w>" for c in "shelabyt"), "sh", "sea</w>", "ea</w>"])}
T5 = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -2.0 - i / 10) for i, piece in enumerate(["▁", *"shelabyort", "▁sea", "▁the"]))]
PROMPTS = ["the sea shells", "She sells", " by the sea shore and"]


def ids_of(names):
    return {name: i for i, name in enumerate(names)}


def written(folder, model, tokenizer):
    """Give a model weights that tell tokens apart, and write it with its tokenizer; return the folder."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape))
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def gpt2(folder):
    tokenizer = transformers.GPT2Tokenizer(ids_of([*SUBWORDS.parts, "<|endoftext|>"]), SUBWORDS.merges)
    v = len(tokenizer)
    config = transformers.GPT2Config(vocab_size=v, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=v - 1, eos_token_id=v - 1)
    return written(folder, transformers.GPT2LMHeadModel(config), tokenizer)


def gpt1(folder):
    tokenizer = transformers.OpenAIGPTTokenizer(GPT1, [("s", "h"), ("e", "a</w>"), ("s", "ea</w>")])
    config = transformers.OpenAIGPTConfig(vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=2, n_head=2)
    return written(folder, transformers.OpenAIGPTLMHeadModel(config), tokenizer)


def bert(folder, kind, **settings):
    tokenizer = transformers.BertTokenizer(ids_of(PIECES.names))
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes, **settings)
    return written(folder, getattr(transformers, f"BertFor{kind}")(config), tokenizer)


def assert_same(ours, theirs):
    """Compare answers: floats to 1e-5, all else exactly."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(ours, float):
        assert ours == pytest.approx(float(theirs), abs=1e-5)
    else:
        assert ours == theirs and isinstance(theirs, type(ours))


@pytest.mark.parametrize("make", [gpt2, gpt1])
@pytest.mark.parametrize("return_full_text", [True, False])
def test_text_generation(make, return_full_text, tmp_path):
    folder = make(tmp_path)
    theirs = transformers.pipeline("text-generation", model=str(folder))
    ours = pipeline("text-generation", model=folder)
    options = {"max_new_tokens": 12, "do_sample": False, "return_full_text": return_full_text}
    texts = PROMPTS if make is gpt2 else [text.lower().strip() for text in PROMPTS]
    said = [ours(text, **options) for text in texts]
    assert said == [theirs(text, **options) for text in texts] == ours(texts, **options)
    assert len({answer["generated_text"] for (answer,) in said}) == 3


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
def test_text_generation_by_beam_search(length_penalty, tmp_path):
    folder = gpt2(tmp_path)
    theirs = transformers.pipeline("text-generation", model=str(folder))
    ours = pipeline("text-generation", model=folder)
    options = {"max_new_tokens": 8, "do_sample": False, "num_beams": 4, "length_penalty": length_penalty}
    options |= {"num_return_sequences": 3}
    for text in PROMPTS:
        assert ours(text, **options) == theirs(text, **options)


def test_translation(tmp_path):
    """transformers 5 has no such pipeline: its model generates what the pipelines of version 4 decoded."""
    tokenizer = transformers.T5Tokenizer(T5, extra_ids=3)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
    config = transformers.T5Config(vocab_size=24, **sizes, decoder_start_token_id=0)  # more ids than the tokenizer has
    folder = written(tmp_path, transformers.T5ForConditionalGeneration(config), tokenizer)
    model = transformers.T5ForConditionalGeneration.from_pretrained(folder)
    ours = pipeline("translation", model=folder)
    for text in ("the sea sells", "shore", "by the sea"):
        ids = model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=9, do_sample=False)[0]
        assert ours(text, max_new_tokens=9) == [{"translation_text": tokenizer.decode(ids, skip_special_tokens=True)}]
    assert pipeline("summarization", model=folder)("shore", max_new_tokens=3)[0].keys() == {"summary_text"}


def bart(folder):
    """A summariser that begins what it writes with the token that ends it; return its folder."""
    names = ["<s>", "<pad>", "</s>", "<unk>", *SUBWORDS.parts, "<mask>"]
    tokenizer = transformers.BartTokenizer(ids_of(names), SUBWORDS.merges)
    sizes = {"d_model": 16, "max_position_embeddings": 40, "forced_eos_token_id": None}
    sizes |= {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in
              (("layers", 2), ("attention_heads", 2), ("ffn_dim", 16))}  # fmt: skip
    return written(folder, transformers.BartForConditionalGeneration(transformers.BartConfig(vocab_size=len(names), **sizes)), tokenizer)


def test_summarization(tmp_path):
    folder = bart(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BartForConditionalGeneration.from_pretrained(folder)
    ours, said = pipeline("summarization", model=folder), set()
    for text in PROMPTS:
        inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        ids = model.generate(**inputs, max_new_tokens=9, do_sample=False, num_beams=1)[0]
        said.add(tokenizer.decode(ids, skip_special_tokens=True))
        assert ours(text, max_new_tokens=9) == [{"summary_text": tokenizer.decode(ids, skip_special_tokens=True)}]
    assert len(said) > 1


FOLDERS = {  # what generation_config.json says of a summariser
    "greedy": {"max_length": 9, "min_length": 6, "forced_bos_token_id": 0, "forced_eos_token_id": 2, "repetition_penalty": 1.4},
    "as large ones of BART": {"max_length": 12, "min_length": 8, "forced_bos_token_id": 0, "forced_eos_token_id": 2,
                              "num_beams": 4, "length_penalty": 2.0, "early_stopping": True, "no_repeat_ngram_size": 3},
    "as Marian's": {"max_length": 8, "bad_words_ids": [[1], [44, 40]], "forced_eos_token_id": 2, "num_beams": 3,
                    "renormalize_logits": True, "eos_token_id": [2, 50]},
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_says_how_texts_are_generated(name, tmp_path):
    """Nothing is asked: all settings are the folder's, in generation_config.json."""
    folder = bart(tmp_path)
    model = transformers.BartForConditionalGeneration.from_pretrained(folder)
    ids = {"pad_token_id": 1, "decoder_start_token_id": 2, "eos_token_id": 2}
    model.generation_config = transformers.GenerationConfig(**ids | FOLDERS[name])
    model.generation_config.save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = pipeline("summarization", model=folder)
    for text in PROMPTS:
        ids = model.generate(**tokenizer(text, return_tensors="pt", return_token_type_ids=False))[0]
        assert ours(text) == [{"summary_text": tokenizer.decode(ids, skip_special_tokens=True)}]


def test_fill_mask(tmp_path):
    folder = bert(tmp_path, "MaskedLM")
    theirs = transformers.pipeline("fill-mask", model=str(folder))
    ours = pipeline("fill-mask", model=folder)
    texts = ["The [MASK] shells, by the sea!", "[MASK]", "she [MASK] sea [MASK] shore"]
    for text in texts:
        assert_same(ours(text, top_k=7), theirs(text, top_k=7))
    assert_same(ours(texts), theirs(texts))
    assert_same(ours(texts, targets=["sea", "the", "by"], top_k=2), theirs(texts, targets=["sea", "the", "by"], top_k=2))


@pytest.mark.parametrize(
    "settings", [{"num_labels": 3}, {"num_labels": 1}, {"num_labels": 2, "problem_type": "multi_label_classification"},
                 {"id2label": {0: "bad", 1: "good"}}, {"num_labels": 1, "problem_type": "regression"}],
)  # fmt: skip
def test_text_classification(settings, tmp_path):
    folder = bert(tmp_path, "SequenceClassification", **settings)
    theirs = transformers.pipeline("text-classification", model=str(folder))
    ours = pipeline("text-classification", model=folder)
    for texts in ("the sea", PROMPTS, {"text": "the sea", "text_pair": "she sells"}):
        assert_same(ours(texts), theirs(texts) if isinstance(texts, str | list) else [theirs(texts)])
        assert_same(ours(texts, top_k=None), theirs(texts, top_k=None))


def test_token_classification(tmp_path):
    """The last text has an unknown word, capitals and a piece inside a word."""
    labels = dict(enumerate(["O", "B-SEA", "I-SEA", "B-LAND", "I-LAND", "PLAIN"]))
    folder = bert(tmp_path, "TokenClassification", id2label=labels)
    theirs = transformers.pipeline("token-classification", model=str(folder))
    ours = pipeline("token-classification", model=folder)
    texts = [*PROMPTS, *TEXTS, "☃ SHELLS she sellsea"]
    for strategy in ("none", "simple", "first", "max", "average"):
        for ignored in (["O"], []):
            options = {"aggregation_strategy": strategy, "ignore_labels": ignored}
            said = ours(texts, **options)
            assert_same(said, [theirs(text, **options) for text in texts])
    assert len({tag["entity_group"] for tags in said for tag in tags}) > 1


def test_question_answering(tmp_path):
    """transformers 5 has no such pipeline: the best pair of its model's logits, among the tokens of the text."""
    folder = bert(tmp_path, "QuestionAnswering")
    model = transformers.BertForQuestionAnswering.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours, text = pipeline("question-answering", model=folder), TEXTS[0]
    for question in ("she?", "the shore", "by 12"):
        inputs = tokenizer(question, text, return_tensors="pt")
        own = [i for i, part in enumerate(inputs.sequence_ids()) if part == 1]
        said = model(**inputs)
        start, end = (x[0, own].detach().softmax(-1) for x in (said.start_logits, said.end_logits))
        score, i, j = max((float(start[i] * end[j]), i, j) for i in range(len(own)) for j in range(i, min(i + 15, len(own))))
        first, last = inputs.token_to_word(own[i]), inputs.token_to_word(own[j])
        chars = inputs.word_to_chars(first, sequence_index=1).start, inputs.word_to_chars(last, sequence_index=1).end
        answer = {"score": score, "start": chars[0], "end": chars[1], "answer": text[slice(*chars)]}
        assert_same(ours(question=question, context=text), answer)
