"""Words in messages that depend on a number: singular or plural."""


def counted(n, noun, plural=None):
    """Return a number with its noun, in the singular for 1.

    Parameters
    ----------
    n : int
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
