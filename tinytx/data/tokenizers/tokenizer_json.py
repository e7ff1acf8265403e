"""The content of a ``tokenizer.json``: read by the library ``tokenizers``, asked for its parts, changed and written."""

import contextlib
import json

from tinytx.data.reading import DataError

MOST_CHARACTERS = 100_000_000  # of a tokenizer.json: the largest published ones have 35 million
MARK = "\ufdd0"  # a code point that Unicode keeps free of any meaning: it begins the hidden names of special tokens
REMEDY = "get the file again from where it was published"


def json_of(library, tokenizer, *, mask_takes_space=False):
    """Return the content of the ``tokenizer.json`` of the library's tokenizer that has the ids of one of ours.

    Where ours has ``cls`` and ``sep``, the file frames texts by them: ``[CLS] text [SEP] second text [SEP]``. With
    ``mask_takes_space`` the space before a hidden word belongs to it, as to any word of byte pairs.
    """
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing

    if library.get_vocab_size() < tokenizer.vocab_size:
        facts = f"{tokenizer.vocab_size} tokens, expected different names, but there are {library.get_vocab_size()}"
        raise ValueError(f"{type(tokenizer).__name__}: {facts}: name the special tokens differently (special=)")
    mask = tokenizer.names[tokenizer.mask_id] if mask_takes_space and tokenizer.mask_id is not None else None
    library.add_special_tokens([AddedToken(name, lstrip=name == mask, normalized=False, special=True) for name in tokenizer.special])
    if None not in (tokenizer.cls_id, tokenizer.sep_id):
        cls, sep = (tokenizer.names[i] for i in (tokenizer.cls_id, tokenizer.sep_id))
        ids = [(cls, tokenizer.cls_id), (sep, tokenizer.sep_id)]
        single, pair = f"{cls}:0 $A:0 {sep}:0", f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1"
        library.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=ids)
    return library.to_str(pretty=True)


@contextlib.contextmanager
def library_errors(place, remedy=REMEDY):
    """Turn any exception of the library into DataError: it raises Exception itself, and panics of its own type."""
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # KeyboardInterrupt
        raise DataError(f"{place}: {str(error) or type(error).__name__}; {remedy}") from error


def parsed(text):
    """Return the JSON object of a tokenizer.json, without its padding and truncation."""
    if len(text) > MOST_CHARACTERS:
        facts = f"{len(text)} characters, expected at most {MOST_CHARACTERS}"
        raise DataError(f"JsonTokenizer: tokenizer.json has {facts}; {REMEDY}")
    with library_errors("JsonTokenizer: tokenizer.json is not JSON"):
        state = json.loads(text)
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise DataError(f"JsonTokenizer: tokenizer.json is {text!r:.80}, expected an object with a 'model'; {REMEDY}")
    return state | {"padding": None, "truncation": None}


def read(state):
    """Return the library's tokenizer of a JSON object."""
    from tokenizers import Tokenizer as Library

    with library_errors("JsonTokenizer: tokenizers does not accept this tokenizer.json"):
        return Library.from_str(json.dumps(state))


def most_ids(n_tokens):
    """Return how many ids a tokenizer of so many tokens may have: those without a token take memory, too."""
    return 10_000 + 10 * n_tokens


def vocabulary(library):
    """Return {name: id} of all tokens; raise DataError if the largest id would make a table far larger than the file."""
    ids = library.get_vocab(with_added_tokens=True)
    largest = max(ids.values(), default=-1)
    if not 0 <= largest <= most_ids(len(ids)):
        facts = f"{len(ids)} tokens with ids up to {largest}, expected ids without large gaps"
        raise DataError(f"JsonTokenizer: tokenizer.json has {facts}; {REMEDY}")
    return ids


def stated_roles(state):
    """Return {role: name} as a tokenizer.json states them: ``unk`` in its model, ``cls`` and ``sep`` as its frame."""
    with library_errors("JsonTokenizer: tokenizer.json does not say which tokens are special"):
        return _framing(state.get("post_processor") or {}) | _unknown(state["model"])


def _framing(processor):
    """Return the roles of a post-processor that puts one token before a text and one after it."""
    for step in processor.get("processors", [processor]):
        if step.get("type") in ("BertProcessing", "RobertaProcessing"):
            return {"cls": step["cls"][0], "sep": step["sep"][0]}
        if step.get("type") == "TemplateProcessing" and len(step["single"]) == 3 and "Sequence" in step["single"][1]:
            return {role: step["single"][at]["SpecialToken"]["id"] for role, at in (("cls", 0), ("sep", 2))}
    return {}


def _unknown(model):
    if isinstance(model.get("unk_id"), int):
        return {"unk": model["vocab"][model["unk_id"]][0]}
    return {"unk": model["unk_token"]} if model.get("unk_token") in model["vocab"] else {}


def hiding(state, hidden):
    """Return the JSON object in which the names of some special tokens begin with a character that is in no text.

    The names stand in the list of added tokens and in the model's vocabulary, as its unknown token and among its
    merges; a merge of a hidden name is left out, because it would make the token from its parts.
    """
    new = {name: MARK + name for name in hidden}
    added = [token | {"content": new.get(token["content"], token["content"])} for token in state.get("added_tokens") or []]
    model = dict(state["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {new.get(name, name): i for name, i in model["vocab"].items()}
    else:
        model["vocab"] = [[new.get(name, name), score] for name, score in model["vocab"]]
    if model.get("unk_token") in new:
        model["unk_token"] = new[model["unk_token"]]
    if model.get("merges"):
        prefix = model.get("continuing_subword_prefix") or ""
        model["merges"] = [merge for merge in model["merges"] if new.keys().isdisjoint(_names_of(merge, prefix))]
    return state | {"added_tokens": added, "model": model}


def _names_of(merge, prefix):
    """Return the two parts of a merge and the token that it makes; parts inside a word may begin with a prefix."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second, first + second.removeprefix(prefix)
