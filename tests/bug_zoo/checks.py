"""The checks that tell a fault from its original, each a function (specimen, fault) that raises where it objects."""

import numpy as np

from tinytx.testing import batch_check, gradcheck, leak_check, padding_check
from tinytx.testing.problem import make_problem
from tinytx.testing.promises import check_arguments_unmodified, check_gradients_accumulate, check_shapes_and_dtypes


def report(specimen, **settings):
    """Return gradcheck's `Report` of a specimen."""
    s = specimen
    return gradcheck(s.target, *s.inputs, backward=s.backward, options=s.options or None, tape=s.tape, **settings)


def by_gradcheck(specimen, fault):
    report(specimen, **fault.settings).raise_for_failure()


def by_formula(specimen, fault):
    """Compare the output with the formula of the paper, written out in another way."""
    s, expected = specimen, fault.settings["formula"]
    if s.backward:
        y, expected = s.target(*s.inputs)[0], expected(*s.inputs)
    else:
        y, expected = s.target(*s.inputs, **s.options), expected(s.target, *s.inputs, **s.options)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def by_state_dict(specimen, fault):
    """Load the parameters of the original, by their names."""
    specimen.target.load_state_dict(fault.sound.target.state_dict())


def by_tape(specimen, fault):
    """Run forward and backward on one tape."""
    tape = specimen.tape()
    specimen.target.backward(specimen.target(*specimen.inputs, tape), tape)


def by_padding_check(specimen, fault):
    def make_options(lengths, size):
        return {"mask": (np.arange(size) < lengths[:, None])[:, None, None, :]}

    padding_check(specimen.target, *specimen.inputs, [4, 2, 3], make_options=make_options)


def naive(specimen, fault):
    """Check gradients as is often done: at the initial weights, with one step and an absolute tolerance."""
    problem = make_problem(specimen.target, specimen.inputs, specimen.backward, specimen.options, specimen.tape)
    dy = [np.cos(np.arange(y.size)).reshape(y.shape) for y in problem.forward()]
    analytic = problem.gradients([part.copy() for part in dy])
    for name in fault.unseen_in or problem.tensors:
        tensor = problem.tensors[name]
        numeric = np.empty_like(tensor)
        for i in np.ndindex(tensor.shape):
            kept, sides = tensor[i], []
            for h in (1e-6, -1e-6):
                tensor[i] = kept + h
                sides.append(problem.value(dy)[0])
            tensor[i] = kept
            numeric[i] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(analytic[name], numeric, rtol=1e-3, atol=fault.tolerance, err_msg=name)


def of_layer(check):
    """Return a check of tinytx.testing as one of a specimen."""
    return lambda specimen, fault: check(specimen.target, *specimen.inputs)


CHECKS = {
    "gradcheck": by_gradcheck,
    "leak_check": of_layer(leak_check),
    "batch_check": of_layer(batch_check),
    "padding_check": by_padding_check,
    "check_arguments_unmodified": of_layer(check_arguments_unmodified),
    "check_gradients_accumulate": of_layer(check_gradients_accumulate),
    "check_shapes_and_dtypes": of_layer(check_shapes_and_dtypes),
    "formula": by_formula,
    "state_dict": by_state_dict,
    "tape": by_tape,
    "naive": naive,
}
