r"""How to read these pages: from a slope to the backward of a matrix product.

This page is for readers who know matrices and NumPy, and have not met backpropagation. It says what a gradient is, what ``dy``
means, and how sums with indices are read. After it come linear, softmax, layer_norm, attention and cross_entropy.

Derivation
----------
A model turns its inputs and its weights into one number, the loss, which says how wrong its answer was. Training moves each
weight a little, so that the loss falls. For that one must know of each weight how fast the loss grows if this weight alone
grows. This is a slope: a partial derivative. All slopes of an array together are its gradient. The gradient has the shape of the
array, with one slope for each entry.

The loss is computed in steps, each from the results of those before. Take two steps with single numbers, a loss l of u, and u
of a:

    u = 3 a,   l = u^2.                                                  (1)

The slope of the last step is known from school. It is written with a d in front of the name, and so is every gradient here: du
is the slope of the loss with respect to u, da that with respect to a.

    du = ∂l/∂u = 2 u                                                     (2)

If a grows by a small h, u grows by 3 h, and so the loss by du times 3 h. Slopes of steps behind each other are multiplied. This
is the chain rule:

    da = du (∂u/∂a) = 3 du.                                              (3)

The step from a to u needs du to compute da. It need not know what the loss is, nor what comes after u. So each operation
is written as two functions. The forward computes u from a. The backward gets du, and returns da. Backwards are called in the
opposite order, from the loss to the inputs, and each gets what the one before has returned: this is backpropagation. For an output
y of an operation the given gradient is called dy. A backward may need numbers of the forward, such as u in (2). The forward
returns them as a second result, which is called ``saved``.

Now with vectors and a matrix. An index that stands on both sides of an equation means that the equation holds for each of its
values. An index under a sum runs over all its values. This is y = x @ W in NumPy, and a loss of y:

    y_j = sum_i x_i W_ij,   L = sum_j y_j^2,                             (4)
    dy_j = ∂L/∂y_j = 2 y_j.                                              (5)

x_i stands in every y_j. If it grows by h, each y_j grows by W_ij h, and each of them moves the loss. These ways add up, because
small changes do. This is the chain rule for several ways: the slope of each way is a product, and all ways are summed.

    dx_i = sum_j dy_j (∂y_j/∂x_i) = sum_j dy_j W_ij                      (6)

The sum is over j, the second index of W. A product of matrices sums over the second index of its left factor and the first of
its right one. So dx is dy times W transposed: dx = dy @ W.T. All derivations go this way. Write the forward with
indices, find all ways from an input to the outputs, add up the slopes, and read the sum as a product or a sum in NumPy.

W_ij stands in one output only, y_j. The mark [k = j] is the number 1 if k is j, and 0 otherwise. A sum over k with this mark
has one term that is not 0, and is equal to it. With it, all outputs can be written at once:

    ∂y_k/∂W_ij = [k = j] x_i,
    dW_ij = sum_k dy_k (∂y_k/∂W_ij) = x_i dy_j.                          (7)

A batch has many rows x, all with the same matrix; let it be called U here. Then U_ij moves the loss through the output j of
every row, and the ways add up over rows, too:

    Y_nj = sum_i X_ni U_ij,
    dU_ij = sum_n X_ni dY_nj,                                            (8)

which is what (7) says of each row, summed. What is used many times gets the sum of the gradients of all its uses. The
gradient of a bias is a sum over rows for this reason, because the same bias is added to each row.

With numbers
------------
(1) to (3) for a = 2. The slope is near to what a small step of a changes, divided by the step:

>>> a, h = 2.0, 1e-6
>>> u = 3 * a
>>> du = 2 * u
>>> da = 3 * du
>>> u, du, da
(6.0, 12.0, 36.0)
>>> round(((3 * (a + h)) ** 2 - (3 * (a - h)) ** 2) / (2 * h), 3)
36.0

(4) to (7). The entry dx_2 is dy_1 W_21 + dy_2 W_22 = 14 * 3 + (-4) * (-1):

>>> x, W = np.array([1.0, 2.0]), np.array([[1.0, 0.0], [3.0, -1.0]])
>>> y = x @ W
>>> dy = 2 * y
>>> dx, dW = dy @ W.T, np.outer(x, dy)
>>> y.tolist(), dy.tolist(), dx.tolist()
([7.0, -2.0], [14.0, -4.0], [14.0, 46.0])
>>> dW.tolist()
[[14.0, -4.0], [28.0, -8.0]]

(8): two rows, and the gradient of U is the sum of both rows' products.

>>> X, dY = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[14.0, -4.0], [1.0, 1.0]])
>>> (X.T @ dY).tolist()
[[14.0, -4.0], [29.0, -7.0]]

What the pages show
-------------------
A number in parentheses behind an equation stands again on the line of code that computes it. "with numbers" opens what
an equation gives for small arrays. "(rows, i, j)" behind a name says what the axes of the array are: rows first, then i, then j.
A word such as rows names an axis that the equations leave out, because each row is treated by itself.

In the browser some pages let you change the numbers of the example. "What is kept" lists ``saved``. The last line
says what was compared: sides of equations with each other, and each gradient with a slope that was computed without the
derivation. For this a tiny imaginary number is added to an input; the imaginary part of the result, divided by it, is the
slope, and nothing is lost by rounding. That is a complex step. ``gradcheck`` uses real steps instead, as in the first example above.

Read a page, then write its backward yourself: ``python -m tinytx exercise linear``.
"""

from pathlib import Path

from tinytx.derivations import reader

NAME = "introduction"


def page():
    """Return the Page of this text.

    Returns
    -------
    Page
    """
    return reader.read(NAME, Path(__file__).read_text(encoding="utf-8"))


def text():
    """Return this text, as ``python -m tinytx derive introduction`` prints it.

    Returns
    -------
    str
    """
    return "\n".join(line.text for line in page().lines).rstrip()
