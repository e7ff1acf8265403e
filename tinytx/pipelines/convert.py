"""A trained model from the folder of a run to a folder of Hugging Face's form, and back, with its tokenizer."""

from pathlib import Path

from tinytx import hub
from tinytx.data import DataError, save_tokenizer, tokenizer_from_dict
from tinytx.extras import MissingExtra
from tinytx.files import FileError
from tinytx.hub.folder import CONFIG
from tinytx.pipelines.load import TOKENIZERS, remember, tokenizers_of
from tinytx.training import load_checkpoint, save_checkpoint
from tinytx.training.checkpoint import NAME


def holds_run(folder):
    """Return whether a folder is that of a run, and not of Hugging Face's form.

    Raises
    ------
    FileError
        If it is neither.
    """
    run, published = ((Path(folder) / name).exists() for name in (NAME, CONFIG))
    if run == published:
        found = f"both {NAME} and {CONFIG}" if run else f"no {NAME} and no {CONFIG}"
        raise FileError(f"{folder} has {found}, expected one of them: {NAME} of a run, or {CONFIG} as Hugging Face has it")
    return run


def convert(source, target):
    """Write a run's model as Hugging Face's libraries read it, or the model of such a folder as a run.

    Parameters
    ----------
    source, target : str or Path
        Folders; ``target`` is made if it is missing, and must not hold a model.

    Returns
    -------
    model : Layer
    files : list of Path
        What was written, besides a tokenizer's files.
    note : str
        Why no tokenizer was written; "" if one was.

    Raises
    ------
    ValueError
        If ``source`` holds no model, ``target`` holds one, or no published architecture is the run's model.
    MissingExtra
        If the library safetensors is not installed.
    """
    from_run = holds_run(source)
    taken = [name for name in (NAME, CONFIG) if (Path(target) / name).exists()]
    if taken:
        raise FileError(f"{target} has {taken[0]}, expected a folder without a model: choose another one")
    return (_publish if from_run else _adopt)(source, target)


def _publish(source, target):
    """Write the model of a run into a folder of Hugging Face's form; see `convert`."""
    model, _, meta = load_checkpoint(source)
    remember(model, meta)
    files = hub.save(model, target)
    states = [meta[role] for role in TOKENIZERS if role in meta]
    if not states or any(state != states[0] for state in states):
        return model, files, "the run has no tokenizer" if not states else "source and target have tokenizers of their own"
    try:
        save_tokenizer(target, tokenizer_from_dict(states[0]))
    except (ValueError, MissingExtra) as error:
        return model, files, str(error)
    return model, files, ""


def _adopt(source, target):
    """Write the model of a folder of Hugging Face's form as a run; see `convert`."""
    model, tokenizers = hub.load(source), {}
    body = getattr(model, "body", model)
    kept = {"published": body.published} | {name: getattr(body, name) for name in hub.FURTHER}
    try:
        tokenizers = {name: tokenizer.to_dict() for name, tokenizer in tokenizers_of(source, body.published).items()}
        note = "" if tokenizers else "it reads no words"
    except (DataError, MissingExtra) as error:
        note = str(error)
    Path(target).mkdir(parents=True, exist_ok=True)
    return model, [save_checkpoint(target, model, step=0, **kept, **tokenizers)], note
