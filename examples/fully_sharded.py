"""Fully sharded data parallel (FSDP2): two processes train one network, and each holds half of it."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import tuner

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)  # of all shards, on rank 0
SENT = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


def build(hidden):
    inner = nn.Linear(hidden, hidden), nn.ReLU()
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), *inner, nn.Linear(hidden, 10))


def train(params, context):
    torch.manual_seed(context.seed % 2**31)  # the same first weights on all ranks
    net = build(params["hidden"]).to(context.device)
    mesh = init_device_mesh(torch.device(context.device).type, (context.world_size,))
    for layer in (net[0], net[2], net):
        fully_shard(layer, mesh=mesh)
    optimizer = torch.optim.Adam(net.parameters(), lr=params["rate"])
    if state := context.resume():
        parts = {"model_state_dict": state["net"], "optim_state_dict": state["optimizer"]}
        set_state_dict(net, optimizer, **parts, options=SENT)
    x, y = tensors(context.data.train, context.device)
    while True:
        for rows in torch.randperm(len(x)).split(64):  # the same on all ranks, and each takes its part
            mine = rows[context.rank :: context.world_size]
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[mine]), y[mine]).backward()
            optimizer.step()
        weights, moments = get_state_dict(net, optimizer, options=WHOLE)
        context.keep(weights, build=build, kwargs={"hidden": params["hidden"]})
        with torch.no_grad():
            pairs = (x, y), tensors(context.data.validation, context.device)
            losses = [nn.functional.cross_entropy(net(x), y).item() for x, y in pairs]
        state = {"net": weights, "optimizer": moments}
        yield {"train_loss": losses[0], "val_loss": losses[1], "state": state}


def tensors(split, device):
    return torch.tensor(split.x / 16, device=device).float(), torch.tensor(split.y, device=device)


if __name__ == "__main__":
    space = {"hidden": tuner.Int(8, 64, default=32, log=True), "rate": tuner.Float(1e-4, 0.1, log=True)}
    data, settings = load_digits(return_X_y=True), {"trainer.world_size": 2, "trainer.epochs": 3}
    study = tuner.start(trainer=train, space=space, data=data, trials=3, settings=settings)
    print(study.trials[["number", "state", "epochs", "train_loss", "val_loss"]], study.best.model())
