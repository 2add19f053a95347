"""Sum up the device kernels of a profile by the part of the model that they compute.

A kernel of a profile names an instruction of the compiled program, and the instruction, with those fused into it, the
places in the model's code that it comes from. The bytes of a kernel are those of its inputs and outputs, each moved
once; a fusion that reads only a slice of an input is charged for all of it.
"""

import collections
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

# part: a pattern in the names of a program's operations; the first that fits counts
PARTS = {
    "self-blending": r"self_blend",
    "optimiser and averages": r"^(?!.*jvp\()",
    "depthwise convolution": r"depthwise",
    "stem": r"/stem",
    "downsampling": r"/downsample",
    "norm": r"/norm/|_norm/",
    "expanding matmul": r"/expand/",
    "projecting matmul": r"/project/",
    "stochastic depth": r"/drop_path/",
    # What a block does itself. GELU has four times as many channels as the rest.
    "GELU, scale and residual": r"/stage\d+_block\d+/",
    "frequency branch": r"/frequency/",
    "temporal part": r"/temporal/",
}
# kind: a pattern in an instruction's name, shape, opcode and attributes. XLA makes plain convolutions of many
# gradients: of input gradients ("convolution" in the backward pass), and of weight gradients, with a batch of one.
KINDS = {
    "convolution, weight gradient": r"convBackwardFilter|^\S*conv(?!ert)\S* \(\w+\[1,",
    "convolution, input gradient": r"convBackwardInput",
    "convolution": r"__cudnn\$| convolution\(",
    "matmul": r"__cublas|gemm| dot\(",
    "Triton": r"__triton",
    "transpose": r"^\S*transpose",
    "copy": r"^(loop_)?copy| copy\(",
    "reduction": r"^\S*reduce",
    "elementwise": r" fusion\(",
}
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\((.*)$")
_SHAPE = re.compile(r"\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """What an instruction of a compiled program computes.

    Attributes:
        kind: a name in `KINDS`, or its opcode.
        parts: names in `PARTS`, the one with most of the fused operations first.
        backward: whether most of its operations belong to the backward pass.
        size: bytes of its inputs and outputs.
        shape: its output.
    """

    kind: str
    parts: tuple[str, ...]
    backward: bool
    size: int
    shape: str


@dataclasses.dataclass
class Kernel:
    """The calls of one kernel: its name, the instruction's name, milliseconds and calls in all."""

    name: str
    operation: str
    milliseconds: float = 0.0
    calls: int = 0


def read_program(text: str) -> dict[str, Instruction]:
    """Return the instructions of a compiled program, from its text."""
    places: dict[str, list[str]] = collections.defaultdict(list)
    lines, shapes, computation = [], {}, ""
    for line in text.splitlines():
        if line.endswith("{") and " = " not in line.split("(")[0]:
            computation = line.removeprefix("ENTRY ").lstrip("%").split(" ")[0]
        if found := _INSTRUCTION.match(line):
            name, shape, opcode, rest = found.groups()
            lines.append((name, shape, opcode, rest))
            shapes[name] = shape
            places[computation] += re.findall(r'op_name="([^"]*)"', line)
    program = {}
    for name, shape, opcode, rest in lines:
        called = re.search(r"calls=%?([\w.\-]+)", rest)
        inner = places[called[1]] if called else []
        names = inner or re.findall(r'op_name="([^"]*)"', rest)
        operands = re.findall(r"%([\w.\-]+)", rest.split(")")[0])
        size = _bytes(shape) + sum(_bytes(shapes.get(operand, "")) for operand in operands)
        backward = sum("transpose(" in place for place in names) * 2 > len(names)
        attributes = re.sub(r"metadata=\{[^}]*\}", "", rest.partition(")")[2])
        words = f"{name} {shape} {opcode}({attributes}"
        kind = next((kind for kind, pattern in KINDS.items() if re.search(pattern, words)), opcode)
        program[name] = Instruction(kind, _parts(names), backward, size, shape[:60])
    return program


def _parts(names: list[str]) -> tuple[str, ...]:
    counts = collections.Counter(
        next((part for part, pattern in PARTS.items() if re.search(pattern, name)), "the rest")
        for name in names
    )
    return tuple(part for part, _ in counts.most_common()) or ("without a name",)


def _bytes(shape: str) -> int:
    total = 0
    for dtype, sizes in _SHAPE.findall(shape):
        bits = re.search(r"\d+", dtype)
        count = 1
        for size in filter(None, sizes.split(",")):
            count *= int(size)
        total += count * (int(bits[0]) if bits else 8) // 8
    return total


def newest_trace(folder: Path) -> Path:
    """Return the newest file that `jax.profiler.trace` left under a folder."""
    return max(folder.rglob("*.xplane.pb"), key=lambda file: file.stat().st_mtime)


def read_trace(path: Path) -> list[Kernel]:
    """Return the kernels of a trace, the longest first.

    They are those of the device's streams. A trace without a device, as on CPUs, has the program's operations.
    """
    kernels: dict[tuple[str, str], Kernel] = {}
    for name, operation, nanoseconds in _events(jax.profiler.ProfileData.from_file(str(path))):
        kernel = kernels.setdefault((name, operation), Kernel(name, operation))
        kernel.milliseconds += nanoseconds / 1e6
        kernel.calls += 1
    return sorted(kernels.values(), key=lambda kernel: -kernel.milliseconds)


def _events(profile: Any) -> Iterator[tuple[str, str, float]]:
    lines = [(plane.name, line) for plane in profile.planes for line in plane.lines]
    streams = [
        line for plane, line in lines if plane.startswith("/device:") and line.name.startswith("Stream")
    ]
    for line in streams or [line for _, line in lines]:
        for event in line.events:
            stats = {name: value for name, value in event.stats if name == "hlo_op"}
            if streams or stats:
                yield event.name, str(stats.get("hlo_op", "")).rsplit("::", 1)[-1], event.duration_ns


def describe(kernels: list[Kernel], program: dict[str, Instruction], steps: int, top: int = 40) -> list[str]:
    """Return the lines of four tables: by part and kind, by part, by kind, and the longest kernels.

    Args:
        kernels: of `read_trace`.
        program: of `read_program`.
        steps: steps in the profile.
        top: how many of the longest kernels to list.
    """
    # Where a profile does not name the instruction, a generated kernel is called as its instruction is.
    by_kernel = {name.replace(".", "_").replace("-", "_"): name for name in program}
    unknown = Instruction("unknown", ("unknown",), False, 0, "")
    found = [
        (kernel, program.get(kernel.operation) or program.get(by_kernel.get(kernel.name, ""), unknown))
        for kernel in kernels
    ]
    total = sum(kernel.milliseconds for kernel in kernels) / steps
    calls = sum(kernel.calls for kernel in kernels) / steps
    lines = [f"{total:.2f} ms of kernels a step, {calls:.0f} calls"]
    for title, keys in (
        ("part, pass and kind", lambda i: f"{i.parts[0]}{_pass(i)}: {i.kind}"),
        ("part and pass", lambda i: f"{i.parts[0]}{_pass(i)}"),
        ("kind", lambda i: i.kind),
    ):
        lines += ["", f"{'ms/step':>9} {'share':>6} {'calls':>7} {'GB':>7} {'GB/s':>6}  by {title}"]
        groups = collections.defaultdict(list)
        for kernel, instruction in found:
            groups[keys(instruction)].append((kernel, instruction))
        rows = [(*_sums(members, steps), key) for key, members in groups.items()]
        lines += [_row(*row, total) for row in sorted(rows, reverse=True)]
    lines += ["", f"{'ms/step':>9} {'share':>6} {'calls':>7} {'GB':>7} {'GB/s':>6}  the longest kernels"]
    for kernel, instruction in found[:top]:
        parts = " + ".join(instruction.parts[:4])
        words = f"{kernel.operation or kernel.name[:60]} {instruction.shape}; {parts}{_pass(instruction)}"
        lines.append(_row(*_sums([(kernel, instruction)], steps), f"{words}; {instruction.kind}", total))
    return lines


def _pass(instruction: Instruction) -> str:
    return ", backward" if instruction.backward else ""


def _sums(members: list[tuple[Kernel, Instruction]], steps: int) -> tuple[float, float, float]:
    milliseconds = sum(kernel.milliseconds for kernel, _ in members) / steps
    calls = sum(kernel.calls for kernel, _ in members) / steps
    moved = sum(kernel.calls * instruction.size for kernel, instruction in members) / steps / 1e9
    return milliseconds, calls, moved


def _row(milliseconds: float, calls: float, gigabytes: float, words: str, total: float) -> str:
    rate = gigabytes / milliseconds * 1e3 if milliseconds else 0.0
    share = milliseconds / total if total else 0.0
    return f"{milliseconds:9.3f} {share:6.1%} {calls:7.1f} {gigabytes:7.2f} {rate:6.0f}  {words}"
