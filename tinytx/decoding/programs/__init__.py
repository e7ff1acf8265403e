"""Programs: the calls that make the logits of one more token, written down once and then made without the interpreter.

`OneToken` is what a session asks; ``program.py`` has the calls, ``calls.py`` says for each kind of layer what they are, and ``loops.py``
has loops that operations do not have.
"""

from tinytx.decoding.programs.one_token import OneToken

__all__ = ["OneToken"]
