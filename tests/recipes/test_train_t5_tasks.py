"""``train t5_tasks``: each task is measured on its own pairs, and told by the prefix alone."""

from run_files import records

from tinytx.data import small_tasks
from tinytx.recipes import t5_tasks
from tinytx.recipes.t5_tasks import RECIPE, measure, prepare, tasks_of


def test_a_file_has_tasks_of_its_own(trained):
    folder, (_, out, _) = trained("t5_tasks")
    last = records(folder)[-1]
    assert {"french", "back", "exact_match"} <= last.keys() and "date" not in last
    assert all(f"{task:10} {last[task]:.4f} of " in out for task in ("french", "back"))


def test_each_task_is_measured(monkeypatch):
    """A model that sorts always, reverses half of the words and does nothing else; catches measures of other pairs."""
    prepared = prepare(RECIPE.settings(examples=100), None)
    pairs, others = prepared.kept.pairs, []

    def says(model, prepared):
        reversed_ones = [i for i, (source, _) in enumerate(pairs) if source.startswith("reverse: ")]
        right = {i for i, (source, _) in enumerate(pairs) if source.startswith("sort: ")} | {*reversed_ones[::2]}
        others.append(-(-len(reversed_ones) // 2) / len(reversed_ones))
        return {}, [target if i in right else "" for i, (_, target) in enumerate(pairs)]

    monkeypatch.setattr(t5_tasks, "measure_pairs", says)
    measured, _ = measure(None, prepared)
    assert measured == {"date": 0, "reverse": others[0], "sort": 1, "next": 0, "french": 0}


def test_all_tasks_are_in_each_part():
    """As often as the settings say; and words that look like prefixes are no tasks."""
    prepared = prepare(RECIPE.settings(examples=100), None)
    tokenizer = prepared.kept.tokenizers[0]
    read = [tokenizer.decode(row[row != 0]) for step in range(40) for row in prepared.batch(step)[0]]
    assert {text.partition(":")[0] for text in read} == {"date", "reverse", "sort", "next", "french"}
    assert prepared.lines[0].startswith("Pairs: 500 generated pairs of 5 tasks; ")
    assert {source for source, _ in prepared.kept.pairs} <= {source for source, _ in small_tasks(100)}
    assert tasks_of([("no task, at 12:30", "x"), ("a: b", "c"), ("a: c", "d")]) == {"a": [1, 2]}
