"""Mistakes in what normalises a batch: wrong backwards (``GRADIENTS``), and mistakes of all kinds (``TABLE``)."""

GRADIENTS = {
    "ops/batch_norm.py": [
        ("the mean held constant", "missing term", "batch_norm", "(dy[i, j] - mean_dy[j] - n", "(dy[i, j] - n"),
        ("the variance held constant", "missing term", "batch_norm", " - n * mean_dy_n[j])", ")"),
        ("last term added", "sign", "batch_norm", " - n * mean_dy_n[j])", " + n * mean_dy_n[j])"),
        ("gain forgotten", "missing term", "batch_norm", "= weight[j] * r[j] * (dy", "= r[j] * (dy"),
        ("N - 1 for N", "wrong constant", "batch_norm", "(total / n).astype", "(total / (n - 1)).astype"),
        ("padding counts in N", "wrong constant", "batch_norm padded", "(total / n).astype", "(total / len(real)).astype"),
        ("padding counts in dw and db", "mask", "batch_norm padded",
         "if real[i]:\n            for j in range(x.shape[1]):\n                dweight", "if True:\n            for j in range(x.shape[1]):\n                dweight"),
        ("padding has a gradient", "mask", "batch_norm padded", "mean_dy_n[j]) if real[i] else x.dtype.type(0)", "mean_dy_n[j])"),
        ("the population moves with the batch", "wrong constant", "batch_norm population", "(total / n).astype(x.dtype) if n else np.zeros(d, x.dtype) for", "(total / len(real)).astype(x.dtype) for"),
        ("dmean has the wrong sign", "sign", "batch_norm population", "(-r * weight * dbias", "(r * weight * dbias"),
        ("dvariance is of the deviation", "missing term", "batch_norm population", "-r * r * weight * dweight / 2", "-r * weight * dweight"),
    ],
    "layers/batch_norm.py": [
        ("gain and bias get each other's", "wrong operand", "BatchNorm", "zip((self.weight, self.bias, self", "zip((self.bias, self.weight, self"),
    ],
}

TABLE = {
    "ops/batch_norm.py": [
        ("the variance is over N - 1", "variance[j] /= max(n, 1)", "variance[j] /= max(n - 1, 1)"),
        ("padding is in the mean", "if real[i]:\n            n += 1", "if True:\n            n += 1"),
        ("padding shows the bias", "+ bias[j] if real[i] else x.dtype.type(0)", "+ bias[j]"),
        ("sums in the dtype of x", "mean, variance = np.zeros(d), np.zeros(d)", "mean, variance = np.zeros(d, x.dtype), np.zeros(d, x.dtype)"),
    ],
    "layers/batch_norm.py": [
        ("the population has the biased variance", "squares / degrees)", "squares / rows)"),
        ("a second calibration reads with the first's", "        layer.mean = layer.variance = None\n", "        pass\n"),
        ("a calibration keeps the last batch alone", "= rows + n, means + n * mean, degrees + n - 1, squares + n * variance", "= n, n * mean, n - 1, n * variance"),
        ("the population is trained", "Parameter(mean, frozen=True)", "Parameter(mean)"),
        ("the mask is left out", "*population, mask=mask, eps", "*population, eps"),
    ],
}
