"""Convert MediaPipe's face_landmark.tflite to face_mesh_468.onnx: the same network, for OpenCV 4 and 5 alike.

README.md beside this file tells where the source comes from and how to run this. Weights stay half floats, and a Cast
turns them into floats, as the source's DEQUANTIZE does. Tensors are NCHW instead of NHWC.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

_OPSET, _IR_VERSION = 13, 8
_OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}


class Converter:
    """Walks the operators of a float16 TFLite network in order, and collects ONNX nodes and weights."""

    def __init__(self, flatbuffer: bytes) -> None:
        self._model = tflite.Model.GetRootAs(flatbuffer, 0)
        self._graph = self._model.Subgraphs(0)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._halves: dict[int, np.ndarray] = {}

    def convert(self) -> onnx.ModelProto:
        """Convert the whole network."""
        emit: dict[str, Callable[[tflite.Operator], None]] = {
            "DEQUANTIZE": self._dequantize,
            "CONV_2D": self._convolution,
            "DEPTHWISE_CONV_2D": self._convolution,
            "PRELU": self._prelu,
            "ADD": self._add,
            "MAX_POOL_2D": self._max_pool,
            "PAD": self._pad,
        }
        for position in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(position)
            emit[self._kind(operator)](operator)
        graph = helper.make_graph(
            self._nodes,
            "face_mesh_468",
            [self._value_info(tensor) for tensor in self._graph.InputsAsNumpy()],
            [self._value_info(tensor) for tensor in self._graph.OutputsAsNumpy()],
            self._weights,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="face_mesh_to_onnx.py",
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _dequantize(self, operator: tflite.Operator) -> None:
        self._halves[operator.Outputs(0)] = self._constant(operator.Inputs(0), np.float16)

    def _convolution(self, operator: tflite.Operator) -> None:
        source, kernel, bias = operator.InputsAsNumpy()
        depthwise = self._kind(operator) == "DEPTHWISE_CONV_2D"
        options = self._options(
            operator, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions
        )
        _without_activation(options)
        # TFLite: [out, h, w, in], or [1, h, w, channel] where each channel is filtered alone.
        weights = self._halves[kernel].transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        strides = (options.StrideH(), options.StrideW())
        self._node(
            "Conv",
            [self._name(source), self._weight(kernel, weights), self._weight(bias, self._halves[bias])],
            operator,
            kernel_shape=weights.shape[2:],
            strides=strides,
            pads=self._pads(source, weights.shape[2:], strides, options.Padding()),
            group=len(weights) if depthwise else 1,
        )

    def _prelu(self, operator: tflite.Operator) -> None:
        source, slope = operator.InputsAsNumpy()
        # Stored as floats: OpenCV 5's reader wants a constant here and does not accept a Cast.
        weights = self._halves[slope].astype(np.float32).reshape(-1, 1, 1)
        self._weights.append(numpy_helper.from_array(weights, self._name(slope)))
        self._node("PRelu", [self._name(source), self._name(slope)], operator)

    def _add(self, operator: tflite.Operator) -> None:
        _without_activation(self._options(operator, tflite.AddOptions))
        self._node("Add", [self._name(tensor) for tensor in operator.InputsAsNumpy()], operator)

    def _max_pool(self, operator: tflite.Operator) -> None:
        options = self._options(operator, tflite.Pool2DOptions)
        _without_activation(options)
        kernel, strides = (
            (options.FilterHeight(), options.FilterWidth()),
            (options.StrideH(), options.StrideW()),
        )
        pads = self._pads(operator.Inputs(0), kernel, strides, options.Padding())
        self._node(
            "MaxPool",
            [self._name(operator.Inputs(0))],
            operator,
            kernel_shape=kernel,
            strides=strides,
            pads=pads,
        )

    def _pad(self, operator: tflite.Operator) -> None:
        source, amounts = operator.InputsAsNumpy()
        before_after = self._constant(amounts, np.int32)[[0, 3, 1, 2]]
        pads = numpy_helper.from_array(before_after.T.ravel().astype(np.int64), f"{self._name(amounts)}")
        self._weights.append(pads)
        self._node("Pad", [self._name(source), pads.name], operator)

    def _node(self, kind: str, inputs: list[str], operator: tflite.Operator, **attributes: Any) -> None:
        output = self._name(operator.Outputs(0))
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def _weight(self, tensor: int, values: np.ndarray) -> str:
        """Store half floats, and return the name of the floats cast from them."""
        name = self._name(tensor)
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), f"{name}/half"))
        self._nodes.append(
            helper.make_node("Cast", [f"{name}/half"], [name], name=name, to=TensorProto.FLOAT)
        )
        return name

    def _pads(self, source: int, kernel: Iterable[int], strides: Iterable[int], padding: int) -> list[int]:
        """Return the padding of TFLite's SAME, [top, left, bottom, right]: an odd total puts more after than before."""
        if padding == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        extents = self._graph.Tensors(source).ShapeAsNumpy()[1:3]
        totals = [
            max((-(-extent // stride) - 1) * stride + side - extent, 0)
            for extent, side, stride in zip(extents, kernel, strides, strict=True)
        ]
        return [int(total // 2) for total in totals] + [int(total - total // 2) for total in totals]

    def _kind(self, operator: tflite.Operator) -> str:
        return _OPERATORS[self._model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]

    def _options(self, operator: tflite.Operator, kind: type) -> Any:
        table, options = operator.BuiltinOptions(), kind()
        options.Init(table.Bytes, table.Pos)
        return options

    def _constant(self, tensor: int, dtype: type) -> np.ndarray:
        described = self._graph.Tensors(tensor)
        data = self._model.Buffers(described.Buffer()).DataAsNumpy()
        return data.view(dtype).reshape(described.ShapeAsNumpy())

    def _name(self, tensor: int) -> str:
        return self._graph.Tensors(tensor).Name().decode()

    def _value_info(self, tensor: int) -> onnx.ValueInfoProto:
        batch, height, width, channels = self._graph.Tensors(tensor).ShapeAsNumpy()
        shape = [int(extent) for extent in (batch, channels, height, width)]
        return helper.make_tensor_value_info(self._name(tensor), TensorProto.FLOAT, shape)


def _without_activation(options: Any) -> None:
    if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
        raise NotImplementedError("this network has no fused activations")


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    onnx.save(Converter(arguments.source.read_bytes()).convert(), arguments.target)


if __name__ == "__main__":
    main()
