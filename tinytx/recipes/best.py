"""The best validation of a run, and how long ago it was."""

import math
from dataclasses import asdict, dataclass, replace

FOLDER = "best"  # inside the run's folder: sample, translate, fill and --resume take it as they take any run's


@dataclass(frozen=True)
class Best:
    """The best validation so far; a checkpoint holds it, so that a resumed run goes on as a straight one would.

    Attributes
    ----------
    val_loss : float or None
        None before the first validation.
    step : int
        Steps that were taken then.
    waited : int
        Validations since then, none of which was better.
    seen : int
        The step of the last validation.
    """

    val_loss: float | None = None
    step: int = 0
    waited: int = 0
    seen: int = 0

    @classmethod
    def of(cls, meta):
        """Return the best validation in a checkpoint's meta; raise ValueError if no run can have written it."""
        state = meta.get("best") or {}
        if not isinstance(state, dict) or not state.keys() <= vars(cls()).keys():
            raise ValueError(f"--resume: the checkpoint's best validation is {state!r:.80}, expected a loss and a step")
        best = cls(**state)
        loss, steps = best.val_loss, (best.step, best.waited, best.seen)
        if not (loss is None or type(loss) is float and math.isfinite(loss)) or any(type(n) is not int for n in steps):
            raise ValueError(f"--resume: the checkpoint's best validation is {state!r:.80}, expected a loss and a step")
        return best

    def after(self, val_loss, step):
        """Return the best validation after one more."""
        if self.val_loss is None or val_loss < self.val_loss:
            return Best(val_loss, step, 0, step)
        return replace(self, waited=self.waited + 1, seen=step)

    def to_dict(self):
        """Return what `of` reads."""
        return asdict(self)
