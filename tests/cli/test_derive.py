"""``python -m tinytx derive``: the list, a derivation with numbers and without, and names that are none."""


def test_list_is_in_reading_order(tinytx):
    result = tinytx("derive")
    names = [line.split()[0] for line in result.out.splitlines() if line.startswith("  ")]
    assert (result.code, result.err) == (0, "")
    assert names[:5] == ["linear", "softmax", "layer_norm", "attention", "cross_entropy"]


def test_derivation(tinytx):
    result, plain = tinytx("derive linear"), tinytx("derive linear", "--plain")
    assert result.code == plain.code == 0
    assert "\n      | dX = [[" in result.out and "\n      | " not in plain.out
    assert "weight: array (3, 2)" in result.out and "Executed on these numbers: " in result.out
    assert "(3)   linear.py:" in plain.out and "dX = dY W^T." in plain.out


def test_unknown_operations(refused):
    assert "layernorm is no operation with a derivation; did you mean layer_norm?" in refused("derive layernorm")
    assert "derive lists them" in refused("derive plain")


def test_introduction(tinytx):
    result = tinytx("derive introduction")
    assert result.code == 0 and result.out.startswith("How to read these pages") and "da = du (∂u/∂a) = 3 du." in result.out
    assert tinytx("derive").out.startswith("New to gradients? First: python -m tinytx derive introduction")
