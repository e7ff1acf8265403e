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
