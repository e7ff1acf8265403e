"""Models: one file for each paper, with a config and a body. A body turns ids, or images, into vectors."""

from tinytx.models.albert import Albert, AlbertConfig
from tinytx.models.aligned_transformer import AlignedTransformer, AlignedTransformerConfig
from tinytx.models.awd_lstm import AwdLSTM, AwdLSTMConfig
from tinytx.models.bert import Bert, BertConfig
from tinytx.models.char_rnn import CharRNN, CharRNNConfig
from tinytx.models.elmo import Elmo, ElmoConfig
from tinytx.models.gatr import Gatr, GatrConfig
from tinytx.models.glove import GloVe, GloVeConfig
from tinytx.models.gpt import GPT, GPTConfig
from tinytx.models.linear_transformer import LinearTransformer, LinearTransformerConfig
from tinytx.models.linformer import Linformer, LinformerConfig
from tinytx.models.llama import Llama, LlamaConfig
from tinytx.models.longformer import Longformer, LongformerConfig
from tinytx.models.modernbert import ModernBert, ModernBertConfig
from tinytx.models.nplm import NPLM, NPLMConfig
from tinytx.models.ntm import NTM, NTMConfig
from tinytx.models.pointer import PointerConfig, PointerNetwork
from tinytx.models.recurrent_seq2seq import RecurrentSeq2Seq, RecurrentSeq2SeqConfig
from tinytx.models.reformer import Reformer, ReformerConfig
from tinytx.models.sparse_transformer import SparseTransformer, SparseTransformerConfig
from tinytx.models.t5 import T5, T5Config
from tinytx.models.transformer import Transformer, TransformerConfig
from tinytx.models.transformer_xl import TransformerXL, TransformerXLConfig
from tinytx.models.unilm import Unilm, UnilmConfig
from tinytx.models.vit import ViT, ViTConfig
from tinytx.models.word2vec import Word2Vec, Word2VecConfig
from tinytx.models.xlnet import XLNet, XLNetConfig

MODELS = {  # name in a checkpoint -> model and config
    "albert": (Albert, AlbertConfig),
    "aligned_transformer": (AlignedTransformer, AlignedTransformerConfig),
    "awd_lstm": (AwdLSTM, AwdLSTMConfig),
    "bert": (Bert, BertConfig),
    "char_rnn": (CharRNN, CharRNNConfig),
    "elmo": (Elmo, ElmoConfig),
    "gatr": (Gatr, GatrConfig),
    "glove": (GloVe, GloVeConfig),
    "gpt": (GPT, GPTConfig),
    "linear_transformer": (LinearTransformer, LinearTransformerConfig),
    "linformer": (Linformer, LinformerConfig),
    "llama": (Llama, LlamaConfig),
    "longformer": (Longformer, LongformerConfig),
    "modernbert": (ModernBert, ModernBertConfig),
    "nplm": (NPLM, NPLMConfig),
    "ntm": (NTM, NTMConfig),
    "pointer": (PointerNetwork, PointerConfig),
    "recurrent_seq2seq": (RecurrentSeq2Seq, RecurrentSeq2SeqConfig),
    "reformer": (Reformer, ReformerConfig),
    "sparse_transformer": (SparseTransformer, SparseTransformerConfig),
    "t5": (T5, T5Config),
    "transformer": (Transformer, TransformerConfig),
    "transformer_xl": (TransformerXL, TransformerXLConfig),
    "unilm": (Unilm, UnilmConfig),
    "vit": (ViT, ViTConfig),
    "word2vec": (Word2Vec, Word2VecConfig),
    "xlnet": (XLNet, XLNetConfig),
}

__all__ = ["MODELS", *(part.__name__ for pair in MODELS.values() for part in pair)]
