import sys

import pytest

from tinytx.extras import MissingExtra, require


def test_returns_the_module_that_was_named():
    import json.decoder

    assert require("json.decoder", "train", "parsing") is json.decoder


@pytest.mark.parametrize("module", ["no_such_module", "no_such_module.inner", "json.no_such_module"])
def test_a_missing_module_names_the_purpose_and_the_command(module):
    package = module.partition(".")[0]
    with pytest.raises(MissingExtra) as caught:
        require(module, "train", "drawing the loss curve")
    assert str(caught.value) == f'drawing the loss curve needs {package}: pip install "tinytx[train]"'
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize("body", ["import no_such_module", "raise ImportError('broken')", "import hal.no_such_part"])
def test_an_installed_module_that_fails_says_so_itself(tmp_path, monkeypatch, body):
    (tmp_path / "half_installed.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError) as caught:
        require("half_installed", "train", "a test")
    assert not isinstance(caught.value, MissingExtra)
    assert "half_installed" not in sys.modules
