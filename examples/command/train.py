"""A script as it is: it gets its settings as arguments, and prints its numbers."""

import argparse

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser(description="Train a linear classifier of digits.")
parser.add_argument("--learning-rate", type=float, default=0.01, help="step size")
parser.add_argument("--alpha", type=float, default=1e-4, help="weight of the penalty")
parser.add_argument("--penalty", choices=["l2", "l1", "elasticnet"], default="l2", help="of the weights")
parser.add_argument("--epochs", type=int, default=9)
args = parser.parse_args()

x, y = load_digits(return_X_y=True)
parts = train_test_split(x / 16, y, test_size=0.3, random_state=0)
model = SGDClassifier(
    loss="log_loss",
    penalty=args.penalty,
    alpha=args.alpha,
    learning_rate="constant",
    eta0=args.learning_rate,
    random_state=0,
)
for epoch in range(args.epochs):
    model.partial_fit(parts[0], parts[2], classes=range(10))
    train, val = (log_loss(parts[i + 2], model.predict_proba(parts[i])) for i in (0, 1))
    score = model.score(parts[1], parts[3])
    print(f"epoch {epoch}: train_loss={train:.5f} val_loss={val:.5f} val_score={score:.4f}")
