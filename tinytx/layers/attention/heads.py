"""How vectors are cut into heads, and put together again: for each kind of multi-head attention."""


def split_heads(x, n_heads):
    """(B, T, H K) -> (B, H, T, K), a view."""
    return x.reshape(*x.shape[:2], n_heads, -1).swapaxes(1, 2)


def merge_heads(x):
    """(B, H, T, K) -> (B, T, H K), the inverse of `split_heads`: swaps the axes back, puts the heads side by side."""
    x = x.swapaxes(1, 2)
    return x.reshape(*x.shape[:2], -1)
