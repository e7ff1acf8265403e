"""Do the tests find every mistake of `mutants.SUITE`? Each is made in a copy of the library, by itself, and tested.

Tests named like the changed file run first, then those of its folder, then tests of other folders that use the file; the
first failure ends them. Before that, the unchanged copy must pass the nearest tests of all files. Exit code 1 if fewer
than 97 % of the mutants are found.
"""

import os
import re
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numba  # noqa: F401 - before the forks, which are spared the import
import pytest

from mutants import SUITE, mutated

MUTANTS = SUITE
TOP = Path(__file__).resolve().parents[2]
COPIED = ("tinytx", "tests", "examples", "benchmarks", "README.md", "setup.cfg", "pyproject.toml")
SHARE = 0.97  # of the mutants, which the tests must find
SECONDS = 600  # for the tests of one step: what takes longer hangs, and a mutant that hangs is found
SECONDS_SOUND = 3600  # for the nearest tests of all files, which the copy without a mistake must pass

# Where tests are not named like the file. The first ones of each line are the nearest.
NEAREST = {
    "shapes.py": ["test_shapes.py", "refused/test_refused_gradients.py", "refused/test_refused_arguments.py", "ops/test_allowed_inputs.py"],
    "core.py": ["test_core.py", "layers/test_mixture_of_experts.py", "training/test_trainer.py"],
    "parameter.py": ["test_parameter.py", "test_core.py", "test_members.py", "training/test_trainer.py"],
    "members.py": ["test_members.py", "test_core.py"],
    "files.py": ["test_files.py", "test_hostile_files.py"],
    "kernel.py": ["test_kernel.py", "ops/test_activations.py", "ops/test_dropout.py", "cli/test_main.py"],
    "ops/attention_tiles.py": ["ops/test_attention.py", "ops/test_attention_bias.py", "ops/test_attention_patterns.py"],
    "ops/attention_saved.py": ["ops/test_attention.py", "ops/test_attention_bias.py"],
    "ops/maxout.py": ["ops/test_maxout.py"], "derivations/latex.py": ["book/test_book.py"],
    "ops/pool.py": ["ops/test_pooling.py", "ops/test_properties_of_ops.py"],
    **dict.fromkeys(
        ("ops/recurrent.py", "ops/rnn.py", "ops/gru.py", "ops/original_gru.py", "ops/lstm.py", "ops/mlstm.py"),
        ["ops/test_recurrent.py", "ops/test_plain.py", "ops/test_properties_of_ops.py"],
    ),
    "layers/recurrent_stack.py": ["layers/test_layer_recurrent.py", "layers/test_properties_of_layers.py"],
    "layers/activation_penalty.py": ["models/test_awd_lstm.py"],
    "ops/route.py": ["ops/test_route.py", "layers/test_mixture_of_experts.py"],
    "layers/mixture_of_experts.py": ["layers/test_mixture_of_experts.py"],
    "ops/glove_loss.py": ["training/test_glove_training.py", "ops/test_plain.py", "models/test_glove.py"],
    "data/texts/polar.py": ["data/texts/test_polar.py"],
    "metrics/logistic.py": ["metrics/test_logistic.py"],
    "recipes/ulmfit.py": ["recipes/test_train_ulmfit.py"],
    "recipes/sentiment_unit.py": ["recipes/test_train_sentiment_unit.py"],
    "data/word_pairs.py": ["data/test_word_pairs.py"],
    "training/glove.py": ["training/test_glove_training.py", "training/test_pair_trainer.py"],
    "tasks/cooccurrences.py": ["models/test_glove.py", "models/test_every_model.py"],
    "ops/logistic_rows.py": ["training/test_word2vec_training.py", "ops/test_plain.py", "models/test_word2vec.py"],
    "training/word2vec.py": ["training/test_word2vec_training.py", "training/test_word_trainer.py"],
    "data/huffman.py": ["data/test_huffman.py", "models/test_word2vec.py"],
    "tasks/nearby_words.py": ["models/test_word2vec.py", "models/test_every_model.py"],
    **dict.fromkeys(("ops/batch_norm.py", "layers/batch_norm.py"), ["layers/test_batch_norm.py", "layers/test_properties_of_layers.py"]),
    "ops/segment_scores.py": ["ops/test_plain.py"],
    "ops/relative_scores.py": ["ops/test_plain.py", "layers/test_segment_memory.py"],
    **dict.fromkeys(("layers/attention/relative.py", "layers/attention/segment_memory.py"), ["layers/test_segment_memory.py", "models/test_queries_and_keys.py"]),
    "layers/attention/dot_product.py": ["layers/test_layer_attention.py", "models/test_queries_and_keys.py"],
    **dict.fromkeys(("layers/attention/relative_segments.py", "layers/attention/two_streams.py"), ["layers/test_two_streams.py"]),
    "layers/masks.py": ["layers/test_layer_masks.py"],
    "models/xlnet.py": ["models/test_xlnet.py", "models/test_every_model.py"],
    "tasks/permuted_words.py": ["models/test_xlnet.py"],
    "recipes/xlnet.py": ["recipes/test_train_xlnet.py"],
    "ops/conv1d.py": ["ops/test_properties_of_ops.py", "ops/test_conv1d.py"],
    "ops/patches.py": ["ops/test_patches.py", "ops/test_properties_of_ops.py"],
    "ops/word_dropout.py": ["ops/test_dropout.py", "ops/test_plain.py"],
    "layers/embedding.py": ["models/test_transformer_decoding.py", "models/test_vit.py"],
    "tasks/classes.py": ["tasks"],
    "data/images.py": ["data/test_images.py"],
    "recipes/digits.py": ["recipes/test_train_digits.py"],
    "ops/rotate.py": ["ops/test_positions.py", "layers/test_layer_rotary.py", "ops/test_properties_of_ops.py"],
    "layers/rotary.py": ["layers/test_layer_rotary.py"],
    "ops/alibi.py": ["layers/test_layer_rotary.py"],
    "ops/gelu.py": ["ops/test_activations.py", "ops/test_properties_of_ops.py"],
    "layers/linear.py": ["layers/test_layer_init.py", "models/test_bert.py"],
    "layers/layer_norm.py": ["models/test_settings_reach_layers.py", "layers/test_properties_of_layers.py"],
    "models/config.py": ["models/test_bert_errors.py", "models/test_transformer_decoding.py"],
    "models/stacks.py": ["models/test_settings_reach_layers.py", "models/test_bert.py", "models/test_every_model.py"],
    **dict.fromkeys(
        ("models/recurrent_seq2seq.py", "models/recurrent_decoder.py", "models/attention_in_loop.py"),
        ["models/test_recurrent_seq2seq.py", "oracle/test_oracle_recurrent_seq2seq.py", "models/test_queries_and_keys.py"],
    ),
    "models/encoder_decoder.py": ["models/test_every_model.py"],
    **dict.fromkeys(
        ("ops/sparse_attention.py", "layers/attention/sparse.py", "models/sparse_transformer.py"),
        ["models/test_sparse_transformer.py", "ops/test_plain.py", "layers/test_properties_of_layers.py"],
    ),
    **dict.fromkeys(
        ("ops/lsh_attention.py", "layers/attention/hashed.py", "models/reformer.py"),
        ["models/test_reformer.py", "ops/test_plain.py", "layers/test_properties_of_layers.py", "oracle/test_oracle_reformer.py", "models/test_queries_and_keys.py"],
    ),
    **dict.fromkeys(
        ("ops/linear_attention.py", "layers/attention/linear_attention.py"),
        ["models/test_linear_transformer.py", "layers/test_properties_of_layers.py"],
    ),
    **dict.fromkeys(
        ("ops/global_window_attention.py", "layers/attention/global_window.py", "models/longformer.py"),
        ["models/test_longformer.py", "ops/test_plain.py", "layers/test_properties_of_layers.py", "oracle/test_oracle_longformer.py"],
    ),
    **dict.fromkeys(("models/linformer.py", "layers/attention/compressed.py"), ["models/test_linformer.py"]),
    "layers/attention/single_head.py": ["models/test_recurrent_seq2seq.py"],
    **dict.fromkeys(("layers/character_words.py", "layers/highway.py"), ["layers/test_character_words.py"]),
    "models/unilm.py": ["models/test_unilm.py"],
    "tasks/unified_words.py": ["models/test_unilm.py"],
    "tasks/next_and_previous.py": ["models/test_elmo.py"],
    "tasks/heads.py": ["tasks"],
    "tasks/task.py": ["tasks", "layers/test_mixture_of_experts.py", "models/test_gatr.py"],
    "recipes/longformer.py": ["recipes/test_train_longformer.py"],
    "recipes/roberta.py": ["recipes/test_train_bert.py"],
    "recipes/bart.py": ["recipes/test_train_noised.py"],
    "recipes/mixtral.py": ["recipes/test_train_mixtral.py"],
    "recipes/t5_tasks.py": ["recipes/test_train_t5_tasks.py"],
    "recipes/recurrent_seq2seq.py": ["recipes/test_train_recurrent_seq2seq.py"],
    "recipes/unilm.py": ["recipes/test_train_unilm.py"],
    "recipes/t5_text.py": ["recipes/test_train_noised.py"],
    "recipes/elmo.py": ["recipes/test_train_elmo.py"],
    "recipes/awd_lstm.py": ["recipes/test_train_awd_lstm.py"],
    "recipes/nplm.py": ["recipes/test_train_nplm.py"],
    **dict.fromkeys(("recipes/word2vec.py", "recipes/neighbours.py"), ["recipes/test_train_word2vec.py"]),
    "recipes/glove.py": ["recipes/test_train_glove.py"],
    "training/descent_trainer.py": ["training/test_word_trainer.py", "training/test_pair_trainer.py"],
    "recipes/texts.py": ["recipes/test_train_nplm.py", "recipes/test_train_gpt.py"],
    "recipes/reviews.py": ["recipes/test_train_reviews.py"],
    **dict.fromkeys(("layers/attention/pointer.py", "ops/additive_scores.py"), ["models/test_pointer.py"]),
    "models/pointer.py": ["models/test_pointer.py"],
    "tasks/pointers.py": ["models/test_pointer.py"],
    **dict.fromkeys(("ops/addressing.py", "layers/memory.py", "tasks/bits.py"), ["models/test_ntm.py", "layers/test_layer_recurrent.py"]),
    "ops/multivector.py": ["ops/test_multivectors.py"],
    **dict.fromkeys(
        ("ops/geometric_product.py", "ops/equivariant_linear.py", "ops/equivariant_norm.py", "ops/distance_features.py"),
        ["ops/test_multivectors.py", "ops/test_properties_of_ops.py", "ops/test_plain.py"],
    ),
    **dict.fromkeys(("models/gatr.py", "tasks/motion.py"), ["models/test_gatr.py", "models/test_every_model.py"]),
    "data/bodies.py": ["data/test_bodies.py"],
    "recipes/gatr.py": ["recipes/test_train_gatr.py"],
    "layers/geometric.py": ["layers/test_layer_geometric.py", "layers/test_properties_of_layers.py"],
    **dict.fromkeys(
        ("models/aligned_transformer.py", "tasks/aligned_sequence_to_sequence.py"), ["models/test_aligned_transformer.py"]
    ),
    "data/texts/dictionary.py": ["data/texts/test_dictionary.py"],
    "metrics/alignment.py": ["metrics/test_alignment.py"],
    **{f"recipes/{name}.py": [f"recipes/test_train_{name}.py"] for name in ("alignment", "ntm", "pointer", "tags")},
    "data/texts/tagged.py": ["data/texts/test_tagged.py"],
    "training/checkpoint.py": ["training/test_checkpoint.py", "training/test_freezing.py", "layers/test_low_rank.py", "hub/test_families.py"],
    "training/old_checkpoint.py": ["training/test_old_checkpoint.py", "cli/test_old_checkpoints.py"],
    **{f"training/optimizers/{name}.py": ["training/test_optimizers.py"] for name in ("adagrad", "adam", "lamb", "radam", "sgd")},
    "training/optimizers/base.py": ["training/test_freezing.py", "training/test_optimizers.py", "training/test_groups.py"],
    "training/optimizers/groups.py": ["training/test_groups.py", "training/test_freezing.py"],
    "training/trainer.py": ["training/test_trainer.py", "training/test_by_layer.py"],
    **{f"{n}.py": [f"{n.replace('/', '/test_')}.py"] for n in "training/by_layer training/loop viz/report_page viz/braille cli/watch".split()},
    "lock.py": ["test_lock.py"], "recipes/run_folder.py": ["recipes/test_run_of_a_folder.py"],
    "training/shards.py": ["training/test_shards.py", "training/test_trainer.py"],
    "decoding/results.py": ["decoding"],
    "decoding/sessions.py": ["decoding"],
    "decoding/beam.py": ["decoding/test_beam.py", "decoding/test_rules.py", "oracle/test_oracle_hub_generate.py"],
    "decoding/generate.py": ["decoding/test_generate.py", "decoding/test_rules.py"],
    "pipelines/attention.py": ["cli/test_attention_command.py"],
    "pipelines/asked.py": ["pipelines/test_published.py", "pipelines/test_pipeline.py"],
    "viz/attention_parts.py": ["viz/test_attention_page.py"],
    "viz/memory_picture.py": ["viz/test_pictures_of_pointers.py"],
    "viz/attention_pictures.py": ["viz/test_attention_maps.py", "viz/test_pictures_of_pointers.py"],
    "settings.py": ["test_settings.py"],
    "hub/family.py": ["hub/test_reformer_folders.py", "hub/test_families.py", "hub/test_configs.py", "hub/test_hostile_folders.py"],
    "hub/t5.py": ["oracle/test_oracle_hub.py"],
    "hub/longformer.py": ["hub/test_encoder_folders.py", "hub/test_families.py", "oracle/test_oracle_hub.py"],
    "hub/xlnet.py": ["hub/test_encoder_folders.py", "oracle/test_oracle_hub.py"],
    "hub/__init__.py": ["hub/test_families.py", "hub/test_configs.py", "pipelines/test_pictures.py", "oracle/test_oracle_hub.py"],
    "workers/interruption.py": ["training/test_interrupted_steps.py"],
    "recipes/settings.py": ["cli/test_digests_and_codes.py", "cli/test_run_settings.py", "recipes/test_train_transformer.py"],
    "recipes/recipe.py": ["recipes/test_reproduce.py"],
    "recipes/data_files.py": ["recipes/test_data_command.py"],
    "cli/reproduce.py": ["recipes/test_reproduce.py"],
    "recipes/bert_rows.py": ["recipes/test_bert_rows.py", "recipes/test_train_bert.py"],
    "recipes/train.py": ["recipes/test_train_ulmfit.py"],
    "recipes/rates.py": ["cli/test_digests_and_codes.py", "recipes/test_rates.py"],
    "recipes/pair_texts.py": ["cli/test_digests_and_codes.py", "recipes/test_train_transformer.py"],
    "pipelines/fill.py": ["cli/test_fill.py", "recipes/test_train_xlnet.py"],
    "pipelines/pages/texts.py": ["cli/test_explain.py", "cli/test_explain_recurrent.py"],
    **dict.fromkeys(
        (f"pipelines/pages/{name}.py" for name in ("states", "layout", "explanation", "pointing", "copying", "both_ways")),
        ["cli/test_explain_recurrent.py", "cli/test_explain.py"],
    ),
    "data/batches/copies.py": ["recipes/test_train_ntm.py"],
    "pipelines/images.py": ["pipelines/test_pictures.py"],
    "pipelines/translate.py": ["cli/test_translate.py"],
    "testing/walk.py": ["testing/test_first_wrong_op.py"],
    "testing/problem.py": ["testing/test_gradcheck_targets.py"],
    "testing/tensor_comparison.py": ["testing/test_gradcheck.py", "testing/test_gradcheck_targets.py"],
    "testing/promises.py": ["testing/test_layer_checks.py", "layers/test_properties_of_layers.py"],
}
# Tables with a line for each operation or layer: of these, the lines that are named like the file.
PROPERTIES = {"ops": ["ops/test_properties_of_ops.py"], "layers": ["layers/test_properties_of_layers.py"]}
# Folders, and what else uses what is in them.
WIDER = {
    "": ["test_core.py", "training", "layers", "models"],
    "ops": ["ops", "oracle/test_oracle_ops.py", "layers", "training/test_trainer.py", "models"],
    "layers": ["layers", "models", "training/test_trainer.py", "oracle"],
    "models": ["models", "tasks", "training", "oracle", "cli"],
    "tasks": ["tasks", "models", "training", "oracle", "cli"],
    "training": ["training", "oracle/test_optimizers_oracle.py", "cli"],
    "data": ["data", "cli", "examples"],
    "metrics": ["metrics", "oracle/test_oracle_bleu.py", "cli"],
    "decoding": ["decoding", "models", "oracle", "cli"],
    "testing": ["testing", "test_properties.py", "layers", "bug_zoo"], "derivations": ["derivations", "book"], "exercises": ["exercises"], "book": ["book"],
    "workers": ["workers", "training", "decoding"],
    "vectors": ["vectors", "viz", "cli"],
    "viz": ["viz", "cli"],
    "hub": ["hub", "oracle/test_oracle_hub.py"],
    "pipelines": ["pipelines", "cli"],
    "recipes": ["recipes", "cli"],
    "cli": ["cli", "examples"],
}


def steps_of(file):
    """Return the tests for a file of the library: (paths below tests/, words that choose among them), the nearest first."""
    folder, _, name = file.rpartition("/")
    top = folder.partition("/")[0]
    there = TOP / "tests" / folder
    here = there if there.is_dir() else TOP / "tests" / top
    stem = name.removesuffix(".py")
    own = [path.relative_to(TOP / "tests").as_posix() for path in sorted(here.glob("test_*.py")) if stem in path.stem]
    near = [*(NEAREST.get(file) or own or [top]), *PROPERTIES.get(top, [])]
    stems = f"{stem} or {stem.replace('_', '')} or not test_properties_of"
    return [(near, stems), (["test_docstrings.py", *WIDER[top]], "")]


class Copy:
    """A copy of the library and its tests in a folder of its own, with compiled kernels that mutants do not touch."""

    def __init__(self, folder):
        self.folder, self.kernels, self.sound = folder / "copy", folder / "kernels", folder / "sound"
        for name in COPIED:
            source, target = TOP / name, self.folder / name
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            if source.is_dir():
                shutil.copytree(source, target, ignore=ignored)  # keeps the times of files, by which Numba knows them
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        self.sound.mkdir()

    def test(self, paths, words="", seconds=SECONDS):
        """Return (whether the tests found something, which test or why): tests below ``paths``, ``words`` as pytest's -k."""
        log = self.folder / "log"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fork beside the threads of BLAS, which come up again by themselves
            child = os.fork()
        if not child:
            self._run_pytest([f"tests/{path}" for path in paths], words, log)
        limit = time.monotonic() + seconds
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            time.sleep(0.02)
            if time.monotonic() > limit:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return True, f"no end after {seconds} s"
        out = self.log()
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", out, re.MULTILINE)
        return ended[1] != 0, failed[1].removeprefix("tests/") if failed else out.strip()[-300:]

    def log(self):
        """Return what the tests printed last."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _run_pytest(self, paths, words, log):
        """Run pytest in this process, a fork, which has imported what is slow to import and nothing of the copy; and end."""
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.dup2(1, 2)
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = sys.path[0] = str(self.folder)
            for name in [name for name in sys.modules if name.partition(".")[0] == "mutants"]:
                del sys.modules[name]  # ours; the tests have their own
            options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-rfE", "-k", words]
            code = int(pytest.main([*options, *(path for path in paths if Path(path).exists())]))
            sys.stdout.flush()
            os._exit(code)
        finally:
            os._exit(99)

    def examine(self, mutant, most=None):
        """Return (whether the mutant is found, by what) in the first steps of tests, or in all."""
        path = self.folder / "tinytx" / mutant.file
        text = mutated(path.read_text(encoding="utf-8"), mutant)
        kept = self.sound / "file"
        shutil.copy2(path, kept)
        fill(self.kernels, self.sound / "kernels")
        path.write_text(text, encoding="utf-8")
        try:
            for paths, words in steps_of(mutant.file)[:most]:
                found, what = self.test(paths, words)
                if found:
                    return True, what
            return False, "survives"
        finally:
            shutil.copy2(kept, path)
            shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)


def fill(folder, source):
    """Make a folder a copy of another one, or empty."""
    shutil.rmtree(folder, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, folder)


def run(mutants, arguments):
    """Examine the mutants one after the other and print what found them; return 1 if too many survive."""
    os.nice(10)
    began, survivors = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        os.environ |= {"NUMBA_CACHE_DIR": str(copy.kernels), "PYTHONDONTWRITEBYTECODE": "1"}
        numba.config.reload_config()
        sys.dont_write_bytecode = True
        first = {path for mutant in mutants for path in steps_of(mutant.file)[0][0]}
        words = " or ".join(sorted({steps_of(mutant.file)[0][1] for mutant in mutants}))
        wrong, what = copy.test(sorted(first), words, SECONDS_SOUND)
        if wrong:
            print(f"the copy without any mistake fails: {what}\n{copy.log()}")
            return 1
        fill(copy.sound / "kernels", copy.kernels)
        print(f"{len(mutants)} mutants; the sound copy passes, {time.monotonic() - began:.0f} s", flush=True)
        start = time.monotonic()
        for number, mutant in enumerate(mutants, start=1):
            before = time.monotonic()
            found, what = copy.examine(mutant, 1 if arguments.near else None)
            now = time.monotonic()
            left = (now - start) / number * (len(mutants) - number)
            word = "found   " if found else "SURVIVES"
            print(f"{word} {now - before:4.0f} s, {left:5.0f} s left  {mutant.file}: {mutant.name}  <- {what}", flush=True)
            survivors += [] if found else [mutant]
    share = 1 - len(survivors) / len(mutants)
    print(f"\n{len(mutants)} mutants, {len(survivors)} survive, {share:.1%} found, {time.monotonic() - began:.0f} s")
    print(*(f"  {mutant.file}: {mutant.name}" for mutant in survivors), sep="\n")
    return 0 if share >= SHARE else 1
