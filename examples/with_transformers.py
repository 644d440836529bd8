"""Hugging Face transformers: a tiny BERT, made at random so that nothing is downloaded, learns a rule."""

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import tuner
from tuner.integrations.transformers import TransformersReport, apply


class Rows(torch.utils.data.Dataset):
    """Rows of 12 tokens; a row is of the kind 1 if token 3 is more frequent in it than token 4."""

    def __init__(self, seed, count):
        tokens = np.random.default_rng(seed).integers(2, 8, size=(count, 12))
        kinds = ((tokens == 3).sum(1) > (tokens == 4).sum(1)).astype(int)
        self.rows = [
            {"input_ids": torch.tensor(t), "labels": int(k)} for t, k in zip(tokens, kinds, strict=True)
        ]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def accuracy(found):
    return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}


def train(params, context):
    size = {"hidden_size": params["width"], "intermediate_size": 2 * params["width"]}
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 12}
    model = BertForSequenceClassification(BertConfig(vocab_size=8, **size, **shape))
    args = TrainingArguments(
        "out", eval_strategy="epoch", logging_strategy="epoch", per_device_train_batch_size=32,
        use_cpu=True, disable_tqdm=True, report_to=[],
    )  # fmt: skip
    report = TransformersReport(context)  # 1
    trainer = Trainer(
        model, train_dataset=Rows(0, 128), eval_dataset=Rows(1, 64), compute_metrics=accuracy,
        args=apply(args, params, context), callbacks=[report],  # 2
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=report.checkpoint())  # 3


if __name__ == "__main__":
    space = {
        "learning_rate": tuner.Float(1e-4, 1e-2, default=1e-3, log=True),
        "width": tuner.Choice([8, 16], default=16),
    }
    study = tuner.start(name="bert", trainer=train, space=space, trials=3, settings={"trainer.epochs": 3})
    print(study.trials[["number", "state", "epochs", "train_loss", "val_loss", "val_score"]])
