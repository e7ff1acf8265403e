"""Models as Hugging Face's libraries write and read them: folders with config.json and model.safetensors.

``load(folder)``         returns the body or the task that config.json names: ``GPT2LMHeadModel`` is a `NextToken`
``save(model, folder)``  writes a folder that transformers loads, with the same logits

`GPT.from_pretrained(folder)` and ``model.save_pretrained(folder)`` call them. Nothing is fetched from a network: files come
from a model's page, or from ``save_pretrained`` of transformers. Each family of models is a table of names: `FAMILIES`.
"""

import warnings

import numpy as np

from tinytx.files import FileError, as_file_error
from tinytx.hub.albert import ALBERT
from tinytx.hub.bart import BART, MARIAN
from tinytx.hub.bert import BERT
from tinytx.hub.family import Head
from tinytx.hub.folder import CONFIG, FURTHER, read_config, read_further, read_tensors, write_folder
from tinytx.hub.gpt import GPT1, GPT2
from tinytx.hub.llama import GLM, LLAMA, MISTRAL, MIXTRAL, PHI3, QWEN2
from tinytx.hub.longformer import LONGFORMER
from tinytx.hub.modernbert import MODERNBERT
from tinytx.hub.reformer import REFORMER
from tinytx.hub.roberta import ROBERTA
from tinytx.hub.t5 import T5_FAMILY
from tinytx.hub.vit import VIT
from tinytx.hub.xlnet import XLNET
from tinytx.layers.low_rank import adapted_layers
from tinytx.shapes import check_dtype
from tinytx.tasks import Task
from tinytx.wording import counted

ALL = (
    ALBERT, BART, BERT, GLM, GPT1, GPT2, LLAMA, LONGFORMER, MARIAN, MISTRAL, MIXTRAL, MODERNBERT, PHI3, QWEN2, REFORMER, ROBERTA,
    T5_FAMILY, VIT, XLNET,
)  # fmt: skip
FAMILIES = {family.model_type: family for family in ALL}

__all__ = ["FAMILIES", "load", "save"]


def load(folder, *, dtype=None, kind=None):
    """Return the model of a folder, with its weights.

    Parameters
    ----------
    folder : str or Path
        With config.json, and model.safetensors or an index and its parts.
    dtype : float32 or float64, optional
        That of the file, if it is one of these; else float32.
    kind : class, optional
        Of a body or of a task. Without, config.json's "architectures" says what is made.

    Returns
    -------
    Layer
        Its body has ``published``, what config.json holds, with all keys that tinytx does not know, and ``generation``, what
        generation_config.json holds, {} if there is none: `save` writes them.

    Raises
    ------
    FileError
        If files are missing or damaged, the architecture is not known, or is not of ``kind``; or with every name in the
        file that is missing, unexpected, of another shape or no float. A tensor of another published head is no error:
        a warning names it.
    MissingExtra
        If the library safetensors is not installed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from tinytx.models import GPT, GPTConfig
    >>> body = GPT(GPTConfig(20, d_model=16, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    >>> with TemporaryDirectory() as folder:
    ...     files = body.save_pretrained(folder)
    ...     same = load(folder)
    >>> type(same).__name__, same.published["architectures"]
    ('GPT', ['GPT2Model'])
    """
    published = read_config(folder)
    family, head, name = _kind_of(folder, published, kind)
    tensors = read_tensors(folder)
    if dtype is None:
        dtype = np.float64 if {tensor.dtype for tensor in tensors.values()} == {"F64"} else np.float32
    dtype = check_dtype("load", dtype)
    with as_file_error(f"load: {folder}: {name}", f"correct {CONFIG}, or fetch both files again from one place"):
        model, left = family.read_model(published, tensors, head, dtype)
    if left:
        said = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
        warnings.warn(f"load: {folder} also holds {counted(len(left), 'tensor')} that a {type(model).__name__} of it does not "
                      f"have, and that are not read: {said}", stacklevel=2)  # fmt: skip
    body = getattr(model, "body", model)
    body.published = published
    for name, file in FURTHER.items():
        setattr(body, name, read_further(folder, file))
    return model


def save(model, folder):
    """Write a body or a task as a folder that transformers loads.

    Parameters
    ----------
    model : Layer
        Of one of `FAMILIES`.
    folder : str or Path
        It is made if it is missing; files of the same names are replaced.

    Returns
    -------
    list of Path
        What was written: model.safetensors, config.json and, if the model was read with them, generation_config.json and
        preprocessor_config.json.

    Raises
    ------
    ValueError
        If no published architecture is this model: the message names the setting; or maps of it have branches of low rank.
    OSError
        If a file cannot be written; an older one is unchanged.
    MissingExtra
        If the library safetensors is not installed.
    """
    body, adapted = getattr(model, "body", model), list(adapted_layers(model))
    if adapted:
        raise ValueError(
            f"save: {adapted[0]} and {len(adapted) - 1} more are a LowRankLinear, which no published architecture has: "
            "merged = tinytx.layers.low_rank.merge(model) makes one matrix of each, and unmerge(model, merged) puts them back"
        )
    kept = getattr(body, "published", {})
    family, name, head = _published_as(model, body, kept)
    try:
        config = family.write_config(body.config, kept)
    except ValueError as error:
        raise ValueError(f"save: no {name} is this {type(body).__name__}: {error}") from error
    arrays = family.arrays_of(model, head)
    dtype = str(next(iter(arrays.values())).dtype)
    config |= head.keys(model, kept) | {"architectures": [name], "dtype": dtype}
    if "torch_dtype" in config:
        config["torch_dtype"] = dtype
    return write_folder(folder, config, arrays, {file: getattr(body, name, {}) for name, file in FURTHER.items()})


def _kind_of(folder, published, kind):
    """Return (family, head, name of the architecture) of a config.json; raise FileError unless it is of ``kind``."""
    named, model_type = published.get("architectures"), published.get("model_type")
    name = named[0] if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str) else None
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if model_type is None:  # very old files
        family = next((family for family in FAMILIES.values() if name in family.heads), None)
    place = f"load: {folder}/{CONFIG}"
    if family is None:
        raise FileError(f"{place} has model_type {model_type!r:.80}, expected one of {', '.join(FAMILIES)}")
    head = family.heads.get(name)
    body_only = isinstance(kind, type) and not issubclass(kind, Task) and issubclass(family.body, kind)
    if body_only:
        return family, Head(), name or family.model_type
    if head is None:
        raise FileError(
            f'{place} has "architectures" {named!r:.80}, expected one of {", ".join(family.heads)}: name what the file holds; '
            f"{family.body.__name__}.from_pretrained reads the body of any of them"
        )
    held = head.task or family.body
    if kind is not None and not issubclass(held, kind):
        raise FileError(f"{place} says {name}, which is a {held.__name__}, expected a {kind.__name__}: "
                        f"{held.__name__}.from_pretrained reads it")  # fmt: skip
    return family, head, name


def _published_as(model, body, kept):
    """Return (family, name, head) of a model: those of the folder that it was read from, if they are its own."""
    task = type(model) if isinstance(model, Task) else None
    choices = []
    for family in sorted(FAMILIES.values(), key=lambda family: family.model_type != kept.get("model_type")):
        if type(body) is family.body:
            choices += [(len(family.differences(body.config)), family, name, head) for name, head in family.heads.items()
                        if head.task is task and head.fits(model)]  # fmt: skip
    if not choices:
        known = ", ".join(sorted({family.body.__name__ for family in FAMILIES.values()}))
        raise ValueError(
            f"save: no published architecture is a {type(model).__name__} of a {type(body).__name__}, expected bodies of "
            f"{known} and their tasks: tinytx.training.save_checkpoint writes any model"
        )
    said = kept.get("architectures")
    _, family, name, head = min(choices, key=lambda choice: (choice[0], [choice[2]] != said))
    return family, name, head
