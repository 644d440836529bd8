"""One training script for each framework: as it is, with tuner's callback, with that of optuna-integration.

TRIALS, EPOCHS, FIRST, SETTINGS, SAMPLER, PRUNER and TOLD are filled in; FIRST are the configurations to
begin with, TOLD is called once an epoch with the validation loss.
"""

from __future__ import annotations

_LIGHTNING = """\
import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
{imports}
torch.set_num_threads(1)
x, y = map(torch.tensor, load_digits(return_X_y=True))
rows = x.float() / 16
quiet = {{"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}}
quiet |= {{"enable_model_summary": False, "num_sanity_val_steps": 0}}


class Net(L.LightningModule):
    def __init__(self, rate, width, decay):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
        self.rate, self.decay = rate, decay

    def loss(self, batch, name):
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log(name, loss, on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch, _):
        return self.loss(batch, "train_loss")

    def validation_step(self, batch, _):
        TOLD(float(self.loss(batch, "val_loss")))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.rate, weight_decay=self.decay)


{train}
    learned, judged = TensorDataset(rows[:1297], y[:1297]), TensorDataset(rows[1297:], y[1297:])
    loaders = DataLoader(learned, 32, shuffle=True), DataLoader(judged, 500)
{fit}
"""
_KERAS = """\
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch
from sklearn.datasets import load_digits
{imports}
torch.set_num_threads(1)
x, y = load_digits(return_X_y=True)
x = x / 16
split = {{"validation_data": (x[1297:], y[1297:]), "batch_size": 32, "verbose": 0}}
told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: TOLD(logs["val_loss"]))


{train}
    layers = [keras.Input((64,)), keras.layers.Dense(width, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate, weight_decay=decay), loss)
{fit}
"""
_TRANSFORMERS = """\
import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification
from transformers import Trainer, TrainerCallback, TrainingArguments
{imports}
torch.set_num_threads(1)
size = {{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}}
quiet = {{"use_cpu": True, "disable_tqdm": True, "report_to": [], "logging_strategy": "no"}}
tokens = np.random.default_rng(0).integers(2, 8, size=(640, 12))
labels = ((tokens == 3).sum(1) > (tokens == 4).sum(1)).astype(int)
rows = [{{"input_ids": torch.tensor(t), "labels": int(k)}} for t, k in zip(tokens, labels)]


class Told(TrainerCallback):
    def on_evaluate(self, args, state, control, metrics, **kwargs):
        TOLD(metrics["eval_loss"])


{train}
    config = BertConfig(vocab_size=8, max_position_embeddings=12, intermediate_size=width, **size)
    model = BertForSequenceClassification(config)
{fit}
"""
_PLAIN = """def train(rate, width, decay):"""
_ALONE = """

for _ in range(TRIALS):
    train(0.01, 32, 0.0)"""
_TUNER = """def train(params, context):
    rate, width, decay = (params[name] for name in ("rate", "width", "decay"))"""
DRIVER = """\
import tuner

space = {
    "rate": tuner.Float(low=1e-4, high=1.0, default=0.01, log=True),
    "width": tuner.Int(low=4, high=128, default=32, log=True),
    "decay": tuner.Float(low=1e-6, high=0.1, default=1e-4, log=True),
}
own = {"first": FIRST, "settings": SETTINGS}
tuner.start(trainer="./train.py:train", space=space, trials=TRIALS, name="s", exists="resume", **own)
"""
"""What starts tuner's study: it names the script, and imports no framework."""

_OPTUNA = """def train(trial):
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    width = trial.suggest_int("width", 4, 128, log=True)
    decay = trial.suggest_float("decay", 1e-6, 0.1, log=True)"""
_OPTIMIZE = """

study = optuna.create_study(
    storage="sqlite:///optuna.db", study_name="s", load_if_exists=True, sampler=SAMPLER, pruner=PRUNER
)
begun = [state for state in optuna.trial.TrialState if state.name != "WAITING"]
enough = optuna.study.MaxTrialsCallback(TRIALS, states=begun)
if len(study.get_trials(states=begun)) < TRIALS:
    study.optimize(train, callbacks=[enough])"""

_LIGHTNING_FIT = """\
    trainer = L.Trainer(max_epochs=EPOCHS, accelerator="cpu", {callbacks}**quiet)
    trainer.fit(Net(rate, width, decay), *loaders{checkpoint})"""
_KERAS_FIT = """\
    model.fit(x[:1297], y[:1297], epochs=EPOCHS, callbacks=[told{callback}], **split)"""
_BERT_FIT = """\
    plan = {{"num_train_epochs": EPOCHS, "learning_rate": rate, "weight_decay": decay, {plan}}}
    args = TrainingArguments({folder}, **plan, **quiet)
    callbacks = [Told(){callback}]
    trainer = Trainer(model, args, train_dataset=rows[:512], eval_dataset=rows[512:], callbacks=callbacks)
    trainer.train({checkpoint})"""
_BERT_JUDGES = '"eval_strategy": "epoch", "save_strategy": "no"'
_BERT_PRUNES = """class Pruned(TrainerCallback):
    def __init__(self, trial):
        self.trial = trial

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self.trial.report(metrics["eval_loss"], round(state.epoch))
        if self.trial.should_prune():
            raise optuna.TrialPruned


"""


def _filled(text: str, train: str, fit: str, end: str, imports: str = "") -> str:
    return text.format(imports=imports, train=train, fit=fit) + end + "\n"


SCRIPTS: dict[str, tuple[str, str, str]] = {
    "Lightning": (
        _filled(_LIGHTNING, _PLAIN, _LIGHTNING_FIT.format(callbacks="", checkpoint=""), _ALONE),
        _filled(
            _LIGHTNING,
            _TUNER,
            "    report = LightningReport(context)\n"
            + _LIGHTNING_FIT.format(
                callbacks="callbacks=[report], ", checkpoint=", ckpt_path=report.checkpoint()"
            ),
            "",
            "from tuner.integrations.lightning import LightningReport\n",
        ),
        _filled(
            _LIGHTNING,
            _OPTUNA,
            '    callback = PyTorchLightningPruningCallback(trial, "val_loss")\n'
            + _LIGHTNING_FIT.format(callbacks="callbacks=[callback], ", checkpoint="")
            + '\n    return float(trainer.callback_metrics["val_loss"])',
            _OPTIMIZE,
            "import optuna\nfrom optuna_integration import PyTorchLightningPruningCallback\n",
        ),
    ),
    "Keras": (
        _filled(_KERAS, _PLAIN, _KERAS_FIT.format(callback=""), _ALONE),
        _filled(
            _KERAS,
            _TUNER,
            _KERAS_FIT.format(callback=", KerasReport(context)"),
            "",
            "from tuner.integrations.keras import KerasReport\n",
        ),
        _filled(
            _KERAS,
            _OPTUNA,
            _KERAS_FIT.format(callback=', KerasPruningCallback(trial, "val_loss")')
            + '\n    return model.history.history["val_loss"][-1]',
            _OPTIMIZE,
            "import optuna\nfrom optuna_integration import KerasPruningCallback\n",
        ),
    ),
    "transformers": (
        _filled(
            _TRANSFORMERS,
            _PLAIN,
            _BERT_FIT.format(
                folder='"out"', plan=_BERT_JUDGES, callback="", checkpoint=""
            ),
            _ALONE,
        ),
        _filled(
            _TRANSFORMERS,
            _TUNER,
            "    report = TransformersReport(context)\n"
            + _BERT_FIT.format(
                folder="context.folder",
                plan='"eval_strategy": "epoch", "save_strategy": "epoch", "save_total_limit": 1',
                callback=", report",
                checkpoint="resume_from_checkpoint=report.checkpoint()",
            ),
            "",
            "from tuner.integrations.transformers import TransformersReport\n",
        ),
        _filled(
            _TRANSFORMERS,
            _BERT_PRUNES + _OPTUNA,
            _BERT_FIT.format(
                folder='"out"', plan=_BERT_JUDGES, callback=", Pruned(trial)",
                checkpoint="",
            )
            + '\n    return min(each.get("eval_loss", 9.0) for each in trainer.state.log_history)',
            _OPTIMIZE,
            "import optuna\n",
        ),
    ),
}  # fmt: skip
"""The script without a tuner, with tuner, with Optuna."""
