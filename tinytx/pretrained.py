"""Pretrained: how models and tasks are read from folders of Hugging Face's form, and written to them."""

from typing import NamedTuple

import numpy as np


class Pooler(NamedTuple):
    """The linear map that a folder of BERT's kin holds beside the body: what its heads for whole texts begin with.

    Attributes
    ----------
    weight : array (D, D)
    bias : array (D,)
    """

    weight: np.ndarray
    bias: np.ndarray


class Pretrained:
    """Gives a body or a task the methods that users of Hugging Face's libraries expect; `tinytx.hub` does the work.

    Attributes
    ----------
    pooler : Pooler, or None
        Of a body that was read from a folder that holds one. It is not trained with the body: a task whose head has a pooler
        (`tinytx.tasks.TextClasses` with ``pooling="cls"``) begins with its numbers, and trains its own.
    """

    pooler = None

    @classmethod
    def from_pretrained(cls, folder, *, dtype=None):
        """Return the model of a folder that holds ``config.json`` and ``model.safetensors``: `tinytx.hub.load`.

        Parameters
        ----------
        folder : str or Path
            Nothing is fetched from the network.
        dtype : float32 or float64, optional
            That of the file, if it is one of these; else float32.

        Returns
        -------
        cls
            A body reads its part of a file that holds a head as well. A warning names what is not read.

        Raises
        ------
        FileError
            If files are missing or damaged, or hold another model: the message names all that does not fit.
        MissingExtra
            If the library safetensors is not installed: ``pip install "tinytx[hub]"``.
        """
        from tinytx.hub import load  # hub is above: it knows every model

        return load(folder, dtype=dtype, kind=cls)

    def pooled(self, hidden):
        """Return a vector for each text: tanh(pooler(x_0)).

        Parameters
        ----------
        hidden : array (B, T, D)
            What the body returned.

        Returns
        -------
        array (B, D)
            ``pooler_output`` of transformers.

        Raises
        ------
        ValueError
            If the body was read from no folder that holds a pooler.
        """
        if self.pooler is None:
            raise ValueError(f"{type(self).__name__}: there is no pooler: it comes with a folder that holds one")
        return np.tanh(hidden[:, 0] @ self.pooler.weight + self.pooler.bias)

    def save_pretrained(self, folder):
        """Write ``config.json`` and ``model.safetensors`` as Hugging Face's libraries read them: `tinytx.hub.save`.

        Parameters
        ----------
        folder : str or Path
            It is made if it is missing.

        Returns
        -------
        list of Path
            The files that were written.

        Raises
        ------
        ValueError
            If no published architecture is this model: the message names the setting.
        OSError
            If a file cannot be written.
        MissingExtra
            If the library safetensors is not installed.
        """
        from tinytx.hub import save

        return save(self, folder)
