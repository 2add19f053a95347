"""PyTorch files written opcode by opcode, as nobody's torch.save writes them."""

import zipfile

MARK, TUPLE, REDUCE, BUILD, STOP, NONE = b"(", b"t", b"R", b"b", b".", b"N"
EMPTY_DICT, EMPTY_LIST, SETITEM, APPENDS, BINPERSID = b"}", b"]", b"s", b"e", b"Q"
START = b"\x80\x02"


def text(value):
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def number(value):
    size = value.bit_length() // 8 + 1
    return b"\x8b" + size.to_bytes(4, "little") + value.to_bytes(size, "little", signed=True)


def name(module, attribute):
    return b"c" + f"{module}\n{attribute}\n".encode()


def numbers(values):
    return MARK + b"".join(map(number, values)) + TUPLE


def mapping(**items):
    return EMPTY_DICT + b"".join(text(key) + value + SETITEM for key, value in items.items())


def storage(kind="FloatStorage", key="0", count=2):
    pid = text("storage") + name("torch", kind) + text(key) + text("cpu") + number(count)
    return MARK + pid + TUPLE + BINPERSID


REBUILD = name("torch._utils", "_rebuild_tensor_v2")


def tensor(place=None, offset=0, shape=(2,), strides=(1,)):
    arguments = (place or storage()) + number(offset) + numbers(shape) + numbers(strides) + b"\x89"
    return REBUILD + MARK + arguments + TUPLE + REDUCE


def write(path, tree, data=bytes(8), key="0"):
    """The file whose pickle is the opcodes `tree`, and that has the one storage `key`."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", START + tree + STOP)
        archive.writestr(f"archive/data/{key}", data)
    return path
