"""How far PyTorch in float32 is from its own losses in float64 on the golden resnet, by what must not matter to them: threads,
memory layout, library, order of the samples in a batch. As docs/golden.md quotes it.
    python3 bench/golden/resnet_float32.py test/golden/resnet      (PyTorch, numpy and onnx)
"""
import json
import os
import struct
import sys

import numpy
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import numpy_helper

directory = sys.argv[1]
BATCH, STEPS, LEARNING_RATE, MOMENTUM = 16, 12, 0.05, 0.9
DTYPES = {"F32": "<f4", "I32": "<i4", "I64": "<i8"}


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Resnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2))
        self.layer3 = nn.Sequential(Block(32, 64, 2))
        self.layer4 = nn.Sequential(Block(64, 128, 2))
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def initial_weights():
    graph = onnx.load(os.path.join(directory, "model.onnx")).graph
    weights = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    # Parameters that start equal are written once.
    for node in graph.node:
        if node.op_type == "Identity":
            weights[node.output[0]] = weights[node.input[0]]
    return weights


def samples():
    with open(os.path.join(directory, "data.safetensors"), "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()

    def tensor(name):
        entry = header[name]
        start, end = entry["data_offsets"]
        array = numpy.frombuffer(data[start:end], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
        return torch.tensor(array)

    return tensor("x"), tensor("targets").long()


def largest_error(dtype=torch.float32, threads=1, onednn=True, layout=torch.contiguous_format, order=None):
    torch.set_num_threads(threads)
    torch.backends.mkldnn.enabled = onednn
    net = Resnet()
    net.load_state_dict({name: WEIGHTS.get(name, value) for name, value in net.state_dict().items()})
    net = net.to(dtype).to(memory_format=layout)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    losses = []
    for step in range(STEPS):
        start = step * BATCH % len(X)
        rows = torch.arange(start, start + BATCH) if order is None else start + order
        optimizer.zero_grad()
        loss = F.cross_entropy(net(X[rows].to(dtype).to(memory_format=layout)), TARGETS[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return max(abs(loss - exact) / exact for loss, exact in zip(losses, EXACT))


WEIGHTS = initial_weights()
X, TARGETS = samples()
with open(os.path.join(directory, "reference.json"), encoding="utf-8") as file:
    EXACT = json.load(file)["lossesFloat64"]


def row(what, **settings):
    print(f"| {what} | {largest_error(**settings):.1e} |")


print(f"| PyTorch {torch.__version__} | largest error of losses |\n| --- | --- |")
row("float64", dtype=torch.float64)
row("one thread")
row("two threads", threads=2)
row("channels last", layout=torch.channels_last)
row("without oneDNN", onednn=False)
for seed in range(1, 6):
    row(f"samples of a batch in another order, {seed}", order=torch.randperm(BATCH, generator=torch.Generator().manual_seed(seed)))
