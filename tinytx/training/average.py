"""The average of several checkpoints of one run, as Vaswani et al. 2017 (section 6.1) use it to translate.

Late in training, the noise of batches moves the weights around a minimum. The mean of several checkpoints is nearer to
the minimum than each of them, and it costs nothing during training.
"""

import numpy as np

from tinytx.arguments import check_list
from tinytx.files import FileError
from tinytx.training.checkpoint import load_checkpoint


def average_checkpoints(folders):
    """Return a model whose every parameter is the mean of the checkpoints' parameters.

    One checkpoint at a time is in memory, and sums are taken in float64.

    Parameters
    ----------
    folders : sequence of str or Path
        Each with a checkpoint that `tinytx.training.save_checkpoint` wrote, all of one config; the paper's base model
        is the average of the last 5.

    Returns
    -------
    model : Layer
        With the dtype of the first checkpoint.
    meta : dict
        The last checkpoint's meta, with the tokenizers and everything else that was saved there.

    Raises
    ------
    TypeError
        If ``folders`` is one folder.
    ValueError
        If there are no folders.
    FileError
        If a checkpoint cannot be read, or its kind of model or config differs from the first one's. The message names
        both folders and every field that differs.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from tinytx.models import GPT, GPTConfig
    >>> from tinytx.tasks import NextToken
    >>> from tinytx.training import save_checkpoint
    >>> config = GPTConfig(vocab_size=5, d_model=8, n_heads=2, n_layers=1)
    >>> with TemporaryDirectory() as one, TemporaryDirectory() as two:
    ...     for seed, folder in enumerate((one, two)):
    ...         path = save_checkpoint(folder, NextToken(GPT(config, rng=np.random.default_rng(seed))))
    ...     model, meta = average_checkpoints([one, two])
    """
    check_list("average_checkpoints", "folders", folders, of="folders")
    folders = list(folders)
    if not folders:
        raise ValueError("average_checkpoints: no folders given, expected at least one")
    model, _, first = load_checkpoint(folders[0])
    meta = first
    sums = {name: array.astype(np.float64) for name, array in model.state_dict().items()}
    for folder in folders[1:]:
        other, _, meta = load_checkpoint(folder)
        _check_same(first, meta, folders[0], folder)
        for name, array in other.state_dict().items():
            sums[name] += array
    model.load_state_dict({name: total / len(folders) for name, total in sums.items()})
    return model, meta


def _check_same(meta, other_meta, folder, other_folder):
    """Raise FileError unless two checkpoints are of one task, one model and one config."""
    own = ("task", "model", "low_rank")
    one, two = ({n: m.get(n) for n in own} | (m.get("task_settings") or {}) | m["config"] for m in (meta, other_meta))
    differing = [
        f"{name} {one.get(name)!r} and {two.get(name)!r}" for name in one | two if one.get(name) != two.get(name)
    ]
    if differing:
        raise FileError(f"average_checkpoints: {folder} and {other_folder} differ in {', '.join(differing)}")
