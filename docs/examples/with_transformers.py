"""A learned adjuster in Hugging Face's Trainer, on a tiny model with random weights."""

import tempfile

import metaloss  # first: it mends torchvision beside a CPU build of torch

# isort: split
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

from metaloss.integrations.transformers import CriterionCallback


class Sentences(torch.utils.data.Dataset):
    """Made-up sentences: the label is the first word."""

    def __init__(self, samples: int = 256) -> None:
        self.words = torch.randint(10, (samples, 8), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.words[i], "labels": self.words[i, 0]}


def main(epochs: int = 2) -> Trainer:
    """Train on made-up sentences."""
    set_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=10,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            num_labels=10,
        )
    )
    criterion = metaloss.from_pretrained("gce")
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                num_train_epochs=epochs,
                per_device_train_batch_size=32,
                learning_rate=1e-3,
                report_to=[],
                save_strategy="no",
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=Sentences(),
            compute_loss_func=criterion,
            callbacks=[CriterionCallback(criterion)],
        )
        trainer.train()
    return trainer


if __name__ == "__main__":
    main()
