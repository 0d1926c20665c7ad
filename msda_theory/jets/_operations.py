"""The names of torch's operations, by what they do to a jet."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: z -> g(z) linear, the jet first, other arguments as they are
LINEAR_MAPS = _names("""
    flatten reshape view permute transpose movedim swapaxes swapdims squeeze unsqueeze expand repeat tile contiguous
    clone to double float mean sum getitem select narrow index_select unfold fold pad interpolate upsample
    pixel_shuffle pixel_unshuffle roll flip rot90 cumsum neg chunk split tensor_split unbind unflatten
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
""")
#: those of the batch's samples one by one, whatever the size of the batch
BATCH_FIRST = _names("""
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    pixel_shuffle pixel_unshuffle interpolate
""")
CONVOLUTIONS = _names("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d")
ELEMENTWISE = _names("""
    tanh sigmoid gelu silu softplus elu selu celu mish logsigmoid softsign tanhshrink exp expm1 log log1p sin cos tan
    atan erf sqrt rsqrt square pow reciprocal logit sinh cosh asinh hardswish hardsigmoid
""")
#: elementwise, and their second derivative is zero where it exists
PIECEWISE_LINEAR = _names("relu relu6 leaky_relu prelu abs hardtanh threshold clamp hardshrink softshrink")
PIECEWISE_MAPS = _names("""
    max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d amax amin maximum minimum
""")
SUMS = _names("add radd sub rsub")
PRODUCTS = _names("mul rmul multiply")
QUOTIENTS = _names("truediv rtruediv div true_divide")
MATRIX_PRODUCTS = _names("matmul bmm mm rmatmul")
CONCATENATIONS = _names("cat concat concatenate stack")
#: in eval mode
IDENTITIES = _names("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout")
FORBIDDEN = _names("detach item tolist numpy bool gt lt ge le eq ne argmax argsort nonzero sign floor round")
