"""Lightning Fabric and Accelerate leave the loop to you: it is a generator, as any loop of one's own."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tuner


def with_fabric(params, context):
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1)
    net, optimizer, rows = parts(params, context)
    net, optimizer = fabric.setup(net, optimizer)
    yield from loop(net, optimizer, fabric.setup_dataloaders(rows), fabric.backward, context)


def with_accelerate(params, context):
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    net, optimizer, rows = accelerator.prepare(*parts(params, context))
    yield from loop(net, optimizer, rows, accelerator.backward, context)


def parts(params, context):
    net = nn.Sequential(nn.Linear(64, params["hidden"]), nn.ReLU(), nn.Linear(params["hidden"], 10))
    rows = TensorDataset(*tensors(context.data.train))
    return net, torch.optim.Adam(net.parameters(), lr=params["rate"]), DataLoader(rows, 64, shuffle=True)


def loop(net, optimizer, rows, backward, context):
    state = context.restore(net=net, optimizer=optimizer)  # 1
    while True:
        for x, y in rows:
            optimizer.zero_grad()
            backward(nn.functional.cross_entropy(net(x), y))
            optimizer.step()
        with torch.no_grad():
            pairs = [tensors(context.data.train), tensors(context.data.validation)]
            losses = [nn.functional.cross_entropy(net(x), y).item() for x, y in pairs]
        yield {"train_loss": losses[0], "val_loss": losses[1], "state": state}  # 2


def tensors(split):
    return torch.tensor(split.x / 16, dtype=torch.float32), torch.tensor(split.y)


if __name__ == "__main__":
    space = {"hidden": tuner.Int(8, 64, default=32, log=True), "rate": tuner.Float(1e-4, 0.1, log=True)}
    data, settings = load_digits(return_X_y=True), {"trainer.epochs": 3}
    for trainer in (with_fabric, with_accelerate):
        study = tuner.start(trainer=trainer, space=space, data=data, trials=3, settings=settings)
        print(study.trials[["number", "state", "epochs", "train_loss", "val_loss"]])
