"""Small models of transformers, as it makes and writes them, and the same batches for them and for ours."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import transformers

PAD = 1
BERT = dict(max_position_embeddings=9, hidden_size=8, num_attention_heads=2, num_hidden_layers=2, intermediate_size=12)
LONGFORMER = BERT | dict(max_position_embeddings=18, type_vocab_size=1, attention_window=4)
ALBERT = BERT | dict(embedding_size=6, num_hidden_layers=3)
PAIR = dict(
    d_model=8, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=12, decoder_ffn_dim=12, max_position_embeddings=9,
)  # fmt: skip
LLAMA = dict(
    max_position_embeddings=30, hidden_size=8, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2,
    intermediate_size=12,
)  # fmt: skip
MIXTRAL = LLAMA | dict(num_local_experts=3, experts_implementation="eager")  # another one refuses float64
VIT = dict(
    image_size=6, patch_size=2, num_channels=3, hidden_size=8, num_attention_heads=2, num_hidden_layers=2, intermediate_size=12
)
XLNET = dict(d_model=8, n_head=2, n_layer=2, d_inner=12)
REFORMER = dict(  # a batch is one chunk: in several, a hash whose numbers are torch's says who meets whom
    hidden_size=8, num_attention_heads=2, attention_head_size=3, feed_forward_size=12, attn_layers=["local", "lsh"], num_buckets=4,
    axial_pos_embds=False, is_decoder=True, lsh_attn_chunk_length=7, local_attn_chunk_length=7, max_position_embeddings=14, hash_seed=1,
    hidden_dropout_prob=0.0, local_attention_probs_dropout_prob=0.0,
)  # fmt: skip
CONFIGS = {
    "bart": ("BartForConditionalGeneration", PAIR | dict(scale_embedding=True)),
    "bart body": ("BartModel", PAIR | dict(activation_function="relu")),
    "marian": ("MarianMTModel", PAIR | dict(scale_embedding=True)),
    "marian two tables": (
        "MarianMTModel", PAIR | dict(activation_function="relu", decoder_vocab_size=23, share_encoder_decoder_embeddings=False)
    ),
    "marian body": ("MarianModel", PAIR | dict(activation_function="swish")),  # name -> (class, its config); sizes are distinct, so that no transpose goes unseen
    "gpt2": ("GPT2LMHeadModel", dict(n_positions=9, n_embd=8, n_head=2, n_layer=2, n_inner=12)),
    "gpt2 classes": ("GPT2ForSequenceClassification", dict(n_positions=9, n_embd=8, n_head=2, n_layer=1, num_labels=3, pad_token_id=PAD)),
    "gpt2 tags": ("GPT2ForTokenClassification", dict(n_positions=9, n_embd=8, n_head=2, n_layer=1, num_labels=4)),
    "gpt2 body": ("GPT2Model", dict(n_positions=9, n_embd=8, n_head=4, n_layer=1)),
    "gpt2 untied, erf": (
        "GPT2LMHeadModel",
        dict(n_positions=9, n_embd=8, n_head=2, n_layer=1, tie_word_embeddings=False, activation_function="gelu",
             layer_norm_epsilon=0.1),
    ),
    "gpt1": ("OpenAIGPTLMHeadModel", dict(n_positions=9, n_embd=8, n_head=2, n_layer=2, layer_norm_epsilon=0.01)),
    "gpt1 body": ("OpenAIGPTModel", dict(n_positions=9, n_embd=8, n_head=2, n_layer=1, afn="relu")),
    "bert": ("BertForMaskedLM", BERT),
    "bert pairs": ("BertForPreTraining", BERT | dict(layer_norm_eps=0.1, hidden_act="gelu_new", type_vocab_size=3)),
    "bert classes": ("BertForSequenceClassification", BERT | dict(num_labels=3)),
    "bert tags": ("BertForTokenClassification", BERT | dict(num_labels=4)),
    "bert spans": ("BertForQuestionAnswering", BERT),
    "bert body": ("BertModel", BERT),
    "roberta": ("RobertaForMaskedLM", BERT | dict(max_position_embeddings=11, type_vocab_size=1)),
    "roberta classes": (
        "RobertaForSequenceClassification",
        BERT | dict(max_position_embeddings=11, type_vocab_size=1, num_labels=3, layer_norm_eps=0.1),
    ),
    "roberta tags": ("RobertaForTokenClassification", BERT | dict(max_position_embeddings=11, type_vocab_size=1, num_labels=4)),
    "roberta spans": ("RobertaForQuestionAnswering", BERT | dict(max_position_embeddings=11, type_vocab_size=1)),
    "roberta body": ("RobertaModel", BERT | dict(max_position_embeddings=11, type_vocab_size=1)),
    "longformer": ("LongformerForMaskedLM", LONGFORMER | dict(attention_window=[8, 4])),
    "longformer classes": ("LongformerForSequenceClassification", LONGFORMER | dict(num_labels=3)),
    "longformer tags": ("LongformerForTokenClassification", LONGFORMER | dict(num_labels=4)),
    "longformer spans": ("LongformerForQuestionAnswering", LONGFORMER),
    "longformer body": ("LongformerModel", LONGFORMER | dict(layer_norm_eps=0.1)),
    "albert": ("AlbertForMaskedLM", ALBERT | dict(hidden_act="relu", layer_norm_eps=0.1)),
    "albert pairs": ("AlbertForPreTraining", ALBERT | dict(num_hidden_groups=2)),
    "albert classes": ("AlbertForSequenceClassification", ALBERT | dict(num_labels=3)),
    "albert tags": ("AlbertForTokenClassification", ALBERT | dict(num_labels=4)),
    "albert spans": ("AlbertForQuestionAnswering", ALBERT),
    "albert body": ("AlbertModel", ALBERT | dict(num_hidden_groups=3)),
    "reformer": ("ReformerModelWithLMHead", REFORMER),
    "reformer body": ("ReformerModel", REFORMER | dict(attn_layers=["lsh"], hidden_act="gelu", layer_norm_eps=0.1)),
    "xlnet": ("XLNetLMHeadModel", XLNET),
    "xlnet body": ("XLNetModel", XLNET | dict(ff_activation="relu", layer_norm_eps=0.1)),
    "modernbert": ("ModernBertForMaskedLM", BERT | dict(max_position_embeddings=30, num_hidden_layers=5, local_attention=4)),
    "modernbert body": (
        "ModernBertModel",
        BERT | dict(
            num_hidden_layers=3, local_attention=2, hidden_activation="gelu_pytorch_tanh", norm_eps=0.1,
            classifier_activation="gelu_pytorch_tanh",
            layer_types=["full_attention", "sliding_attention", "full_attention"],
            rope_parameters=dict(
                full_attention=dict(rope_type="default", rope_theta=50.0),
                sliding_attention=dict(rope_type="default", rope_theta=7.0),
            ),
        ),
    ),
    "llama": ("LlamaForCausalLM", LLAMA | dict(rms_norm_eps=0.1, rope_parameters=dict(rope_type="default", rope_theta=50.0))),
    "llama scaled": (
        "LlamaForCausalLM",
        LLAMA
        | dict(
            head_dim=6, tie_word_embeddings=True, hidden_act="gelu_pytorch_tanh",
            rope_parameters=dict(
                rope_type="llama3", rope_theta=30.0, factor=8.0, low_freq_factor=0.5, high_freq_factor=3.0,
                original_max_position_embeddings=16,
            ),
        ),
    ),
    "llama body": ("LlamaModel", LLAMA | dict(num_key_value_heads=4)),
    "llama classes": ("LlamaForSequenceClassification", LLAMA | dict(num_labels=3, pad_token_id=PAD)),
    "glm tags": ("GlmForTokenClassification", LLAMA | dict(head_dim=8, num_labels=4)),
    "mistral": ("MistralForCausalLM", LLAMA | dict(sliding_window=3)),
    "mistral body": ("MistralModel", LLAMA | dict(sliding_window=None, num_key_value_heads=1)),
    "mixtral": ("MixtralForCausalLM", MIXTRAL | dict(num_experts_per_tok=2)),
    "mixtral body": ("MixtralModel", MIXTRAL | dict(num_experts_per_tok=3, sliding_window=3)),
    "qwen2": ("Qwen2ForCausalLM", LLAMA),
    "qwen2 body": ("Qwen2Model", LLAMA),
    "qwen2 yarn": (  # of six numbers of a pair each, some stay, some fall between, and some are slow
        "Qwen2ForCausalLM",
        LLAMA
        | dict(
            head_dim=12,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=30.0, factor=4.0, beta_fast=3.0, beta_slow=0.5, original_max_position_embeddings=16
            ),
        ),
    ),
    "llama linear": ("LlamaForCausalLM", LLAMA | dict(rope_parameters=dict(rope_type="linear", rope_theta=9.0, factor=3.0))),
    "mistral dynamic": ("MistralForCausalLM", LLAMA | dict(head_dim=6, rope_parameters=dict(rope_type="dynamic", rope_theta=9.0, factor=2.0))),
    "phi3": (
        "Phi3ForCausalLM",
        LLAMA | dict(head_dim=8, rope_parameters=dict(rope_type="default", rope_theta=9.0, partial_rotary_factor=0.75)),
    ),
    "phi3 body": (
        "Phi3Model",
        LLAMA | dict(head_dim=8, sliding_window=3, rope_parameters=dict(rope_type="default", rope_theta=9.0, partial_rotary_factor=0.5)),
    ),
    "glm": (
        "GlmForCausalLM",
        LLAMA
        | dict(
            head_dim=12,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=9.0, factor=3.0, beta_fast=2.0, attention_factor=0.7,
                original_max_position_embeddings=16, partial_rotary_factor=0.7,
            ),
        ),
    ),
    "glm body": ("GlmModel", LLAMA | dict(head_dim=8, attention_bias=False)),
    "vit": ("ViTForImageClassification", VIT | dict(num_labels=4)),
    "vit body": ("ViTModel", VIT | dict(layer_norm_eps=0.1, hidden_act="relu")),
    "t5": ("T5ForConditionalGeneration", dict(d_model=8, d_kv=6, d_ff=10, num_heads=2, num_layers=2, num_decoder_layers=3)),
    "t5 body": (  # our body ends with the scale that theirs has in front of the output layer, where there is one
        "T5Model", dict(d_model=8, d_kv=6, d_ff=10, num_heads=2, num_layers=1, tie_word_embeddings=False)
    ),
    "t5 v1.1": (
        "T5ForConditionalGeneration",
        dict(d_model=8, d_kv=6, d_ff=10, num_heads=2, num_layers=2, feed_forward_proj="gated-gelu",
             tie_word_embeddings=False, relative_attention_num_buckets=8, relative_attention_max_distance=7,
             layer_norm_epsilon=0.1),
    ),
}  # fmt: skip
SHARED = {
    "Bert": dict(pad_token_id=PAD),
    "Albert": dict(pad_token_id=PAD),
    "ModernBert": dict(pad_token_id=PAD, bos_token_id=0, eos_token_id=2, cls_token_id=0, sep_token_id=2),
    "Roberta": dict(pad_token_id=PAD, bos_token_id=0, eos_token_id=2),
    "Longformer": dict(pad_token_id=PAD, bos_token_id=0, eos_token_id=2, sep_token_id=2),
    "Phi3": dict(pad_token_id=PAD, eos_token_id=2),
    "Glm": dict(pad_token_id=PAD),
    "Bart": dict(pad_token_id=PAD, decoder_start_token_id=2, eos_token_id=2, bos_token_id=0, forced_eos_token_id=None),
    "Marian": dict(pad_token_id=PAD, decoder_start_token_id=PAD, eos_token_id=0, forced_eos_token_id=None),
    "GPT2": dict(bos_token_id=0, eos_token_id=0),
    "T5": dict(pad_token_id=PAD, decoder_start_token_id=PAD, eos_token_id=2),
}
V = 20
WITHOUT = {  # ours belongs to the heads that use it, or is kept beside the body
    name: {"add_pooling_layer": False} for name in ("albert body", "bert body", "longformer body", "roberta body", "vit body")
}
READING = WITHOUT | {name: {"experts_implementation": "eager"} for name in ("mixtral", "mixtral body")}  # not said by config.json


class Batch(NamedTuple):
    ours: tuple  # what our model is called with
    theirs: dict
    settings: dict = {}  # of our call
    seen: np.ndarray | None = None  # (B, T): what stands at a padded position, nobody asks


@contextmanager
def all_in_float64(needed=True):
    """Let transformers' own casts to float32 be casts to float64, while a model is made and while it runs."""
    kept = torch.float32, torch.float, torch.Tensor.float, torch.FloatTensor
    if needed:
        torch.float32 = torch.float = torch.float64
        torch.Tensor.float, torch.FloatTensor = torch.Tensor.double, torch.DoubleTensor
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float, torch.FloatTensor = kept


def new(name, dtype=np.float64, seed=0, pooled=False, **changes):
    """Return a model of transformers with random weights everywhere, biases and gains too; ``pooled``: a body with its pooler."""
    cls, sizes = CONFIGS[name]
    cls = getattr(transformers, cls)
    shared = next((options for start, options in SHARED.items() if cls.__name__.startswith(start)), {})
    words = {} if name.startswith("vit") else {"vocab_size": V}
    config = cls.config_class(**words, attn_implementation="eager", **shared | sizes | changes)
    generator, double = torch.Generator().manual_seed(seed), dtype == np.float64
    with all_in_float64(double):
        model = cls(config, **{} if pooled else WITHOUT.get(name, {})).to(torch.float64 if double else torch.float32).eval()
        with torch.no_grad():
            for parameter in filter(lambda parameter: parameter.requires_grad, model.parameters()):
                parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
            if "final_logits_bias" in dict(model.named_buffers()):
                model.final_logits_bias.copy_(torch.randn(model.final_logits_bias.shape, generator=generator))
                model.final_logits_bias.requires_grad_()  # a constant there, and a parameter here
            if name == "reformer":
                model.lm_head.bias.requires_grad_(False)  # nothing reads it
        return with_precise_positions(model.train(name.startswith("reformer")))  # its backward works in training alone


def with_precise_positions(model):
    """Compute Marian's positions in the model's dtype: its own table is rounded to float32 always; return the model."""
    for path, parameter in model.named_parameters():
        if path.endswith("embed_positions.weight") and type(model).__name__.startswith("Marian"):
            n, d = parameter.shape
            angle = np.arange(n)[:, None] / 10000 ** (2 * np.arange(d // 2) / d)
            with torch.no_grad():
                parameter.copy_(torch.tensor(np.concatenate([np.sin(angle), np.cos(angle)], axis=1)))
    return model


def batch_of(name, seed=0, rows=3, t=7, dtype=np.float64):
    """Return a `Batch` of random ids, whose sources are padded to several lengths; or of images of a dtype."""
    rng, family = np.random.default_rng(seed), name.split()[0]
    if family == "vit":
        images = rng.normal(size=(rows, 6, 6, 3)).astype(dtype)
        return Batch((images,), {"pixel_values": torch.tensor(images.transpose(0, 3, 1, 2))})
    ids = rng.integers(3, V, (rows, t))
    if family == "xlnet":  # from left to right; the first word sees nothing here, and all there
        segments = np.sort(rng.integers(0, 2, (rows, t)), axis=1)
        theirs = {"input_ids": torch.tensor(ids), "token_type_ids": torch.tensor(segments)}
        if name == "xlnet":
            later, same = (torch.tensor(np.tile(array, (rows, 1, 1)).astype(dtype)) for array in (np.tri(t).T, np.eye(t)))
            theirs |= {"perm_mask": later, "target_mapping": same}
        return Batch((ids,), theirs, {"segments": segments}, None if name != "xlnet" else np.arange(t) + np.zeros((rows, 1)) > 0)
    if family.startswith("gpt") or family in ("llama", "mistral", "mixtral", "qwen2", "phi3", "glm", "reformer"):
        for row in range(rows) if name.endswith("classes") else ():
            ids[row, t - 2 * row :] = PAD  # whose vectors nothing reads
        return Batch((ids,), {"input_ids": torch.tensor(ids)})
    for row in range(rows):
        ids[row, t - 2 * row :] = PAD
    if family == "roberta":
        ids[1, 2] = PAD  # its positions do not count padding, wherever it stands
    seen = torch.tensor(ids != PAD).long()
    if family == "longformer":
        return longformer_batch(name, ids, seen)
    if family in ("albert", "bert"):
        segments = np.sort(rng.integers(0, 2, (rows, t)), axis=1)
        theirs = {"input_ids": torch.tensor(ids), "attention_mask": seen, "token_type_ids": torch.tensor(segments)}
        return Batch((ids,), theirs, {"segments": segments}, ids != PAD)
    if family in ("roberta", "modernbert"):
        return Batch((ids,), {"input_ids": torch.tensor(ids), "attention_mask": seen}, seen=ids != PAD)
    target = rng.integers(3, V, (rows, t - 2))
    return Batch((ids, target), {"input_ids": torch.tensor(ids), "attention_mask": seen, "decoder_input_ids": torch.tensor(target)})


def longformer_batch(name, ids, seen):
    """Return the batch of ids (3, 7): by the class, the first word is global, or those before the first separator, or what is said."""
    theirs = {"input_ids": torch.tensor(ids), "attention_mask": seen}
    if name.endswith("spans"):
        ids = np.concatenate([ids] * 2, axis=1)
        ids[:, [3, 5, 8]] = 2  # they want three separators in each text
        theirs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(ids != PAD).long()}
    if name != "longformer body":
        return Batch((ids,), theirs, {}, ids != PAD)
    is_global = np.random.default_rng(5).random(ids.shape) < 0.3
    theirs["global_attention_mask"] = torch.tensor(is_global).long()
    return Batch((ids,), theirs, {"is_global": is_global}, ids != PAD)


def outputs_of(model, batch):
    """Return the logits of a model of transformers, or a body's vectors, as a tensor with a gradient."""
    found = model(**batch.theirs)
    if "start_logits" in found:
        return torch.stack([found.start_logits, found.end_logits], -1)
    return next(found[name] for name in ("logits", "prediction_logits", "last_hidden_state") if name in found)
