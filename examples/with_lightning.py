"""Lightning: the three lines that differ from a script without tuner are marked."""

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tuner
from tuner.integrations.lightning import LightningReport


class Net(L.LightningModule):
    """A small perceptron."""

    def __init__(self, hidden, rate):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))
        self.rate = rate

    def _log(self, batch, split):
        x, y = batch
        out = self.net(x)
        loss = nn.functional.cross_entropy(out, y)
        self.log(f"{split}_loss", loss, on_step=False, on_epoch=True)
        self.log(f"{split}_acc", (out.argmax(1) == y).float().mean(), on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch, _):
        return self._log(batch, "train")

    def validation_step(self, batch, _):
        self._log(batch, "val")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.rate)


def loader(split, *, shuffle=False):
    rows = TensorDataset(torch.tensor(split.x / 16, dtype=torch.float32), torch.tensor(split.y))
    return DataLoader(rows, batch_size=128, shuffle=shuffle)


def train(params, context):
    net = Net(params["hidden"], params["rate"])
    report = LightningReport(context)  # 1
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(max_epochs=context.epochs, accelerator="cpu", callbacks=[report], **quiet)  # 2
    data = loader(context.data.train, shuffle=True), loader(context.data.validation)
    trainer.fit(net, *data, ckpt_path=report.checkpoint())  # 3


if __name__ == "__main__":
    space = {"hidden": tuner.Int(8, 64, default=32, log=True), "rate": tuner.Float(1e-4, 0.1, log=True)}
    data, settings = load_digits(return_X_y=True), {"trainer.epochs": 9}
    study = tuner.start(name="lightning", trainer=train, space=space, data=data, trials=6, settings=settings)
    print(study.trials[["number", "state", "epochs", "val_loss", "val_score"]])
