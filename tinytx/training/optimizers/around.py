"""What optimisers share that stand around another one, which takes the steps."""

from tinytx.training.optimizers.base import Optimizer


def _inner(name):
    """Return a property that reads and writes an attribute of the inner optimiser."""

    def write(self, value):
        setattr(self.optimizer, name, value)

    return property(lambda self: getattr(self.optimizer, name), write)


class Around(Optimizer):
    """Base class: a subclass takes the inner optimiser's `step` inside its own, and keeps ``slots``.

    Parameters
    ----------
    optimizer : Optimizer
        Takes the steps, with its own learning rate, decay and groups.

    Attributes
    ----------
    t, lr
        The inner optimiser's.
    """

    t, lr = _inner("t"), _inner("lr")

    def __init__(self, optimizer):
        if not isinstance(optimizer, Optimizer):
            name = type(self).__name__
            raise TypeError(f"{name}: optimizer is a {type(optimizer).__name__}, expected an Optimizer")
        self.optimizer, self.named, self.settings = optimizer, optimizer.named, optimizer.settings
        self.state = {slot: self._zeros() for slot in self.slots}

    def divide(self):
        """Raise ValueError: the arrays of the two are not divided."""
        place = type(self).__name__
        raise ValueError(f"{place}: the arrays of {place} around {type(self.optimizer).__name__} are not divided: leave divide out")

    def decay_of(self, name):
        """Return the weight decay of a parameter, which is the inner optimiser's."""
        return self.optimizer.decay_of(name)

    def learning_rates(self):
        """Return the inner optimiser's."""
        return self.optimizer.learning_rates()

    def ready(self, scale=1.0):
        """Return the inner optimiser's."""
        return self.optimizer.ready(scale)

    def averaged(self):
        """Return the inner optimiser's."""
        return self.optimizer.averaged()

    def go_on(self):
        """Do as the inner optimiser."""
        self.optimizer.go_on()

    def observe(self, loss):
        """Hand a validation loss on to the inner optimiser."""
        self.optimizer.observe(loss)

    def state_dict(self):
        """Return {name: array}: the inner optimiser's names with "fast." before them, the slots, and "t"."""
        fast = self.optimizer.state_dict()
        return super().state_dict() | {f"fast.{name}": array for name, array in fast.items() if name != "t"}
