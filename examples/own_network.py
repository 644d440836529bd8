"""A network of your own: any `nn.Module`; its settings are searched together with the optimizer's."""

from torch import nn

import tuner


class Residual(nn.Module):
    """A layer that adds what it computes to what it is given."""

    def __init__(self, width, dropout):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, x):
        """The input plus what the layers make of it."""
        return x + self.layers(x)


def build(params, context):
    """The network of one trial; `context` says what goes in and what must come out."""
    width, dropout = params["width"], params["dropout"]
    return nn.Sequential(
        nn.Linear(context.input_shape[0], width),
        *(Residual(width, dropout) for _ in range(params["depth"])),
        nn.Linear(width, context.outputs),
    )


# The tables of a study file. The network is named by its file, so that worker processes find it.
STUDY = {
    "name": "residual",
    "data": {"source": "sklearn:breast_cancer"},
    "trainer": {"model": "./own_network.py:build", "score": "f1", "epochs": 5},
    "space": {
        "use": ["optimization"],
        "width": {"type": "int", "low": 8, "high": 64, "log": True},
        "depth": {"type": "int", "low": 1, "high": 4},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    },
}

if __name__ == "__main__":
    study = tuner.start(STUDY, trials=8, workers=1)
    best = study.best
    print(f"trial {best.number}: F1 {best.reading.val_score:.3f}, depth {best.params['depth']}")
    print(best.model())
