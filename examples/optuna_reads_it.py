"""Optuna reads what tuner writes: `optuna.load_study` opens the same file."""

import optuna

import tuner

tuner.start("breast_cancer", trials=12)

study = optuna.load_study(study_name="breast_cancer", storage="sqlite:///tuner.db")
print(f"{len(study.trials)} trials, the best one is {study.best_trial.number}: {study.best_value:.4f}")
print(study.trials_dataframe(attrs=("number", "value", "state", "duration")).tail(3))

# Optuna may ask for a trial. It takes its turn when the study goes on.
study.enqueue_trial({**study.best_params, "learning_rate": 0.003})
ours = tuner.resume("breast_cancer", trials=14)
print(ours.trials[["number", "state", "val_loss", "params.learning_rate"]].tail(2))
