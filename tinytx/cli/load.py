"""Trained models from the folders of their runs, with their tokenizers, and a clear word where they do not fit."""

from typing import NamedTuple

from tinytx.cli.advice import command
from tinytx.data import CharTokenizer, Tokenizer, tokenizer_from_dict
from tinytx.models import Bert, Transformer
from tinytx.tasks import NextToken
from tinytx.training import load_checkpoint
from tinytx.wording import counted

USES = {"bert": "fill", "gpt": "sample", "transformer": "translate"}  # the command that uses a model


class Translator(NamedTuple):
    """A trained Transformer and what turns texts into ids, and ids into texts."""

    model: Transformer
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer


class Writer(NamedTuple):
    """A trained GPT and its tokenizer."""

    model: NextToken
    tokenizer: CharTokenizer


class Filler(NamedTuple):
    """A trained BERT and its tokenizer."""

    model: Bert
    tokenizer: Tokenizer


def load_run(folder, kinds):
    """Return the `Translator`, the `Writer` or the `Filler` of a run's folder.

    Parameters
    ----------
    folder : str or Path
    kinds : tuple of str
        Of ``"bert"``, ``"gpt"``, ``"transformer"``: what the caller can use.

    Raises
    ------
    ValueError
        If there is no checkpoint, it holds another kind of model, or its tokenizers do not fit the model.
    """
    model, _, meta = load_checkpoint(folder)
    kind = meta["model"]
    if kind not in kinds:
        use = f"; for it there is {command(USES[kind], folder)}" if kind in USES else ""
        raise ValueError(f"{folder} holds a {kind}, expected a {' or a '.join(kinds)}{use}")
    if kind == "gpt":
        tokenizer = CharTokenizer.from_dict(meta.get("tokenizer"))
        if tokenizer.vocab_size != model.config.vocab_size:
            raise ValueError(
                f"{folder}: CharTokenizer of {counted(tokenizer.vocab_size, 'character')}, expected "
                f"{model.config.vocab_size} from the model"
            )
        return Writer(model, tokenizer)
    if kind == "bert":
        return Filler(model, read_tokenizer(folder, meta, model.config))
    return Translator(model, *read_tokenizers(folder, meta, model.config))


def read_tokenizer(folder, meta, config):
    """Return the tokenizer of a BERT's checkpoint, checked against its config."""
    tokenizer = tokenizer_from_dict(meta.get("tokenizer"))
    if tokenizer.vocab_size != config.vocab_size:
        facts = f"the tokenizer has {counted(tokenizer.vocab_size, 'token')}"
        raise ValueError(f"{folder}: {facts}, expected {config.vocab_size} from the model")
    if tokenizer.pad_id != config.pad_id:
        facts = f"pad_id of the tokenizer is {tokenizer.pad_id}"
        raise ValueError(f"{folder}: {facts}, expected {config.pad_id} from the model")
    if tokenizer.mask_id is None or (tokenizer.cls_id is None) != (tokenizer.sep_id is None):
        expected = "expected one that hides a word, and both of [CLS] and [SEP] or neither"
        raise ValueError(f"{folder}: the tokenizer's special tokens are {tokenizer.special}, {expected}")
    return tokenizer


def read_tokenizers(folder, meta, config):
    """Return (source tokenizer, target tokenizer) of a Transformer's checkpoint, checked against its config."""
    found = []
    for side in ("source", "target"):
        tokenizer = tokenizer_from_dict(meta.get(f"{side}_tokenizer"))
        size = getattr(config, f"{side}_vocab_size")
        if tokenizer.vocab_size != size:
            facts = f"the {side}'s tokenizer has {counted(tokenizer.vocab_size, 'token')}"
            raise ValueError(f"{folder}: {facts}, expected {size} from the model")
        for name in ("pad_id", "start_id", "stop_id"):
            if getattr(tokenizer, name) != getattr(config, name):
                facts = f"{name} of the {side}'s tokenizer is {getattr(tokenizer, name)}"
                raise ValueError(f"{folder}: {facts}, expected {getattr(config, name)} from the model")
        found.append(tokenizer)
    return tuple(found)


def note_unknown(say, tokenizer, text):
    """Say which pieces of a text the vocabulary does not hold, and as what they are read: ``<unk>``, ``<oov>``."""
    unknown = list(dict.fromkeys(tokenizer.unknown(text)))
    if not unknown:
        return
    shown = ", ".join(map(repr, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    hint = "" if tokenizer.unknown(text.lower()) else "; in lower case, all of it is known"
    read_as = tokenizer.names[tokenizer.unk_id]
    say(f"Note: not in the vocabulary, read as {read_as}: {shown} in {text!r:.60}{hint}")
