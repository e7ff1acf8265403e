"""Trained models from the folders of their runs, with their tokenizers, and a clear word where they do not fit."""

from tinytx.data import tokenizer_from_dict
from tinytx.tasks import TASKS
from tinytx.training import load_checkpoint
from tinytx.wording import command, counted

USE = {"hidden_words": "fill", "next_token": "sample", "sequence_to_sequence": "translate"}  # task -> command


def load_run(folder, *pipelines, own=None):
    """Return a run's trained model as the pipeline that uses it.

    Parameters
    ----------
    folder : str or Path
    *pipelines : classes
        Those that the caller can use: `Writer`, `Translator`, `Filler`. Each is for the models of one task.
    own : dict, optional
        Models and tasks that are in no table, as for `tinytx.training.load_checkpoint`: the first of ``pipelines``
        takes a task that none of them is for.

    Raises
    ------
    ValueError
        If there is no checkpoint, its model is for another task, or its tokenizers do not fit the model.
    """
    model, _, meta = load_checkpoint(folder, own=own)
    fitting = [pipeline for pipeline in pipelines if isinstance(model, pipeline.task)]
    if own and not fitting and (meta.get("task") or meta["model"]) in own and not isinstance(model, tuple(TASKS.values())):
        fitting = pipelines
    if not fitting:
        use = f"; for it there is {command(USE[meta['task']], folder)}" if meta.get("task") in USE else ""
        tasks = " or ".join(pipeline.task.__name__ for pipeline in pipelines)
        raise ValueError(f"{folder} holds {meta['model']} for {type(model).__name__}, expected one for {tasks}{use}")
    return fitting[0].of(model, meta, folder)


def read_tokenizer(place, state, size, config, *roles, whose="the tokenizer"):
    """Return the tokenizer of a checkpoint.

    Parameters
    ----------
    place : str or Path
        For messages.
    state : what ``Tokenizer.to_dict`` returned, or anything else that a file may hold
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
    tokenizer = tokenizer_from_dict(state)
    if tokenizer.vocab_size != size:
        facts = f"{whose} has {counted(tokenizer.vocab_size, 'token')}"
        raise ValueError(f"{place}: {facts}, expected {size} from the model")
    for name in roles:
        if getattr(tokenizer, name) != getattr(config, name):
            facts = f"{name} of {whose} is {getattr(tokenizer, name)}"
            raise ValueError(f"{place}: {facts}, expected {getattr(config, name)} from the model")
    return tokenizer
