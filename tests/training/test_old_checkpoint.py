"""Checkpoints in which a task's settings stand among those of its model: read as if they stood where they do today."""

import bert_cases
import numpy as np
import pytest
import transformer_cases

from tinytx.files import FileError, load_arrays, save_arrays
from tinytx.models import Bert
from tinytx.tasks import TextClasses
from tinytx.training import load_checkpoint, save_checkpoint

HEADS = {"head": "tied", "next_sentence": True}  # what was in every config of a BERT


def text_classes():
    settings = {"n_classes": 3}
    return TextClasses.around(Bert, bert_cases.config_of(), rng=np.random.default_rng(0), settings=settings)


MODELS = {  # name: the model, and settings that were its body's
    "hidden words": (bert_cases.model_of, HEADS),
    "hidden words, untied": (lambda: bert_cases.model_of("tutorial"), {"head": "untied", "next_sentence": False}),
    "text classes": (text_classes, HEADS),
    "a body alone": (lambda: bert_cases.model_of().body, HEADS),
    "translation": (lambda: transformer_cases.model_of(label_smoothing=0.2), {"label_smoothing": 0.2, "loss_form": "kl_divergence"}),
}


@pytest.mark.parametrize("name", MODELS)
def test_settings_of_the_task_among_those_of_the_model(tmp_path, name):
    """Catches settings that are lost, and heads' settings that a task without these heads is made with."""
    make, old = MODELS[name]
    model = make()
    path = save_checkpoint(tmp_path, model)
    arrays, meta = load_arrays(path)
    own = {key: value for key, value in meta["task_settings"].items() if key not in old}
    save_arrays(path, arrays, meta | {"config": meta["config"] | old, "task_settings": own})
    loaded, _, read = load_checkpoint(tmp_path)
    assert loaded.config == model.config
    assert read["config"] == meta["config"] and read["task_settings"] == meta["task_settings"]
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[path], array, err_msg=path)


@pytest.mark.parametrize("settings", [[1], "head", 7])
def test_settings_that_are_none_are_refused(tmp_path, settings):
    """Catches an error of another kind than FileError."""
    path = save_checkpoint(tmp_path, bert_cases.model_of())
    arrays, meta = load_arrays(path)
    save_arrays(path, arrays, meta | {"config": meta["config"] | HEADS, "task_settings": settings})
    with pytest.raises(FileError):
        load_checkpoint(tmp_path)
