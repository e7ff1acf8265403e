"""Exercises: an operation's forward is given, its backward is to be written, and is graded.

``sheet``     writes the file
``hints``     the derivation, a step further each time
``grade``     checks what was written
``called``    calls it with arrays that cannot be written to, and says where an error was raised
``variants``  what a backward gives that leaves out a term, or takes one twice: to name a mistake
"""

from tinytx.exercises.grade import grade
from tinytx.exercises.hints import hints
from tinytx.exercises.sheet import function, operations, sheet

__all__ = ["function", "grade", "hints", "operations", "sheet"]
