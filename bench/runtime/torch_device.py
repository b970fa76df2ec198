"""One process of PyTorch that trains a model of cases.ts. Reads numbers of iterations, a line each; answers each with a JSON
line {"ms": [milliseconds of each iteration], "cpuMs": CPU time of all}. Arguments: case, rank, processes, port, threads, device."""
import json
import os
import sys
import time

import torch
import torch.nn as nn

case, rank, world, port, threads = sys.argv[1], *map(int, sys.argv[2:6])
device = sys.argv[6]
torch.set_num_threads(threads)
# As ours: all bits of float32.
torch.backends.cudnn.allow_tf32 = False
torch.manual_seed(1)
CLASSES, WORDS = 10, 10_000


class Bottleneck(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(256, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
            nn.Conv2d(64, 256, 1, bias=False), nn.BatchNorm2d(256))

    def forward(self, x):
        return torch.relu(self.body(x) + x)


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(1024, 1024, batch_first=True), nn.Linear(1024, CLASSES)

    def forward(self, x):
        return self.out(self.lstm(x)[0])


class LstmLm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(WORDS, 1024), nn.LSTM(1024, 1024, batch_first=True)
        self.out = nn.Linear(1024, WORDS)

    def forward(self, x):
        return self.out(self.lstm(self.embed(x))[0])


def alexnet():
    relu, pool = lambda: nn.ReLU(inplace=True), lambda: nn.MaxPool2d(3, 2)
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), relu(), pool(), nn.Conv2d(64, 192, 5, padding=2), relu(), pool(),
        nn.Conv2d(192, 384, 3, padding=1), relu(), nn.Conv2d(384, 256, 3, padding=1), relu(),
        nn.Conv2d(256, 256, 3, padding=1), relu(), pool(), nn.Flatten(),
        nn.Linear(256 * 6 * 6, 4096), relu(), nn.Linear(4096, 4096), relu(), nn.Linear(4096, 1000))


def transformer():
    block = nn.TransformerEncoderLayer(512, 8, 2048, dropout=0, activation="gelu", batch_first=True, norm_first=True)
    return nn.Sequential(block, nn.Linear(512, CLASSES))


CASES = {
    "mlp": (lambda: nn.Sequential(nn.Linear(784, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(),
                                  nn.Linear(4096, CLASSES)), (64, 784), (64,)),
    "alexnet": (alexnet, (32, 3, 224, 224), (32,)),
    "bottleneck": (lambda: nn.Sequential(*[Bottleneck() for _ in range(4)], nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                         nn.Linear(256, CLASSES)), (16, 256, 28, 28), (16,)),
    "lstm": (Lstm, (64, 20, 1024), (64, 20)),
    "transformer": (transformer, (8, 128, 512), (8, 128)),
    "lstm-lm": (LstmLm, (64, 20), (64, 20)),
}
build, x_shape, y_shape = CASES[case]
model = build().to(device)
if world > 1:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    model = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
rows = x_shape[0] // world
x = torch.randint(CLASSES, (rows, *x_shape[1:])) if case == "lstm-lm" else torch.randn(rows, *x_shape[1:])
y = torch.randint(CLASSES, (rows, *y_shape[1:]))
x, y = x.to(device), y.to(device)


def iteration():
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    logits = model(x)
    nn.functional.cross_entropy(logits.flatten(0, -2), y.flatten()).backward()
    optimizer.step()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


for line in sys.stdin:
    cpu = time.process_time()
    ms = [iteration() for _ in range(int(line))]
    print(json.dumps({"ms": ms, "cpuMs": 1000 * (time.process_time() - cpu)}), flush=True)
