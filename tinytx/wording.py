"""Words in messages that depend on a number: singular or plural; and commands to be pasted into a shell."""

import shlex


def counted(n, noun, plural=None):
    """Return a number with its noun, in the singular for 1.

    Parameters
    ----------
    n : int or float
    noun : str
        In the singular.
    plural : str, optional
        Needed where the plural is not the singular with an s.

    Examples
    --------
    >>> counted(1, "thread"), counted(1234, "step"), counted(2, "batch", "batches")
    ('1 thread', '1,234 steps', '2 batches')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


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
