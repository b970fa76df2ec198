"""Writes what a TrainingJob needs, from PyTorch: model.onnx, train.safetensors and test.safetensors beside this file.

The model tells three intertwined spirals apart. Any PyTorch from 1.13 will do; newer ones need the package onnx beside it.
"""

import inspect
import json
import math
import os

import torch

FOLDER = os.path.dirname(os.path.abspath(__file__))
CLASSES = 3


def spirals(samples, generator):
    """Points in the plane, [samples, 2], and the spiral of each, [samples]."""
    target = torch.arange(samples) % CLASSES
    radius = torch.rand(samples, generator=generator)
    angle = 4 * radius + 2 * math.pi / CLASSES * target + 0.4 * torch.randn(samples, generator=generator)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1), target


def save_safetensors(path, tensors):
    """The safetensors format: the length of a JSON header, the header, the bytes. The package safetensors does the same."""
    names = {torch.float32: "F32", torch.int64: "I64"}
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))


torch.manual_seed(1)
model = torch.nn.Sequential(
    torch.nn.Linear(2, 64),
    torch.nn.ReLU(),
    torch.nn.Linear(64, 64),
    torch.nn.ReLU(),
    torch.nn.Linear(64, CLASSES),
)
# The exporter that knows TrainingMode; PyTorch from 2.9 on takes another one unless it is told.
choice = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
torch.onnx.export(
    model,
    torch.zeros(1, 2),
    os.path.join(FOLDER, "model.onnx"),
    input_names=["points"],
    output_names=["logits"],
    dynamic_axes={"points": {0: "batch"}, "logits": {0: "batch"}},
    training=torch.onnx.TrainingMode.TRAINING,  # keeps every weight a trained parameter, and dropout out of constants
    do_constant_folding=False,
    **choice,
)
generator = torch.Generator().manual_seed(1)
for name, samples in [("train", 3072), ("test", 768)]:
    points, targets = spirals(samples, generator)
    save_safetensors(os.path.join(FOLDER, f"{name}.safetensors"), {"points": points, "targets": targets})
