"""Tokenizers in folders as Hugging Face's libraries write them.

::

    tokenizer.json            all rules of a tokenizer; where it is missing, older files make it:
    vocab.json, merges.txt    byte pair encoding: of bytes (GPT-2, RoBERTa, BART), or of words in lower case (GPT-1)
    vocab.txt                 word pieces (BERT): a piece on each line
    added_tokens.json         tokens beside those of the older files, with their ids
    tokenizer_config.json     which special token has which purpose, and settings such as "do_lower_case"
    special_tokens_map.json   the same purposes, in older folders

A folder may come from an untrusted source: nothing in it is executed or unpickled, and files are not parsed if they are
too long. Files of the library sentencepiece (``spiece.model``, ``tokenizer.model``) are not read.
"""

import json
from pathlib import Path

from tinytx.data.reading import DataError, lines_of, read_lines, read_utf8
from tinytx.data.tokenizers.json_tokenizer import JsonTokenizer
from tinytx.data.tokenizers.tokenizer import BERT_SPECIAL
from tinytx.data.tokenizers.tokenizer_json import MOST_CHARACTERS, REMEDY, library_errors
from tinytx.data.tokenizers.wordpieces import WordPieceTokenizer
from tinytx.extras import require
from tinytx.files import atomic_write

KEYS = {"pad": "pad_token", "start": "bos_token", "stop": "eos_token", "unk": "unk_token", "cls": "cls_token",
        "sep": "sep_token", "mask": "mask_token"}  # fmt: skip  # what the two files of settings call each purpose
_END = "</w>"  # the end of a word in GPT-1's vocabulary
_VERSION = "#version: 0.2"  # the first line of a merges.txt
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")  # of an added token


def load_tokenizer(folder, /, vocab_size=None, **roles):
    """Return the tokenizer of a folder.

    Parameters
    ----------
    folder : str or Path
    vocab_size : int, optional
        The number of ids that the model has, if it has more than the tokenizer.
    **roles : str or None
        Special tokens by purpose, in place of those that the folder states: ``pad="<pad>"``; see
        `JsonTokenizer.from_json`.

    Returns
    -------
    JsonTokenizer

    Raises
    ------
    DataError
        If there are no such files, one of them cannot be used, or a special token is not in the vocabulary.
    MissingExtra
        If the library ``tokenizers`` is not installed.
    """
    require("tokenizers", "exchange", "a tokenizer of Hugging Face")
    folder = Path(folder)
    settings = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        settings |= _object(folder / name) if (folder / name).exists() else {}
    stated = {role: _content(settings[key]) for role, key in KEYS.items() if key in settings}
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "tokenizer.json" in names:
        text = _read(folder / "tokenizer.json")
    elif (pairs := {"vocab.json", "merges.txt"} <= names) or "vocab.txt" in names:
        added = _object(folder / "added_tokens.json") if "added_tokens.json" in names else {}
        with library_errors(f"load_tokenizer: {folder}: the files of its vocabulary do not fit"):
            if pairs:
                library = _bpe(_object(folder / "vocab.json"), _merges(folder / "merges.txt"), settings)
            else:
                library = _wordpieces(folder / "vocab.txt", stated, settings)
            text = _with_added(*library, added, settings)
    else:
        files = "tokenizer.json, no vocab.json with merges.txt and no vocab.txt"
        remedy = "write it with transformers: AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
        raise DataError(f"load_tokenizer: {folder} has no {files}: put the model's tokenizer.json there, or {remedy}")
    try:
        return JsonTokenizer.from_json(text, vocab_size, **stated | roles)
    except DataError as error:
        raise DataError(f"load_tokenizer: {folder}: {error}") from error


def save_tokenizer(folder, tokenizer):
    """Write a tokenizer into a folder, for `load_tokenizer` and for Hugging Face's ``AutoTokenizer.from_pretrained``.

    It writes ``tokenizer.json`` (a `JsonTokenizer`'s own, unchanged) and ``tokenizer_config.json``, and the
    vocabulary of byte pairs and word pieces once more in the older files.

    Parameters
    ----------
    folder : str or Path
        Created if it is missing.
    tokenizer : SubwordTokenizer, WordPieceTokenizer or JsonTokenizer

    Raises
    ------
    ValueError
        If no ``tokenizer.json`` can state the tokenizer's rules.
    OSError
        If a file cannot be written; an older file of its name is then unchanged.
    """
    folder, text = Path(folder), tokenizer.to_json()
    ids = {key: getattr(tokenizer, f"{role}_id") for role, key in KEYS.items()}
    settings = {key: None if i is None else tokenizer.names[i] for key, i in ids.items()}
    files = {"tokenizer.json": text, "tokenizer_config.json": _json(settings | {"tokenizer_class": "PreTrainedTokenizerFast"})}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (files | _older_files(json.loads(text))).items():
        with atomic_write(folder / name) as file:
            file.write(content.encode())


def _older_files(state):
    """Return {name: content} of the older files that hold the vocabulary of a tokenizer.json, where they can."""
    model, files = state["model"], {}
    lines = sorted(model["vocab"], key=model["vocab"].get) if isinstance(model["vocab"], dict) else []
    if model.get("type") == "WordPiece" and [model["vocab"][line] for line in lines] == list(range(len(lines))):
        files["vocab.txt"] = "".join(f"{line}\n" for line in lines)
    if model.get("type") == "BPE":
        merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        if not any(set(part) & set(" \n\r") for merge in merges for part in merge):
            files = {"vocab.json": _json(model["vocab"]), "merges.txt": "\n".join([_VERSION, *map(" ".join, merges), ""])}
    added = {token["content"]: token["id"] for token in state["added_tokens"] if token["content"] not in model["vocab"]}
    return files | ({"added_tokens.json": _json(added)} if files and added else {})


def _read(path):
    """Return the text of a file that is not too long to be parsed."""
    if path.is_file() and path.stat().st_size > 4 * MOST_CHARACTERS:
        raise DataError(f"load_tokenizer: {path} has {path.stat().st_size} bytes; {REMEDY}")
    return read_utf8(path, "load_tokenizer")


def _object(path):
    """Return the JSON object of a file."""
    text = _read(path)
    with library_errors(f"load_tokenizer: {path}"):
        state = json.loads(text)
        if not isinstance(state, dict):
            raise ValueError(f"it holds {text!r:.60}, expected a JSON object")
    return state


def _json(value):
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _content(token):
    """Return the name of a special token, which settings give as a str or as an object with its flags."""
    name = token.get("content") if isinstance(token, dict) else token
    if name is not None and not isinstance(name, str):
        raise DataError(f"load_tokenizer: a special token is {name!r:.60}, expected its name; correct tokenizer_config.json")
    return name


def _merges(path):
    """Return the pairs of a merges.txt."""
    lines = lines_of(_read(path))
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    wrong = [pair for pair in pairs if len(pair) != 2]
    if wrong:
        raise DataError(f"load_tokenizer: {path}: {' '.join(wrong[0])!r:.60} is not two parts; {REMEDY}")
    return pairs


def _bpe(vocab, merges, settings):
    """Return the library's tokenizer of byte pairs: of bytes, or of words with "</w>" at their end; and special tokens.

    A token that is neither a first symbol nor made by a merge is special, since no text gives it.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    made = {first + second for first, second in merges}
    special = [name for name in sorted(vocab, key=vocab.get) if len(name.removesuffix(_END)) > 1 and name not in made]
    if vocab.keys() >= set(pre_tokenizers.ByteLevel.alphabet()):
        library, space = Tokenizer(models.BPE(vocab, merges)), settings.get("add_prefix_space", False)
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
        library.decoder = decoders.ByteLevel()
        if {"<s>", "</s>"} <= set(special):
            sep, cls = (("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]))
            library.post_processor = processors.RobertaProcessing(sep, cls, add_prefix_space=space)
    elif any(name.endswith(_END) for name in vocab):
        unk = _content(settings.get("unk_token", "<unk>"))
        library = Tokenizer(models.BPE(vocab, merges, unk_token=unk, end_of_word_suffix=_END))
        library.normalizer = normalizers.BertNormalizer(lowercase=True)
        library.pre_tokenizer, library.decoder = pre_tokenizers.BertPreTokenizer(), decoders.BPEDecoder(_END)
    else:
        raise ValueError(f'{len(vocab)} tokens, expected the 256 bytes among them, or names that end in "{_END}"')
    return library, special


def _wordpieces(path, stated, settings):
    """Return the library's tokenizer of a vocab.txt, and its special tokens."""
    from tokenizers import Tokenizer, normalizers

    lines, lower = set(read_lines(path, "load_tokenizer")), settings.get("do_lower_case", True)
    special = [name for name in dict.fromkeys([*BERT_SPECIAL, *filter(None, stated.values())]) if name in lines]
    library = Tokenizer.from_str(WordPieceTokenizer.from_vocab(path, special, lower=lower).to_json())
    chinese, accents = settings.get("tokenize_chinese_chars", True), settings.get("strip_accents")
    library.normalizer = normalizers.BertNormalizer(lowercase=lower, handle_chinese_chars=chinese, strip_accents=accents)
    return library, special


def _with_added(library, special, added, settings):
    """Return the tokenizer.json of a library's tokenizer after special and added tokens were given to it."""
    from tokenizers import AddedToken

    more = settings.get("additional_special_tokens") or []
    stated = {_content(token): token for token in [*(settings[key] for key in KEYS.values() if key in settings), *more]}
    for name in [*special, *sorted(added, key=added.get)]:
        flags = {"normalized": False} | (stated[name] if isinstance(stated.get(name), dict) else {})
        token = AddedToken(name, **{flag: flags[flag] for flag in _FLAGS if flag in flags})
        token.special = name in special or name in stated
        library.add_tokens([token])
    for name, i in added.items():
        if library.token_to_id(name) != i:
            facts = f"added token {name!r:.60} has id {i!r:.20}, expected {library.token_to_id(name)}"
            raise ValueError(f"{facts}, after the ids of the vocabulary")
    return library.to_str(pretty=True)
