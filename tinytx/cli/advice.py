"""Commands that are printed to be pasted into a shell."""

import shlex


def command(*words):
    """Return ``python -m tinytx ...`` with each word quoted as a shell needs it.

    Parameters
    ----------
    *words : str, Path or number

    Examples
    --------
    >>> command("sample", "my run", "--prompt", "The ")
    "python -m tinytx sample 'my run' --prompt 'The '"
    """
    return f"python -m tinytx {shlex.join(map(str, words))}"
