"""Tokenizers of the library ``tokenizers``, of every kind that it can make: each model with other rules around it."""

import base64
import json
import struct

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = ["She sells 12 sea-shells, by the sea shore! Ça va?", "the shells she sells are surely sea shells: 3.50 €", "L'été"]
SPECIAL = ["<pad>", "<unk>", "[CLS]", "[SEP]", "<mask>"]
BYTES = [f"<0x{i:02X}>" for i in range(256)]


def charsmap():
    """Return a Precompiled normaliser's table, a double-array trie, in which "S" becomes "z" and nothing else changes."""
    units = [0] * 512
    units[ord("S")] = ord("S") | 1 << 8 | 0x100 << 10  # its label; it has a leaf; which is 0x100 further
    units[ord("S") ^ 0x100] = 0  # the leaf: where in the replacements "S" has its own
    return base64.b64encode(struct.pack("<I512I", 4 * 512, *units) + b"z\0").decode()


NORMALIZERS = {
    "none": lambda: None,
    "bert": lambda: normalizers.BertNormalizer(lowercase=True),
    "bert cased": lambda: normalizers.BertNormalizer(lowercase=False, strip_accents=True),
    "byte level": normalizers.ByteLevel,
    "lower case": normalizers.Lowercase,
    "nfc": normalizers.NFC,
    "nfd": normalizers.NFD,
    "nfkc": normalizers.NFKC,
    "nfkd without accents": lambda: normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()]),
    "nmt": normalizers.Nmt,
    "precompiled": lambda: normalizers.Sequence([normalizers.Precompiled(base64.b64decode(charsmap()))]),
    "llama": lambda: normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
    "replace": lambda: normalizers.Replace(Regex(r"\d+"), "0"),
    "strip": lambda: normalizers.Strip(left=True, right=True),
}
PRE_TOKENIZERS = {
    "none": lambda: None,
    "bert": pre_tokenizers.BertPreTokenizer,
    "byte level": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "byte level with a space": lambda: pre_tokenizers.ByteLevel(add_prefix_space=True),
    "at e": lambda: pre_tokenizers.CharDelimiterSplit("e"),
    "digits": lambda: pre_tokenizers.Digits(individual_digits=True),
    "fives": lambda: pre_tokenizers.FixedLength(length=5),
    "metaspace": lambda: pre_tokenizers.Metaspace(prepend_scheme="always"),
    "metaspace, first": lambda: pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
    "punctuation": lambda: pre_tokenizers.Punctuation("contiguous"),
    "gpt4": lambda: pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}|[^\s\p{L}\p{N}]?\p{L}+|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]),
    "scripts": pre_tokenizers.UnicodeScripts,
    "whitespace": pre_tokenizers.Whitespace,
    "whitespace split": pre_tokenizers.WhitespaceSplit,
}  # fmt: skip
POST_PROCESSORS = {
    "none": lambda: None,
    "bert": lambda: processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
    "roberta": lambda: processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2)),
    "byte level": lambda: processors.ByteLevel(trim_offsets=True),
    "template": lambda: processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
                                                      [("[CLS]", 2), ("[SEP]", 3)]),
    "t5": lambda: processors.TemplateProcessing("$A [SEP]", "$A [SEP] $B [SEP]", [("[SEP]", 3)]),
    "sequence": lambda: processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B", [("[CLS]", 2), ("[SEP]", 3)]),
    ]),
}  # fmt: skip
DECODERS = {
    "none": lambda: None,
    "bpe": decoders.BPEDecoder,
    "byte level": decoders.ByteLevel,
    "ctc": lambda: decoders.CTC("<pad>", "|"),
    "metaspace": decoders.Metaspace,
    "wordpiece": lambda: decoders.WordPiece("##", cleanup=True),
    "llama": lambda: decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)
    ]),
}  # fmt: skip


def _bpe(**options):
    size = dict(vocab_size=90, special_tokens=SPECIAL, show_progress=False)
    names = {"continuing_subword_prefix", "end_of_word_suffix"} & options.keys()
    return models.BPE(unk_token="<unk>", **options), trainers.BpeTrainer(**size, **{name: options[name] for name in names})


def _byte_bpe(**options):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    return models.BPE(**options), trainer


def _unigram():
    trainer = trainers.UnigramTrainer(vocab_size=70, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    return models.Unigram(), trainer


def _wordpiece():
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=SPECIAL, show_progress=False)
    return models.WordPiece(unk_token="<unk>"), trainer


def _words():
    trainer = trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False)
    return models.WordLevel(unk_token="<unk>"), trainer


MODELS = {
    "bpe": _bpe,
    "bpe, fused unknown": lambda: _bpe(fuse_unk=True),
    "bpe with ends": lambda: _bpe(end_of_word_suffix="</w>"),
    "bpe with a prefix": lambda: _bpe(continuing_subword_prefix="##"),
    "bytes": _byte_bpe,
    "bytes, whole words first": lambda: _byte_bpe(ignore_merges=True),
    "unigram": _unigram,
    "unigram, then bytes": _unigram,
    "bpe, then bytes": _bpe,
    "wordpiece": _wordpiece,
    "words": _words,
}


def make(model, normalizer, pre_tokenizer, post_processor, decoder):
    """Return the library's tokenizer of these kinds, trained on `TEXTS`."""
    falls_back = model.endswith("then bytes")
    model, trainer = MODELS[model]()
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = NORMALIZERS[normalizer]()
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[pre_tokenizer]()
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer = _with_bytes(tokenizer) if falls_back else tokenizer
    tokenizer.add_tokens([AddedToken("sea-shells", single_word=True), AddedToken("<new>", lstrip=True, rstrip=True)])
    tokenizer.post_processor = POST_PROCESSORS[post_processor]()
    tokenizer.decoder = DECODERS[decoder]()
    return tokenizer


def _with_bytes(tokenizer):
    """Return the tokenizer that spells what its vocabulary does not have by bytes, as Llama's does."""
    state = json.loads(tokenizer.to_str())
    vocab = state["model"]["vocab"]
    if isinstance(vocab, list):
        vocab += [[name, -20.0] for name in BYTES]
    else:
        vocab |= {name: len(vocab) + i for i, name in enumerate(BYTES)}
    state["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(state))


def _kinds():
    """Yield names of five kinds: each model in seven surroundings, so that every entry of every table occurs."""
    tables = NORMALIZERS, PRE_TOKENIZERS, POST_PROCESSORS, DECODERS
    for n in range(7 * len(MODELS)):
        yield list(MODELS)[n % len(MODELS)], *(list(table)[(n + n // len(MODELS) * k) % len(table)]
                                               for k, table in enumerate(tables))  # fmt: skip


KINDS = {" | ".join(kind): kind for kind in _kinds()}
