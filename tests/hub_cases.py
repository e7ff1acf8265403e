"""Small models of each published family, made here: name -> function (dtype) -> body or task, every weight random."""

import numpy as np
from cases import Seeded

from tinytx.hub.folder import read_config, read_tensors
from tinytx.models import (
    GPT,
    T5,
    Albert,
    AlbertConfig,
    Bert,
    BertConfig,
    GPTConfig,
    Llama,
    LlamaConfig,
    Longformer,
    LongformerConfig,
    ModernBert,
    ModernBertConfig,
    Reformer,
    ReformerConfig,
    T5Config,
    Transformer,
    TransformerConfig,
    ViT,
    ViTConfig,
    XLNet,
    XLNetConfig,
)
from tinytx.tasks import (
    HiddenWords,
    ImageClasses,
    NextToken,
    PermutedWords,
    SequenceToSequence,
    Spans,
    Tags,
    TextClasses,
)

GPT_SIZES = {"max_len": 9, "d_model": 8, "n_heads": 2, "n_layers": 2}
T5_SIZES = {"d_model": 8, "n_heads": 2, "d_key": 6, "d_ff": 10, "n_encoder_layers": 2, "n_decoder_layers": 3, "start_id": 3}


def of(task, body, config, **asked):
    """Return the function that makes a task with settings, or a body alone."""

    def make(dtype=np.float32):
        settings = {"rng": np.random.default_rng(0), "dtype": dtype}
        model, seeded = body(config, **settings) if task is None else task.around(body, config, settings=asked, **settings), Seeded(0)
        for parameter in model.parameters():
            parameter.data[...] = seeded.array(*parameter.data.shape, scale=0.4)
        return model

    return make


BERT = BertConfig(11, max_len=9, d_model=8, n_heads=2, n_layers=2, d_ff=12, n_segments=3)
ROBERTA = BertConfig.roberta(11, max_len=9, d_model=8, n_heads=2, n_layers=2, d_ff=12)
ALBERT = AlbertConfig(11, max_len=9, d_embedding=6, d_model=8, n_heads=2, n_layers=3, n_groups=2, d_ff=12)
MODERNBERT = ModernBertConfig(11, max_len=9, d_model=8, n_heads=2, n_layers=4, d_ff=12, window=2, rope_base=500.0)
PAIR = {"d_model": 8, "n_heads": 2, "n_encoder_layers": 2, "n_decoder_layers": 3, "max_len": 9}
BART, MARIAN = TransformerConfig.bart(11, **PAIR, d_ff=12), TransformerConfig.marian(11, **PAIR)
TWO = TransformerConfig(13, 11, **PAIR, positions="halves", tied="two-way", scaled_embedding=False, attention_dropout=0.2)
IMAGES = ViTConfig(image_size=6, patch_size=2, n_channels=3, d_model=8, n_heads=2, n_layers=2, d_ff=13)
LLAMA = {"max_len": 9, "d_model": 8, "n_heads": 4, "n_layers": 2}
LLAMAS = {
    "Llama": LlamaConfig(11, **LLAMA, rope_factor=8.0),
    "Mistral": LlamaConfig(11, **LLAMA, window=3),
    "Mixtral": LlamaConfig(11, **LLAMA, n_experts=3, n_chosen=1),
    "Qwen2": LlamaConfig(11, **LLAMA, qkv_bias=True),
    "Phi3": LlamaConfig(11, **LLAMA, d_key=8, rope_share=0.75),
    "Glm": LlamaConfig(11, **LLAMA, d_key=8, rope_share=0.5, rope_neighbours=True, qkv_bias=True),
}
XLNET = XLNetConfig(11, segment=512, d_model=8, n_heads=2, n_layers=2, d_ff=12)
LONGFORMER = {"max_len": 9, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 12, "windows": "4,8"}
REFORMER = {"max_len": 12, "d_model": 8, "n_heads": 2, "n_layers": 3, "chunk": 4, "n_buckets": 6}
LAST = {"n_classes": 3, "pooling": "last", "dropout": 0.0, "classifier_bias": False}
HUB_CASES = {
    "BartModel": of(None, Transformer, BART),
    "BartForConditionalGeneration": of(SequenceToSequence, Transformer, BART, output_bias=True),
    "MarianModel": of(None, Transformer, TWO),
    "MarianMTModel": of(SequenceToSequence, Transformer, MARIAN, output_bias=True),
    "BertModel": of(None, Bert, BERT),
    "BertForPreTraining": of(HiddenWords, Bert, BERT, next_sentence=True),
    "BertForMaskedLM": of(HiddenWords, Bert, BERT, next_sentence=False),
    "BertForSequenceClassification": of(TextClasses, Bert, BERT, n_classes=3, dropout=0.3),
    "BertForTokenClassification": of(Tags, Bert, BERT, n_classes=4),
    "BertForQuestionAnswering": of(Spans, Bert, BERT),
    "RobertaModel": of(None, Bert, ROBERTA),
    "RobertaForMaskedLM": of(HiddenWords, Bert, ROBERTA, next_sentence=False),
    "RobertaForSequenceClassification": of(TextClasses, Bert, ROBERTA, n_classes=3, dropout=0.3),
    "RobertaForTokenClassification": of(Tags, Bert, ROBERTA, n_classes=4),
    "RobertaForQuestionAnswering": of(Spans, Bert, ROBERTA),
    "LongformerModel": of(None, Longformer, LongformerConfig(11, **LONGFORMER, global_words="marked", mark_id=5)),
    "LongformerForMaskedLM": of(HiddenWords, Longformer, LongformerConfig(11, **LONGFORMER | {"windows": "6"}), next_sentence=False),
    "LongformerForSequenceClassification": of(
        TextClasses, Longformer, LongformerConfig(11, **LONGFORMER, global_words="first"), n_classes=3, dropout=0.3
    ),
    "LongformerForTokenClassification": of(Tags, Longformer, LongformerConfig(11, **LONGFORMER), n_classes=4),
    "LongformerForQuestionAnswering": of(Spans, Longformer, LongformerConfig(11, **LONGFORMER, global_words="question")),
    "AlbertModel": of(None, Albert, ALBERT),
    "AlbertForPreTraining": of(HiddenWords, Albert, ALBERT, next_sentence=True),
    "AlbertForMaskedLM": of(HiddenWords, Albert, ALBERT, next_sentence=False),
    "AlbertForSequenceClassification": of(TextClasses, Albert, ALBERT, n_classes=3, dropout=0.3),
    "AlbertForTokenClassification": of(Tags, Albert, ALBERT, n_classes=4),
    "AlbertForQuestionAnswering": of(Spans, Albert, ALBERT),
    "ModernBertModel": of(None, ModernBert, MODERNBERT),
    "ModernBertForMaskedLM": of(HiddenWords, ModernBert, MODERNBERT, next_sentence=False),
    "GPT2Model": of(None, GPT, GPTConfig(11, **GPT_SIZES, d_ff=12)),
    "GPT2LMHeadModel": of(NextToken, GPT, GPTConfig(11, **GPT_SIZES, tied_head=False, activation="relu", eps=0.01)),
    "GPT2ForSequenceClassification": of(TextClasses, GPT, GPTConfig(11, **GPT_SIZES), **LAST),
    "GPT2ForTokenClassification": of(Tags, GPT, GPTConfig(11, **GPT_SIZES), n_classes=4, dropout=0.3),
    "OpenAIGPTModel": of(None, GPT, GPTConfig.gpt1(11, **GPT_SIZES)),
    "OpenAIGPTLMHeadModel": of(NextToken, GPT, GPTConfig.gpt1(11, **GPT_SIZES, embedding_dropout=0.3)),
    "LlamaModel": of(None, Llama, LLAMAS["Llama"]),
    "LlamaForCausalLM": of(NextToken, Llama, LlamaConfig(11, **LLAMA, n_kv_heads=2, rope_base=500.0)),
    "MistralModel": of(None, Llama, LLAMAS["Mistral"]),
    "MistralForCausalLM": of(NextToken, Llama, LlamaConfig(11, **LLAMA, window=3, d_key=6)),
    "MixtralModel": of(None, Llama, LLAMAS["Mixtral"]),
    "MixtralForCausalLM": of(NextToken, Llama, LlamaConfig(11, **LLAMA, n_experts=3, d_key=6, balance=0.3)),
    "Qwen2Model": of(None, Llama, LLAMAS["Qwen2"]),
    "Qwen2ForCausalLM": of(NextToken, Llama, LlamaConfig(11, **LLAMA, qkv_bias=True, tied_head=True)),
    "Phi3Model": of(None, Llama, LLAMAS["Phi3"]),
    "Phi3ForCausalLM": of(NextToken, Llama, LlamaConfig(11, **LLAMA, d_key=8, window=3, rope_share=0.5)),
    "GlmModel": of(None, Llama, LLAMAS["Glm"]),
    "GlmForCausalLM": of(
        NextToken, Llama, LlamaConfig(11, **LLAMA, n_kv_heads=2, rope_neighbours=True, rope_factor=3.0, rope_scaling="linear")
    ),
    **{f"{name}ForSequenceClassification": of(TextClasses, Llama, config, **LAST, pad_id=2) for name, config in LLAMAS.items()},
    **{f"{name}ForTokenClassification": of(Tags, Llama, config, n_classes=4, dropout=0.1) for name, config in LLAMAS.items()},
    "ViTModel": of(None, ViT, IMAGES),
    "ViTForImageClassification": of(ImageClasses, ViT, IMAGES, n_classes=3, dropout=0.0),
    "ReformerModel": of(None, Reformer, ReformerConfig(11, **REFORMER)),
    "ReformerModelWithLMHead": of(
        NextToken, Reformer, ReformerConfig(11, **REFORMER, kinds="local,hashed", local_chunk=3, d_key=5, d_ff=12, local_dropout=0.3)
    ),
    "XLNetModel": of(None, XLNet, XLNET),
    "XLNetLMHeadModel": of(PermutedWords, XLNet, XLNET),
    "T5Model": of(None, T5, T5Config.v1_1(11, **T5_SIZES, tied_head=True)),
    "T5ForConditionalGeneration": of(SequenceToSequence, T5, T5Config.v1_1(11, **T5_SIZES, max_len=30)),
}


def written(model, folder):
    """Return (config.json, {name: array}) of a model, as it writes them."""
    model.save_pretrained(folder)
    return read_config(folder), {name: tensor.read() for name, tensor in read_tensors(folder).items()}
