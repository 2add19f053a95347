"""Small torch networks whose tensors are named as timm, torchvision and others name theirs; plain layers otherwise."""

import math

import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    """Layers at dotted names; `steps(net, x)` says what is computed with them."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def add(self, name, layer):
        *parents, last = name.split(".")
        node = self
        for parent in parents:
            if not hasattr(node, parent):
                node.add_module(parent, nn.Module())
            node = getattr(node, parent)
        if isinstance(layer, nn.Parameter):
            node.register_parameter(last, layer)
        else:
            node.add_module(last, layer)

    def forward(self, x):
        return self.steps(self, x)

    def __getitem__(self, name):
        node = self
        for part in name.split("."):
            node = getattr(node, part)
        return node


CONVNEXT_NAMES = {
    "timm": {
        "stem": ("stem.0", "stem.1"),
        "downsample": lambda s: (f"stages.{s}.downsample.0", f"stages.{s}.downsample.1"),
        "block": lambda s, i: f"stages.{s}.blocks.{i}.",
        "layers": ("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"),
        "grn": ("mlp.grn.weight", "mlp.grn.bias"),
        "last": ("head.norm", "head.fc"),
    },
    "torchvision": {
        "stem": ("features.0.0", "features.0.1"),
        "downsample": lambda s: (f"features.{2 * s}.0", f"features.{2 * s}.1"),
        "block": lambda s, i: f"features.{2 * s + 1}.{i}.",
        "layers": ("block.0", "block.2", "block.3", "block.5", "layer_scale"),
        "last": ("classifier.0", "classifier.2"),
    },
    "convnext": {
        "stem": ("downsample_layers.0.0", "downsample_layers.0.1"),
        "downsample": lambda s: (f"downsample_layers.{s}.0", f"downsample_layers.{s}.1"),
        "block": lambda s, i: f"stages.{s}.{i}.",
        "layers": ("dwconv", "norm", "pwconv1", "pwconv2", "gamma"),
        "grn": ("grn.gamma", "grn.beta"),
        "last": ("norm", "head"),
    },
}


def convnext(style, depths, dims, *, v2=False, conv_mlp=False):
    """Features of a ConvNeXt; V2 has a response norm for the layer scale. `conv_mlp`: 1x1 convolutions as the MLP."""
    names = CONVNEXT_NAMES[style]
    dw, norm, up, down, scale = names["layers"]
    net = Net(_convnext_features)
    net.plan = (names, depths, v2, conv_mlp)
    net.add(names["stem"][0], nn.Conv2d(3, dims[0], 4, 4))
    net.add(names["stem"][1], nn.LayerNorm(dims[0], eps=1e-6))
    for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
        if stage:
            first, second = names["downsample"](stage)
            net.add(first, nn.LayerNorm(dims[stage - 1], eps=1e-6))
            net.add(second, nn.Conv2d(dims[stage - 1], dim, 2, 2))
        for index in range(depth):
            block = names["block"](stage, index)
            net.add(block + dw, nn.Conv2d(dim, dim, 7, padding=3, groups=dim))
            net.add(block + norm, nn.LayerNorm(dim, eps=1e-6))
            for name, (i, o) in ((up, (dim, 4 * dim)), (down, (4 * dim, dim))):
                net.add(block + name, nn.Conv2d(i, o, 1) if conv_mlp else nn.Linear(i, o))
            if v2:
                shape = (1, 1, 1, 4 * dim) if style == "convnext" else (4 * dim,)
                for name in names["grn"]:
                    net.add(block + name, nn.Parameter(torch.zeros(shape)))
            else:
                shape = (dim, 1, 1) if style == "torchvision" else (dim,)
                net.add(block + scale, nn.Parameter(torch.ones(shape)))
    net.add(names["last"][0], nn.LayerNorm(dims[-1], eps=1e-6))
    net.add(names["last"][1], nn.Linear(dims[-1], 10))
    return net


def _convnext_features(net, x):
    names, depths, v2, conv_mlp = net.plan
    dw, norm, up, down, scale = names["layers"]

    def channels_last(layer, x):
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    x = channels_last(net[names["stem"][1]], net[names["stem"][0]](x))
    for stage, depth in enumerate(depths):
        if stage:
            first, second = (net[name] for name in names["downsample"](stage))
            x = second(channels_last(first, x))
        for index in range(depth):
            block = names["block"](stage, index)

            def pointwise(name, y, block=block):
                layer = net[block + name]
                return layer(y) if conv_mlp else channels_last(layer, y)

            y = functional.gelu(pointwise(up, channels_last(net[block + norm], net[block + dw](x))))
            if v2:
                gamma, beta = (net[block + name].view(1, -1, 1, 1) for name in names["grn"])
                response = y.norm(dim=(2, 3), keepdim=True)
                y = y + gamma * y * response / (response.mean(1, keepdim=True) + 1e-6) + beta
            y = pointwise(down, y)
            x = x + (y if v2 else y * net[block + scale].view(1, -1, 1, 1))
    return net[names["last"][0]](x.mean((2, 3)))


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, outputs, stride, groups):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        if inputs != outputs or stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return (self.bn3(self.conv3(y)) + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class ResNeXt(nn.Module):
    """torchvision's and timm's names: two stages, of two blocks and of one, with groups."""

    def __init__(self, stem=4, groups=2, group_width=2):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem)
        width, outputs = groups * group_width, 4 * stem
        self.layer1 = nn.Sequential(
            Bottleneck(stem, width, outputs, 1, groups), Bottleneck(outputs, width, outputs, 1, groups)
        )
        self.layer2 = nn.Sequential(Bottleneck(outputs, 2 * width, 2 * outputs, 2, groups))
        self.fc = nn.Linear(2 * outputs, 10)

    def forward(self, x):
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        return self.layer2(self.layer1(x)).mean((2, 3))


# Of B0 at half its width: blocks, kernel, stride, expansion, output channels.
EFFICIENTNET_STAGES = (
    (1, 3, 1, 1, 8),
    (2, 3, 2, 6, 16),
    (2, 5, 2, 6, 24),
    (3, 3, 2, 6, 40),
    (3, 5, 1, 6, 56),
    (4, 5, 2, 6, 96),
    (1, 3, 1, 6, 160),
)


def efficientnet(style, *, depth=0.3, padding_size=None, classes=2):
    """Half of B0 in the names of 'timm' or 'efficientnet-pytorch', whose forward gives features.

    Padding is TensorFlow's for images of `padding_size`. `behind` of the network may name blocks, as '_blocks.1.', and
    what their maps go through.
    """
    net = Net(_efficientnet_features)
    net.behind = {}
    timm = style == "timm"

    def norm(name, channels):
        net.add(name, nn.BatchNorm2d(channels, eps=1e-3))

    def conv(name, *args, bias=False, **options):
        net.add(name, nn.Conv2d(*args, bias=bias, **options))

    inputs = 16
    conv("conv_stem" if timm else "_conv_stem", 3, inputs, 3, 2)
    norm("bn1" if timm else "_bn0", inputs)
    net.plan, number = (timm, [], padding_size), 0
    for stage, (repeats, kernel, stride, expansion, outputs) in enumerate(EFFICIENTNET_STAGES):
        for index in range(math.ceil(repeats * depth)):
            wide = inputs * expansion
            if timm:
                block = f"blocks.{stage}.{index}."
                words = [
                    "conv_pw",
                    "bn1",
                    "conv_dw",
                    "bn2",
                    "se.conv_reduce",
                    "se.conv_expand",
                    "conv_pwl",
                    "bn3",
                ]
                if expansion == 1:
                    words = [
                        None,
                        None,
                        "conv_dw",
                        "bn1",
                        "se.conv_reduce",
                        "se.conv_expand",
                        "conv_pw",
                        "bn2",
                    ]
            else:
                block = f"_blocks.{number}."
                words = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand"]
                words += ["_project_conv", "_bn2"]
            if expansion != 1:
                conv(block + words[0], inputs, wide, 1)
                norm(block + words[1], wide)
            step = 1 if index else stride
            conv(block + words[2], wide, wide, kernel, step, groups=wide)
            norm(block + words[3], wide)
            squeezed = max(1, inputs // 4)
            conv(block + words[4], wide, squeezed, 1, bias=True)
            conv(block + words[5], squeezed, wide, 1, bias=True)
            conv(block + words[6], wide, outputs, 1)
            norm(block + words[7], outputs)
            net.plan[1].append((block, words, expansion, step == 1 and inputs == outputs))
            inputs, number = outputs, number + 1
    head = 640
    conv("conv_head" if timm else "_conv_head", inputs, head, 1)
    norm("bn2" if timm else "_bn1", head)
    net.add("classifier" if timm else "_fc", nn.Linear(head, classes))
    return net


def _efficientnet_features(net, x):
    timm, blocks, size = net.plan
    size = size or x.shape[-1]

    def padded(name, x, size):
        conv = net[name]
        (kernel, _), (stride, _) = conv.kernel_size, conv.stride
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        before, after = total // 2, total - total // 2
        return conv(functional.pad(x, (before, after, before, after))), math.ceil(size / stride)

    x, size = padded("conv_stem" if timm else "_conv_stem", x, size)
    x = functional.silu(net["bn1" if timm else "_bn0"](x))
    for block, words, expansion, residual in blocks:
        y = x
        if expansion != 1:
            y = functional.silu(net[block + words[1]](net[block + words[0]](y)))
        y, size = padded(block + words[2], y, size)
        y = functional.silu(net[block + words[3]](y))
        gate = functional.silu(net[block + words[4]](y.mean((2, 3), keepdim=True)))
        y = y * net[block + words[5]](gate).sigmoid()
        y = net[block + words[7]](net[block + words[6]](y))
        x = x + y if residual else y
        x = net.behind.get(block, nn.Identity())(x)
    names = ("conv_head", "bn2") if timm else ("_conv_head", "_bn1")
    return functional.silu(net[names[1]](net[names[0]](x))).mean((2, 3))


class Separable(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.conv1(x))


class XceptionBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, first_relu):
        super().__init__()
        layers = []
        for i, o in zip([inputs, *outputs[:-1]], outputs, strict=True):
            layers += [nn.ReLU(), Separable(i, o), nn.BatchNorm2d(o)]
        layers = layers if first_relu else layers[1:]
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, 1))
            self.skip, self.skipbn = (
                nn.Conv2d(inputs, outputs[-1], 1, stride, bias=False),
                nn.BatchNorm2d(outputs[-1]),
            )
        self.rep = nn.Sequential(*layers)

    def forward(self, x):
        return self.rep(x) + (self.skipbn(self.skip(x)) if hasattr(self, "skip") else x)


class Xception(nn.Module):
    """Names of the PyTorch port; `widths` as ours, and one middle block."""

    def __init__(self, widths):
        super().__init__()
        stem0, stem1, a, b, c, last, exit0, exit1 = widths
        self.conv1, self.bn1 = nn.Conv2d(3, stem0, 3, 2, bias=False), nn.BatchNorm2d(stem0)
        self.conv2, self.bn2 = nn.Conv2d(stem0, stem1, 3, bias=False), nn.BatchNorm2d(stem1)
        self.block1 = XceptionBlock(stem1, [a, a], 2, False)
        self.block2 = XceptionBlock(a, [b, b], 2, True)
        self.block3 = XceptionBlock(b, [c, c], 2, True)
        self.block4 = XceptionBlock(c, [c, c, c], 1, True)
        self.block5 = XceptionBlock(c, [c, last], 2, True)
        self.conv3, self.bn3 = Separable(last, exit0), nn.BatchNorm2d(exit0)
        self.conv4, self.bn4 = Separable(exit0, exit1), nn.BatchNorm2d(exit1)
        self.fc = nn.Linear(exit1, 2)

    def forward(self, x):
        x = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        for number in range(1, 6):
            x = getattr(self, f"block{number}")(x)
        x = self.bn4(self.conv4(self.bn3(self.conv3(x)).relu())).relu()
        return x.mean((2, 3))


def _factorised(inputs, middle, outputs, stride=1):
    return nn.Sequential(
        nn.Conv3d(inputs, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(),
        nn.Conv3d(middle, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )


class FactorisedBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        middle = (inputs * outputs * 27) // (inputs * 9 + 3 * outputs)
        self.conv1 = nn.Sequential(
            _factorised(inputs, middle, outputs, stride), nn.BatchNorm3d(outputs), nn.ReLU()
        )
        self.conv2 = nn.Sequential(_factorised(outputs, middle, outputs), nn.BatchNorm3d(outputs))
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs)
            )

    def forward(self, x):
        return (self.conv2(self.conv1(x)) + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class R2Plus1D(nn.Module):
    """torchvision's names, at 10 layers and a small width; forward gives the mean of the last map."""

    def __init__(self, width=8):
        super().__init__()
        stem = width * 45 // 64
        self.stem = nn.Sequential(
            nn.Conv3d(3, stem, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(stem),
            nn.ReLU(),
            nn.Conv3d(stem, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
        )
        inputs = width
        for stage in range(4):
            outputs = width * 2**stage
            block = FactorisedBlock(inputs, outputs, 2 if stage else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(block))
            inputs = outputs
        self.fc = nn.Linear(inputs, 400)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return x.mean((2, 3, 4))
