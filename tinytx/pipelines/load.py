"""Trained models with their tokenizers, from folders of runs and of Hugging Face, and a clear word where they do not fit."""

from pathlib import Path

from tinytx import hub
from tinytx.data import Tokenizer, load_tokenizer, tokenizer_from_dict
from tinytx.tasks import TASKS
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.wording import command, counted

USE = {  # task -> command
    "hidden_words": "fill", "permuted_words": "fill", "next_token": "sample", "sequence_to_sequence": "translate", "unified_words": "translate",
    "text_classes": "classify", "text_classes_next_token": "classify", "image_classes": "classify",
    "nearby_words": "embeddings", "cooccurrences": "embeddings",
    "next_and_previous": "explain", "pointers": "explain", "bits": "explain",
}  # fmt: skip

TOKENIZERS = ("tokenizer", "source_tokenizer", "target_tokenizer")  # names in a checkpoint


def load_run(folder, *pipelines, own=None):
    """Return the trained model of a folder as the pipeline that uses it.

    Parameters
    ----------
    folder : str or Path
        Of a run, with its checkpoint; or of Hugging Face, with config.json, model.safetensors and the files of a tokenizer
        (`tinytx.hub.load`, `tinytx.data.load_tokenizer`).
    *pipelines : classes
        Those that the caller can use: `Writer`, `Translator`, `Filler`, ... Each has ``tasks`` whose models it is for.
    own : dict, optional
        Models and tasks that are in no table, as for `tinytx.training.load_checkpoint`: the first of ``pipelines``
        takes a task that none of them is for.

    Raises
    ------
    ValueError
        If there is no model, it is for another task, or its tokenizers do not fit it.
    """
    holds_run, is_published = ((Path(folder) / name).exists() for name in (NAME, hub.CONFIG))
    if is_published and not holds_run:
        model = hub.load(folder)
        meta = _published(folder, model)
    else:
        model, _, meta = load_checkpoint(folder, own=own)
        if remember(model, meta):
            meta |= {name: tokenizer_from_dict(meta[name]) for name in TOKENIZERS if name in meta}
    kind = next((cls for cls in type(model).__mro__ if cls in TASKS.values()), None)  # None is a task in no table
    fitting = [pipeline for pipeline in pipelines if kind in pipeline.tasks]
    if own and kind is None and (meta.get("task") or meta["model"]) in own:
        fitting = pipelines
    if not fitting:
        use = f"; for it there is {command(USE[meta['task']], folder)}" if meta.get("task") in USE else ""
        tasks = " or ".join(pipeline.tasks[0].__name__ for pipeline in pipelines)
        raise ValueError(f"{folder} holds {meta['model']} for {type(model).__name__}, expected one for {tasks}{use}")
    return fitting[0].of(model, meta, folder)


def remember(model, meta):
    """Give a run's model what it keeps of a folder of Hugging Face; return whether `tinytx.pipelines.convert` made it of one."""
    body, held = getattr(model, "body", model), isinstance(meta.get("published"), dict)
    if held:
        body.published = meta["published"]
    for name in hub.FURTHER:
        setattr(body, name, meta.get(name, {}))
    return held


def _published(folder, model):
    """Return what a run's checkpoint would say of a model of Hugging Face: its tokenizer, its labels, its kind."""
    body = getattr(model, "body", model)
    task = next((name for name, cls in TASKS.items() if cls is type(model)), None)
    said = {"published": body.published, "preprocessor": body.preprocessor}
    return tokenizers_of(folder, body.published) | said | {"task": task, "model": body.published.get("model_type")}


def tokenizers_of(folder, published):
    """Return the tokenizer of a folder of Hugging Face by each name that a checkpoint knows; {} for a model of images."""
    if "vocab_size" not in published:
        return {}
    return dict.fromkeys(TOKENIZERS, load_tokenizer(folder, published["vocab_size"]))


def read_tokenizer(place, state, size, config, *roles, whose="the tokenizer"):
    """Return the tokenizer of a checkpoint.

    Parameters
    ----------
    place : str or Path
        For messages.
    state : what ``Tokenizer.to_dict`` returned, or anything else that a file may hold; or a Tokenizer
        A Tokenizer was published with the model, so its roles are not compared.
    size : int
        The model's number of tokens.
    config : config of the model
    *roles : str
        Of "pad_id", "start_id", "stop_id": ids that must be those of the config.
    whose : str

    Raises
    ------
    ValueError
        If it is no tokenizer, or not that of the model.
    """
    tokenizer = state if isinstance(state, Tokenizer) else tokenizer_from_dict(state)
    if tokenizer.vocab_size != size:
        facts = f"{whose} has {counted(tokenizer.vocab_size, 'token')}"
        raise ValueError(f"{place}: {facts}, expected {size} from the model")
    for name in () if tokenizer is state else roles:
        if getattr(tokenizer, name) != getattr(config, name):
            facts = f"{name} of {whose} is {getattr(tokenizer, name)}"
            raise ValueError(f"{place}: {facts}, expected {getattr(config, name)} from the model")
    return tokenizer
