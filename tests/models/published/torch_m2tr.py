"""M2TR's blocks in plain torch, their tensors named as in the authors' checkpoints."""

import torch
from torch import nn


def leaky(c, kernel, dilation=1):
    conv = nn.Conv2d(c, c, kernel, padding=dilation * (kernel // 2), dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(c), nn.LeakyReLU(0.2))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Sequential(*leaky(c, 3, 2), *leaky(c, 3))

    def forward(self, x):
        return self.conv(x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.query_embedding, self.key_embedding, self.value_embedding = (
            nn.Conv2d(c, c, 1) for _ in range(3)
        )
        self.output_linear = leaky(c, 3)

    def forward(self, x):
        heads = []
        convolutions = (self.query_embedding, self.key_embedding, self.value_embedding)
        parts = [conv(x).chunk(4, 1) for conv in convolutions]
        for cuts, *head in zip((1, 2, 4, 8), *parts, strict=True):
            side = (x.shape[2] // cuts, x.shape[3] // cuts)
            q, k, v = (nn.functional.unfold(part, side, stride=side).transpose(1, 2) for part in head)
            weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
            heads.append(nn.functional.fold((weights @ v).transpose(1, 2), x.shape[2:], side, stride=side))
        return self.output_linear(torch.cat(heads, 1))


class Patches(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.t = nn.Module()
        self.t.attention, self.t.feed_forward = Attention(c), FeedForward(c)

    def forward(self, x):
        x = x + self.t.attention(x)
        return x + self.t.feed_forward(x)


class Frequency(nn.Module):
    def __init__(self, c, h, w):
        super().__init__()
        self.filter = nn.Module()
        self.filter.complex_weight = nn.Parameter(torch.zeros(h, w // 2 + 1, c, 2))
        self.feed_forward = FeedForward(c)

    def forward(self, x):
        weight = torch.view_as_complex(self.filter.complex_weight).permute(2, 0, 1)
        spectrum = torch.fft.rfft2(x, norm="ortho") * weight
        return x + self.feed_forward(torch.fft.irfft2(spectrum, s=x.shape[2:], norm="ortho"))


class Cross(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(c, c, 1) for _ in range(3))
        self.conv4 = leaky(c, 1)

    def forward(self, x, frequency):
        q = self.conv1(x).flatten(2).transpose(1, 2)
        k, v = self.conv2(frequency).flatten(2), self.conv3(frequency).flatten(2).transpose(1, 2)
        found = (q @ k * q.shape[-1] ** -0.5).softmax(-1) @ v
        return x + self.conv4(found.transpose(1, 2).unflatten(2, x.shape[2:]))


class Layer(nn.ModuleList):
    def __init__(self, c, h, w):
        super().__init__([Patches(c), Frequency(c, h, w), Cross(c)])

    def forward(self, x):
        patches, frequency, cross = self
        x = patches(x)
        return cross(x, frequency(x))
