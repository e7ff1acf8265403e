"""t5_tasks: one T5 learns several tasks from text to text, and a prefix says which one is asked for.

Of the held-out pairs of each task (`tinytx.data.small_tasks`) are right: dates 0.995, French 1, next numbers 0.990, words
reversed 0.985 and sorted 0.967. One seed. After 2,000 steps the loss on validation is 0.19, and that of a model of
twice the width, with one block in its decoder and half the learning rate, 0.98.
"""

from dataclasses import replace

from tinytx.data import small_tasks
from tinytx.metrics import exact_match
from tinytx.models import T5Config
from tinytx.recipes import Expect, t5
from tinytx.recipes.pair_texts import PairSettings, measure_pairs, prepare_pairs, report_pairs
from tinytx.recipes.settings import RunSettings
from tinytx.settings import extended, setting
from tinytx.tasks.sequence_to_sequence import LossSettings
from tinytx.wording import command, counted


class TaskSettings(PairSettings):
    """Which pairs are learned, with the task's name in front of each source, and what their tokens are."""

    examples: int = setting(
        20_000, "pairs of each task to generate where no file is given", minimum=100, maximum=50_000,
        only={"pairs": (None,), "source": (None,)},
    )  # fmt: skip


SETTINGS = extended(
    RunSettings, TaskSettings, T5Config, LossSettings, without=("dates", "pad_id", "start_id", "stop_id"),
    shared_vocabulary=True, d_model=64, n_heads=4, d_key=16, d_ff=128, n_encoder_layers=2, n_decoder_layers=2,
    n_buckets=16, max_distance=32, dropout=0.0, label_smoothing=0.0, loss_form="cross_entropy",
    max_tokens=1200, lr=4e-3, beta2=0.98, weight_decay=0.0, report_pairs=1000, steps=5000,
)  # fmt: skip


def generated_tasks(settings):
    """Return (pairs of all tasks, one line that says where they come from)."""
    pairs = small_tasks(settings.examples)
    return pairs, f"{counted(len(pairs), 'generated pair')} of {len(tasks_of(pairs))} tasks"


def prepare(settings, before):
    """Return what is `Prepared`: pairs of texts of all tasks in batches of like lengths."""
    return prepare_pairs(settings, before, t5.t5_config, generate=generated_tasks)


def tasks_of(pairs):
    """Return {task: numbers of its pairs}: a source begins with its task's name, a colon and a space; others are of no task.

    Examples
    --------
    >>> tasks_of([("sort: ba", "ab"), ("next: 9", "10"), ("sort: cb", "bc")])
    {'sort': [0, 2], 'next': [1]}
    """
    numbers = {}
    for i, (source, _) in enumerate(pairs):
        task, colon, _ = source.partition(": ")
        if colon:
            numbers.setdefault(task, []).append(i)
    return numbers


def measure(model, prepared):
    """Return (what `measure_pairs` measures, and the exact match of each task; translations of held-out pairs)."""
    measured, hypotheses = measure_pairs(model, prepared)
    pairs = prepared.kept.pairs
    for task, own in tasks_of(pairs).items():
        measured[task] = exact_match([hypotheses[i] for i in own], [pairs[i][1] for i in own])
    return measured, hypotheses


def report(run, prepared, measured, hypotheses):
    """Print the exact match of each task and some examples; return commands to try next."""
    pairs, asked = prepared.kept.pairs, []
    for task, own in tasks_of(pairs).items():
        print(f"{task:10} {measured[task]:.4f} of {counted(len(own), 'held-out pair')} right")
        asked.append(command("translate", run.folder, pairs[own[0]][0]))
    _, explain, _ = report_pairs(run, prepared, measured, hypotheses)
    return [*asked[:3], explain]


RECIPE = replace(
    t5.RECIPE,
    learns="five generated tasks",
    settings=SETTINGS,
    prepare=prepare,
    measure=measure,
    report=report,
    expect=Expect(exact_match=(0.987, 0.02), step=5000, minutes=1.5),
    about="Train one T5 on five tasks at once: dates, reversing, sorting, counting, and a little French. The prefix of a source, "
    "such as 'sort: ', says which task is asked for. --pairs takes tasks of your own.",
    example="--examples 5000 --steps 1000 --out runs/tasks",
)
