"""What a case of the table of models is."""

from typing import NamedTuple

import numpy as np
from cases import Seeded

from tinytx.core import Layer


class ModelCase(NamedTuple):
    """A task around the model, every parameter of it random, and a batch of its loss."""

    task: Layer
    batch: tuple


def case(kind, body, config, batch, dtype, **settings):
    """Return the case of a task with settings around a body; dropout of 0.2 is in each, without effect until a tape has a seed."""
    task = kind.around(body, config, rng=np.random.default_rng(0), dtype=dtype, settings=settings)
    make = Seeded(1)
    for parameter in task.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    return ModelCase(task, batch)
