"""An app of Hydra's that is searched when it is started; `python app.py hydra.mode=RUN` trains it once."""

import warnings

import hydra
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import tuner


@hydra.main(version_base=None, config_path=".", config_name="config")
def main(cfg):
    x, y = load_digits(return_X_y=True)
    x, x_validation, y, y_validation = train_test_split(x / 16, y, random_state=0)
    net = MLPClassifier(
        cfg.model.width, activation=cfg.model.activation, alpha=cfg.decay, learning_rate_init=cfg.lr,
        max_iter=1, warm_start=True, random_state=0,
    )  # fmt: skip
    warnings.filterwarnings("ignore", "Stochastic Optimizer")  # it is trained for one epoch at a time
    for _ in range(cfg.epochs):
        net.fit(x, y)
        val_loss = log_loss(y_validation, net.predict_proba(x_validation))
        tuner.report(train_loss=net.loss_, val_loss=val_loss, val_score=net.score(x_validation, y_validation))


if __name__ == "__main__":
    main()
