"""The logits of one more token, by programs where the model has some."""

from tinytx.decoding.pages import use_large_pages
from tinytx.decoding.programs.calls import write
from tinytx.decoding.programs.program import Inputs, Large, NoProgram, Program, Programs
from tinytx.kernel import is_plain
from tinytx.ops.few_rows import ROWS

SEVERAL = 4  # rows, from which on two threads take half of them each, where no product is large enough to be shared


class OneToken:
    """Makes the logits of one more token for each row of a batch.

    Programs are written when a state is first continued by one token, which takes as long as a few tokens. Where there are none, or they do not
    fit any more, the model is called.

    Parameters
    ----------
    model : Task
    """

    def __init__(self, model):
        self._model, self._programs, self._has_program = model, None, not is_plain()

    def logits(self, new, state):
        """Return the logits (B, V) of the token after new (B, t), or None where the model has to be called."""
        n_rows, n_new = new.shape
        if not self._has_program or n_new != 1 or n_rows > ROWS or not self._are_ids(new):
            return None
        if self._programs is None or not self._programs.fit(state, n_rows):
            self._programs = self._written(state, n_rows) if state.length else None
        return None if self._programs is None else self._programs.run(new[:, 0])

    def _are_ids(self, new):
        """Return whether all are ids of the vocabulary; the model says what is wrong with others."""
        return new.dtype.kind in "iu" and 0 <= min(ids := new[:, 0].tolist()) and max(ids) < self._model.vocab_size  # faster than NumPy's

    def _written(self, state, n_rows):
        """Return programs, or None where there are none."""
        middle, whole = (n_rows + 1) // 2 if n_rows >= SEVERAL else n_rows, slice(0, n_rows)
        inputs = Inputs(ROWS)
        try:
            try:
                halves = [slice(0, middle), slice(middle, n_rows)] if middle < n_rows else [whole]
                programs = [self._program(state, inputs, rows, rows.stop - rows.start, n_rows > 1) for rows in halves]
            except Large:
                programs = [self._program(state, inputs, whole, ROWS, False)]
        except NoProgram:
            self._has_program = False
            return None
        use_large_pages([*programs[0].parameters[1], *(array for _, arrays in programs[0].held for array in arrays)])
        made = Programs(state, n_rows, inputs, programs)
        return made if made.fit(state, n_rows) else None

    def _program(self, state, inputs, rows, height, shares_rows):
        program = Program(state, inputs, rows, height, shares_rows)
        program.logits = write(program, self._model, program.ids)
        if len(program.held) != len(state.slots):
            raise NoProgram("a state with slots of which attention has none")
        return program
