"""Three wrong gradients that torch.autograd.gradcheck lets pass, in both of its modes, and ours does not."""

import numpy as np
import pytest
from bug_zoo import FAULTS
from bug_zoo.checks import report

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

MISSED = ["layer norm without eps in backward", "GELU with 0.0447 in backward", "no gradient at all of 1e-6 sin(x)"]


def as_torch(specimen):
    """Return the specimen's pair of functions as a function of tensors with a backward."""

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            y, ctx.saved = specimen.target(*(tensor.detach().numpy() for tensor in tensors))
            return torch.from_numpy(np.array(y))

        @staticmethod
        def backward(ctx, dy):
            gradients = specimen.backward(dy.contiguous().numpy(), ctx.saved)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            return tuple(torch.from_numpy(np.array(gradient)) for gradient in gradients)

    return Wrapped.apply


@pytest.mark.parametrize("fast_mode", [False, True], ids=["slow", "fast"])
@pytest.mark.parametrize("name", MISSED)
def test_torch_passes_what_we_fail(name, fast_mode):
    fault = next(fault for fault in FAULTS if fault.name == name)
    tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in fault.broken.inputs]
    assert torch.autograd.gradcheck(as_torch(fault.broken), tensors, fast_mode=fast_mode)
    assert report(fault.broken).verdict == "FAIL"
    assert report(fault.sound).verdict == "PASS"


def test_torch_rejects_what_is_grossly_wrong():
    """So the wrapper is not what makes it pass."""
    fault = next(fault for fault in FAULTS if fault.name == "gamma outside layer norm's sums")
    tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in fault.broken.inputs]
    assert not torch.autograd.gradcheck(as_torch(fault.broken), tensors, raise_exception=False)
