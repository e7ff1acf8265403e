"""The table of models: name -> function (dtype) -> ModelCase. A new model is tested by its lines here."""

import bert_cases
import numpy as np
import transformer_cases
from long_model_cases import LONG_MODELS
from model_case import case

from tinytx.data import hidden_three_ways
from tinytx.models import (
    GPT,
    NPLM,
    NTM,
    T5,
    Albert,
    AlbertConfig,
    AlignedTransformer,
    AlignedTransformerConfig,
    AwdLSTM,
    AwdLSTMConfig,
    Bert,
    BertConfig,
    CharRNN,
    CharRNNConfig,
    Elmo,
    ElmoConfig,
    Gatr,
    GatrConfig,
    GloVe,
    GloVeConfig,
    GPTConfig,
    Llama,
    LlamaConfig,
    ModernBert,
    ModernBertConfig,
    NPLMConfig,
    NTMConfig,
    PointerConfig,
    PointerNetwork,
    RecurrentSeq2Seq,
    T5Config,
    Transformer,
    Unilm,
    UnilmConfig,
    ViT,
    ViTConfig,
    Word2Vec,
    Word2VecConfig,
)
from tinytx.tasks import (
    AlignedSequenceToSequence,
    Bits,
    Cooccurrences,
    HiddenWords,
    ImageClasses,
    Motion,
    NearbyWords,
    NextAndPrevious,
    NextToken,
    Pointers,
    SequenceToSequence,
    Spans,
    Tags,
    TextClasses,
    TextClassesNextToken,
    UnifiedWords,
)
from tinytx.tasks.aligned_sequence_to_sequence import link_shares


def gpt(dtype, **options):
    config = GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2, d_ff=7, dropout=0.2, **options)
    ids = np.random.default_rng(2).integers(0, 11, (4, 7))
    return case(NextToken, GPT, config, (ids[:, :-1], ids[:, 1:]), dtype)


def bert(dtype, variant="paper"):
    config = bert_cases.config_of(variant, dropout=0.2)
    return case(HiddenWords, Bert, config, bert_cases.batch_of(config), dtype, **bert_cases.heads_of(config, variant))


def roberta(dtype):
    """Padding at the start of a text, in its middle, and at its end."""
    config = BertConfig.roberta(11, max_len=9, d_model=6, n_heads=2, n_layers=2, d_ff=7, dropout=0.2)
    rng = np.random.default_rng(2)
    ids, hidden = rng.integers(2, 11, (4, 7)), rng.random((4, 7)) < 0.4
    ids[0, :2] = ids[1, 3] = ids[2, 6] = 1
    return case(HiddenWords, Bert, config, (ids, np.where(hidden & (ids != 1), ids, -100)), dtype)


def albert(dtype, **options):
    config = AlbertConfig(11, max_len=9, d_embedding=4, d_model=6, n_heads=2, n_layers=3, d_ff=7, dropout=0.2, pad_id=4, **options)
    return case(HiddenWords, Albert, config, bert_cases.batch_of(config), dtype, next_sentence=True)


PAD, LABELS = bert_cases.PAD, np.array([2, 0, -100, 1])


def bert_head(kind, dtype, *answers, segments=True, **settings):
    """A task of a body that was not trained for it; texts of 8, 7, 6 and 5 words, in two parts."""
    config = bert_cases.config_of(dropout=0.2)
    ids, _, parts, _ = bert_cases.batch_of(config)
    return case(kind, Bert, config, (ids, *answers, parts) if segments else (ids, *answers), dtype, **settings)


def tags():
    """A tag for each word, but for padding and every third."""
    ids = bert_cases.batch_of(bert_cases.config_of())[0]
    return np.where((ids == PAD) | (np.arange(8) % 3 == 2), -100, ids % 3)


def gpt_head(kind, dtype, **settings):
    """Texts that end in padding, which the body does not know."""
    config = GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2, d_ff=7, dropout=0.2)
    ids = bert_cases.batch_of(bert_cases.config_of())[0]
    return case(kind, GPT, config, (ids, LABELS), dtype, n_classes=3, pad_id=PAD, **settings)


def char_rnn(dtype):
    config = CharRNNConfig(11, d_embedding=3, d_model=5, n_layers=2, dropout=0.2)
    ids = np.random.default_rng(2).integers(0, 11, (4, 7))
    return case(NextToken, CharRNN, config, (ids[:, :-1], ids[:, 1:]), dtype)


def elmo(dtype, **options):
    """Sentences of 7, 6, 5 and 2 words, and padding behind them."""
    config = ElmoConfig(11, d_model=6, dropout=0.2, pad_id=4, **options)
    ids = np.random.default_rng(2).integers(5, 11, (4, 7))
    ids[np.arange(7) >= np.array([7, 6, 5, 2])[:, None]] = 4
    names = ["", "", "", "", "", *"at a cat no word un".split()]
    beside = [np.where((ids == 4)[..., None], 0, array[ids]) for array in config.beside(names)]
    return case(NextAndPrevious, Elmo, config, (ids, *beside), dtype)


def awd_lstm(dtype):
    """All its dropouts, and penalties in the loss where they are on."""
    rates = dict.fromkeys(("word_dropout", "input_dropout", "hidden_dropout", "dropout", "weight_drop"), 0.2)
    config = AwdLSTMConfig(11, d_model=4, d_hidden=5, n_layers=2, alpha=0.7, beta=0.4, **rates)
    ids = np.random.default_rng(2).integers(0, 11, (4, 7))
    return case(NextToken, AwdLSTM, config, (ids[:, :-1], ids[:, 1:]), dtype)


def nplm(dtype, **options):
    config = NPLMConfig(11, d_embedding=3, d_hidden=5, dropout=0.2, **options)
    ids = np.random.default_rng(2).integers(0, 11, (4, 7))
    return case(NextToken, NPLM, config, (ids[:, :-1], ids[:, 1:]), dtype)


def word2vec(dtype, **settings):
    """Words and rows that occur several times; no word and no row in some places."""
    rng = np.random.default_rng(2)
    contexts, rows = rng.integers(-1, 11, (5, 4)), rng.integers(-1, 10, (5, 3))
    return case(NearbyWords, Word2Vec, Word2VecConfig(11, 6), (contexts, rows, rng.integers(0, 2, (5, 3))), dtype, **settings)


def glove(dtype):
    """Words that occur several times, counts below and above x_max."""
    rng = np.random.default_rng(2)
    words, contexts = rng.integers(0, 11, (2, 60))
    batch = words, contexts, np.exp(rng.normal(size=60)).astype(dtype)
    return case(Cooccurrences, GloVe, GloVeConfig(11, 6), batch, dtype, x_max=2.0)


def pointer(dtype):
    """An order of some of the elements."""
    elements, order, _ = np.split(np.random.default_rng(2).permuted(np.tile(np.arange(6.0), (4, 3, 1)), axis=2), 3, axis=1)
    elements = np.concatenate([elements, order], axis=1).swapaxes(1, 2) / 6 - 0.4
    config = PointerConfig(n_features=2, d_model=5)
    return case(Pointers, PointerNetwork, config, (elements.astype(dtype), order[:, 0, :4].astype(int)), dtype)


def gatr(dtype):
    """Three bodies, of random numbers."""
    rng = np.random.default_rng(2)
    config = GatrConfig(n_in=3, n_channels=2, n_heads=1, n_layers=2, n_inner=1)
    return case(Motion, Gatr, config, (rng.normal(size=(4, 3, 7)).astype(dtype), rng.normal(size=(4, 3, 3)).astype(dtype)), dtype)


def ntm(dtype):
    """Bits of the second half of the steps, and not all of them."""
    rng = np.random.default_rng(2)
    bits = np.where(rng.random((4, 6, 2)) < 0.2, -100, rng.integers(0, 2, (4, 6, 2)))
    bits[:, :3] = -100
    config = NTMConfig(d_in=3, d_controller=5, n_rows=4, d_row=3)
    return case(Bits, NTM, config, (rng.normal(size=(4, 6, 3)).astype(dtype), bits), dtype, n_bits=2)


def llama(dtype, **options):
    config = LlamaConfig(11, max_len=9, d_model=6, n_heads=4, n_layers=2, d_ff=7, d_key=4, rope_base=3.0, dropout=0.2, **options)
    ids = np.random.default_rng(2).integers(0, 11, (4, 7))
    return case(NextToken, Llama, config, (ids[:, :-1], ids[:, 1:]), dtype)


def vit(dtype, make=ViTConfig, pooling="first", **options):
    """Images in two colours; one of them has no label that counts."""
    config = make(image_size=6, patch_size=2, n_channels=2, d_model=8, n_heads=2, n_layers=2, d_ff=7, dropout=0.2, **options)
    images = np.random.default_rng(2).normal(size=(4, 6, 6, 2)).astype(np.float32).astype(dtype)  # the same numbers in both
    return case(ImageClasses, ViT, config, (images, LABELS), dtype, n_classes=3, pooling=pooling)


def modernbert(dtype, **options):
    """Padding at the end of texts; local blocks see one word on each side."""
    small = {"max_len": 9, "d_model": 8, "n_heads": 2, "n_layers": 3, "d_ff": 7, "window": 2, "rope_base": 5.0, "rope_base_local": 3.0}
    config = ModernBertConfig(11, **small, pad_id=4, dropout=0.2, feed_forward_dropout=0.2, **options)
    ids, targets, *_ = bert_cases.batch_of(bert_cases.config_of())
    return case(HiddenWords, ModernBert, config, (ids, targets), dtype)


def transformer(dtype, **options):
    config = transformer_cases.config_of(dropout=0.2, **options)
    return case(SequenceToSequence, Transformer, config, transformer_cases.batch_of(), dtype)


def aligned_transformer(dtype, **options):
    """Words with one link, with two and without; `stop` and padding have none."""
    source, target = transformer_cases.batch_of()
    shares = link_shares([{(1, 0), (2, 1), (6, 1)}, {(0, 2)}, {(4, 0), (0, 1)}], (3, 5, 8), dtype)
    config = AlignedTransformerConfig(**vars(transformer_cases.config_of(dropout=0.2)) | options)
    return case(AlignedSequenceToSequence, AlignedTransformer, config, (source, target, shares), dtype, alignment_weight=0.7)


def t5(dtype, **options):
    """Padding begins a target, as in T5's own files."""
    small = {"d_model": 6, "n_heads": 2, "d_key": 4, "d_ff": 7, "n_encoder_layers": 2, "n_decoder_layers": 2}
    small |= {"max_len": 10, "n_buckets": 8, "max_distance": 6, "dropout": 0.2, "pad_id": 4, "start_id": 4, "stop_id": 6}
    source, target = transformer_cases.batch_of()
    target[:, 0] = 4
    return case(SequenceToSequence, T5, T5Config(13, **small | options), (source, target), dtype, **PLAIN)


def recurrent_seq2seq(dtype, **options):
    config = transformer_cases.recurrent_config_of(dropout=0.2, **options)
    return case(SequenceToSequence, RecurrentSeq2Seq, config, transformer_cases.batch_of(), dtype, **PLAIN)


UNILM = {"pad_id": 4, "start_id": 1, "stop_id": 6, "mask_id": 12}


def unilm(dtype, dropout=0.2, **options):
    """Rows of each of the three ways, padded to several lengths."""
    small = {"max_len": 12, "d_model": 6, "n_heads": 2, "d_ff": 7, "n_layers": 2, "dropout": dropout}
    source, target = transformer_cases.batch_of(b=5, s=5, t=5)
    ids = {name: UNILM[name] for name in ("pad_id", "mask_id")}
    batch = hidden_three_ways(source, target, rng=np.random.default_rng(3), rate=0.4, **ids)
    return case(UnifiedWords, Unilm, UnilmConfig(13, **small | UNILM | options), batch, dtype)


PLAIN = {"label_smoothing": 0.0, "loss_form": "cross_entropy"}
V1_1 = {"gated": True, "tied_head": False, "activation": "gelu_tanh"}
MODEL_CASES = LONG_MODELS | {
    "albert": albert,
    "albert of two blocks, computed again": lambda dtype: albert(dtype, n_groups=2, recompute=2),
    "gpt": gpt,
    "gpt untied, post": lambda dtype: gpt(dtype, tied_head=False, norm_order="post"),
    "gpt windows": lambda dtype: gpt(dtype, windows="3,all"),
    "aligned_transformer": aligned_transformer,
    "aligned_transformer causal, pre": lambda dtype: aligned_transformer(
        dtype, full_context=False, aligned_layer=1, aligned_head=1, norm_order="pre"
    ),
    "bert": bert,
    "bert roberta": roberta,
    "bert tutorial": lambda dtype: bert(dtype, "tutorial"),
    "bert text classes": lambda dtype: bert_head(TextClasses, dtype, LABELS, n_classes=3),
    "bert text classes, all poolings": lambda dtype: bert_head(
        TextClasses, dtype, LABELS, segments=False, n_classes=3, pooling="concat", dropout=0.3
    ),
    "bert tags": lambda dtype: bert_head(Tags, dtype, tags(), n_classes=3),
    "bert spans": lambda dtype: bert_head(Spans, dtype, np.array([2, 0, -100, 4]), np.array([5, 0, -100, 4])),
    "gpt text classes": lambda dtype: gpt_head(TextClasses, dtype, pooling="last"),
    "gpt text classes, next token": lambda dtype: gpt_head(TextClassesNextToken, dtype, weight=0.3),
    "awd_lstm": awd_lstm,
    "char_rnn": char_rnn,
    "elmo": elmo,
    "elmo characters": lambda dtype: elmo(
        dtype, words="characters", d_character=3, n_widths=2, n_filters=4, n_highways=1, max_characters=6
    ),
    "gatr": gatr,
    "llama": llama,
    "llama as Mistral and Qwen2": lambda dtype: llama(dtype, n_kv_heads=2, window=3, qkv_bias=True, tied_head=True),
    "llama as GLM": lambda dtype: llama(dtype, rope_share=0.5, rope_neighbours=True, rope_factor=3.0, rope_scaling="yarn"),
    "modernbert": modernbert,
    "llama experts": lambda dtype: llama(dtype, n_experts=3, balance=0.7),
    "nplm": nplm,
    "nplm without direct connections": lambda dtype: nplm(dtype, n=3, direct=False),
    "ntm": ntm,
    "pointer": pointer,
    "recurrent_seq2seq": recurrent_seq2seq,
    "recurrent_seq2seq additive": lambda dtype: recurrent_seq2seq(dtype, attention="additive", cell="gru", n_layers=2),
    "recurrent_seq2seq feeding": lambda dtype: recurrent_seq2seq(dtype, attention="general", wiring="feeding", n_layers=2),
    "recurrent_seq2seq before": lambda dtype: recurrent_seq2seq(
        dtype, attention="additive", wiring="before", readout="maxout", cell="original_gru", n_layers=2, reads_summary=True
    ),
    "recurrent_seq2seq general": lambda dtype: recurrent_seq2seq(dtype, attention="general", reads="right", reads_summary=True),
    "transformer": transformer,
    "transformer untied, pre": lambda dtype: transformer(dtype, tied="none", norm_order="pre", positions="learned"),
    "t5": t5,
    "unilm": unilm,
    "vit": vit,
    "vit simple": lambda dtype: vit(dtype, ViTConfig.simple, "mean"),
    "glove": glove,
    "word2vec": word2vec,
    "word2vec tree": lambda dtype: word2vec(dtype, tree=True),
    "t5 v1.1": lambda dtype: t5(dtype, **V1_1),
}
