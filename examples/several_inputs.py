"""Several inputs side by side: half of a picture, and what a table says of the other half, in one network."""

import numpy as np
from sklearn.datasets import load_digits

import tuner

digits = load_digits()
left, right = np.split(digits.images, 2, axis=2)  # (N, 8, 4) each
INPUTS = {
    "image": (left * 15).astype(np.uint8),
    "table": np.concatenate([right.sum(axis=1), right.sum(axis=2)], axis=1),  # (N, 12)
}

if __name__ == "__main__":
    settings = {"trainer.score": "accuracy", "trainer.epochs": 3}
    for name, x in {"halves": INPUTS, "pictures": INPUTS["image"], "sums": INPUTS["table"]}.items():
        study = tuner.start(name=name, data=(x, digits.target), trials=2, settings=settings, workers=1)
        best = study.best.reading
        print(f"{name}: {study.spec.trainer.model}, {best.val_score:.3f} of the validation rows are right")
    rows = {key: x[:3] for key, x in INPUTS.items()}
    print(tuner.predict("halves", rows)["prediction"].tolist(), digits.target[:3].tolist())
