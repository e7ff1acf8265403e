"""The logits of one more token, by a program where the model has one."""

from tinytx.decoding.programs.calls import write
from tinytx.decoding.programs.program import NoProgram, Program
from tinytx.kernel import is_plain
from tinytx.ops.few_rows import ROWS


class OneToken:
    """Makes the logits of one more token for each row of a batch.

    The first time that a state is continued by one token, the model is called as ever; the second time its program is written, which takes as
    long as a few tokens. Where there is none, or the program does not fit any more, the model is called.

    Parameters
    ----------
    model : Task
    """

    def __init__(self, model):
        self._model, self._program, self._state, self._has_program = model, None, None, not is_plain()

    def logits(self, new, state):
        """Return the logits (B, V) of the token after new (B, t), or None where the model has to be called."""
        if not self._has_program or new.shape[1] != 1 or len(new) > ROWS or not self._are_ids(new):
            return None
        if self._program is None or not self._program.fits(state, len(new)):
            self._program = self._written(len(new), state)
        return None if self._program is None else self._program.run(new[:, 0])

    def _are_ids(self, new):
        """Return whether all are ids of the vocabulary; the model says what is wrong with others."""
        return new.dtype.kind in "iu" and 0 <= new.min() and new.max() < self._model.vocab_size

    def _written(self, n_rows, state):
        """Return a program, or None where there is none, or where this is the first token that continues the state."""
        if state is not self._state or not state.length:
            self._state = state
            return None
        program = Program(state, n_rows)
        try:
            program.end(write(program, self._model, program.ids))
        except NoProgram:
            self._has_program = False
            return None
        return program if program.fits(state, n_rows) else None
