"""What config.json and the files of Reformer say in another way than our settings, and what ours cannot be."""

import pytest
from hub_cases import HUB_CASES, written
from test_encoder_folders import folder_with

pytest.importorskip("safetensors")

import numpy as np  # noqa: E402

from tinytx.files import FileError  # noqa: E402
from tinytx.hub import load  # noqa: E402
from tinytx.hub.folder import write_folder  # noqa: E402

WORDS = "ReformerModelWithLMHead"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attn_layers": ["lsh", "full"]}, r"attn_layers is \['lsh', 'full'\], expected a list of lsh and local"),
        ({"attn_layers": []}, r"attn_layers is \[\], expected a list"),
        ({"attn_layers": [["lsh"]]}, "attn_layers is"),
        ({"axial_pos_embds": True}, "axial_pos_embds is True, expected False"),
        ({"is_decoder": False}, "is_decoder is False, expected True"),
        ({"num_buckets": [4, 8]}, r"n_buckets is \[4, 8\], expected a whole number"),
        ({"num_buckets": None, "max_position_embeddings": "9"}, "max_position_embeddings is '9', expected a whole number"),
        ({"lsh_num_chunks_before": 2}, "lsh_num_chunks_before is 2, expected 1"),
        ({"local_num_chunks_after": 1}, "local_num_chunks_after is 1, expected 0"),
    ],
)
def test_what_is_no_reformer_of_ours_is_refused(tmp_path, changes, says):
    folder_with(tmp_path, WORDS, **changes)
    with pytest.raises(FileError, match=says):
        load(tmp_path)


@pytest.mark.parametrize("key", ["axial_pos_embds", "is_decoder"])
def test_what_is_not_said_is_the_published_default(tmp_path, key):
    folder_with(tmp_path, WORDS, without=[key])
    with pytest.raises(FileError, match=f"{key} is {key[0] == 'a'}, expected"):
        load(tmp_path)


@pytest.mark.parametrize(("length", "n_buckets"), [(12, 4), (16, 8), (4, 2)])
def test_buckets_are_worked_out(tmp_path, length, n_buckets):
    """As there: the largest power of two up to twice the number of chunks."""
    config, arrays = written(HUB_CASES[WORDS](), tmp_path)
    name = "reformer.embeddings.position_embeddings.embedding.weight"
    arrays[name] = np.resize(arrays[name], (length, 8))
    write_folder(tmp_path, config | {"num_buckets": None, "max_position_embeddings": length}, arrays)
    assert load(tmp_path).config.n_buckets == n_buckets


def test_blocks_are_read_by_their_shortest_list(tmp_path):
    assert folder_with(tmp_path, WORDS)["attn_layers"] == ["local", "lsh", "local"]
    config = load(tmp_path).config
    assert (config.kinds, config.n_layers, config.d_key) == ("local,hashed", 3, 5)


def test_the_bias_of_older_files(tmp_path):
    """They hold it by another name alone; today's hold a vector of this name that nothing reads."""
    config, arrays = written(HUB_CASES[WORDS](), tmp_path)
    bias = arrays["lm_head.decoder.bias"]
    write_folder(tmp_path, config, arrays | {"lm_head.bias": bias + 1})
    np.testing.assert_array_equal(load(tmp_path).head.bias.data, bias)
    older = {("lm_head.bias" if name == "lm_head.decoder.bias" else name): array for name, array in arrays.items()}
    write_folder(tmp_path, config, older)
    np.testing.assert_array_equal(load(tmp_path).head.bias.data, bias)
