"""Model and data parallel: a network is a pipeline of two processes, and two such pairs train it together."""

import torch
from sklearn.datasets import load_digits
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

import tuner

BATCH, PARTS = 64, 4


def train(params, context):
    """One stage of one pair: ranks 0 and 1 are a pair, ranks 2 and 3 are the other."""
    mesh = init_device_mesh("cpu", (context.world_size // 2, 2), mesh_dim_names=("pair", "stage"))
    pair, at = mesh.get_local_rank("pair"), mesh.get_local_rank("stage")
    torch.manual_seed(context.seed % 2**31)
    stages = nn.Sequential(nn.Linear(64, params["hidden"]), nn.ReLU()), nn.Linear(params["hidden"], 10)
    net = stages[at]
    optimizer = torch.optim.SGD(net.parameters(), lr=params["rate"], momentum=0.9)
    if state := context.resume():  # each rank's own
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
    stage = PipelineStage(net, at, 2, torch.device("cpu"), group=mesh.get_group("stage"))
    pipeline = ScheduleGPipe(stage, PARTS, loss_fn=nn.functional.cross_entropy)
    x, y = torch.tensor(context.data.train.x / 16, dtype=torch.float32), torch.tensor(context.data.train.y)
    while True:
        losses = []
        whole = len(x) // BATCH * BATCH  # the stages agree on one shape
        for rows in torch.randperm(len(x))[:whole].split(BATCH):
            mine = rows[pair :: mesh.size(0)]
            optimizer.zero_grad()
            if at == 0:
                pipeline.step(x[mine])
            else:
                pipeline.step(target=y[mine], losses=losses)
            for weights in net.parameters():  # the mean over the same stage of all pairs
                distributed.all_reduce(weights.grad, group=mesh.get_group("pair"))
                weights.grad /= mesh.size(0)
            optimizer.step()
        # Only the second stages know the loss; the first ones count as 0 in the mean over all ranks.
        loss = 2 * context.mean(torch.stack(losses).mean().item() if losses else 0.0)
        yield {"train_loss": loss, "val_loss": loss, "state": {"net": net, "optimizer": optimizer}}


if __name__ == "__main__":
    space = {"hidden": tuner.Int(8, 64, default=32, log=True), "rate": tuner.Float(0.01, 0.3, default=0.1)}
    settings = {"trainer.world_size": 4, "trainer.epochs": 3}
    data = load_digits(return_X_y=True)
    study = tuner.start(trainer=train, space=space, data=data, trials=2, settings=settings)
    print(study.trials[["number", "state", "epochs", "train_loss"]])
