"""What the pickles of PyTorch files may name; any other name is refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np

Name = tuple[str, str]

DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
    "ComplexFloatStorage": np.dtype(np.complex64),
    "ComplexDoubleStorage": np.dtype(np.complex128),
}
ORDERED_DICT: Name = ("collections", "OrderedDict")
DEFAULT_DICT: Name = ("collections", "defaultdict")
TENSORS: set[Name] = {("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2")}
PARAMETERS: set[Name] = {
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"),
}
# A tensor of one of torch's own subclasses, given by the function that makes the tensor and its arguments.
SUBCLASS: Name = ("torch._tensor", "_rebuild_from_type_v2")

# What training scripts save beside the weights, by module; each becomes an empty object.
_HARMLESS = {
    "__builtin__": "bool bytearray complex dict float frozenset int list set slice str tuple xrange",
    "builtins": "bool bytearray complex dict float frozenset int list range set slice str tuple",
    "_codecs": "encode",
    "argparse": "Namespace",
    "collections": "Counter deque",
    "datetime": "date datetime time timedelta timezone",
    "easydict": "EasyDict",
    "lightning.fabric.utilities.data": "AttributeDict",
    "lightning_fabric.utilities.data": "AttributeDict",
    "numpy": "dtype ndarray",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.multiarray": "_reconstruct scalar",
    "omegaconf.base": "ContainerMetadata Metadata",
    "omegaconf.dictconfig": "DictConfig",
    "omegaconf.listconfig": "ListConfig",
    "omegaconf.nodes": "AnyNode BooleanNode FloatNode IntegerNode StringNode",
    "pathlib": "Path PosixPath PurePosixPath PureWindowsPath WindowsPath",
    "pathlib._local": "Path PosixPath PurePosixPath PureWindowsPath WindowsPath",
    "pytorch_lightning.utilities.parsing": "AttributeDict",
    "torch": "Size Tensor device bool int8 int16 int32 int64 uint8 float16 float32 float64 bfloat16",
    "torch.nn.parameter": "Buffer Parameter",
    "torch.serialization": "_get_layout",
    "typing": "Any",
    "yacs.config": "CfgNode",
}
HARMLESS: set[Name] = {(module, name) for module, names in _HARMLESS.items() for name in names.split()}
KNOWN: set[Name] = {
    ORDERED_DICT,
    DEFAULT_DICT,
    SUBCLASS,
    *TENSORS,
    *PARAMETERS,
    *HARMLESS,
    *(("torch", name) for name in DTYPES),
}
