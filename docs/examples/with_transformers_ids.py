"""A learned adjuster with a memory of each sample in Hugging Face's Trainer."""

import tempfile

import metaloss  # first: it mends torchvision beside a CPU build of torch

# isort: split
import torch
from transformers import BertConfig, BertForSequenceClassification, TrainingArguments, set_seed

from metaloss.integrations.transformers import IndexedTrainer


class Sentences(torch.utils.data.Dataset):
    """Made-up sentences: the label is the first word. Each comes with its position."""

    def __init__(self, samples: int = 256) -> None:
        self.words = torch.randint(10, (samples, 8), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        words = self.words[i]
        return {"input_ids": words, "labels": words[0], "index": torch.tensor(i)}


def main(epochs: int = 2) -> IndexedTrainer:
    """Train on made-up sentences."""
    set_seed(0)
    sentences = Sentences()
    criterion = metaloss.from_pretrained("sl-fashion-mnist-context")
    criterion.prepare(sentences.words[:, 0], num_classes=10)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=10, intermediate_size=64, num_labels=10, **sizes)
    with tempfile.TemporaryDirectory() as folder:
        trainer = IndexedTrainer(
            criterion=criterion,
            model=BertForSequenceClassification(config),
            args=TrainingArguments(
                folder,
                num_train_epochs=epochs,
                per_device_train_batch_size=32,
                learning_rate=1e-3,
                remove_unused_columns=False,  # it would take the index for one
                eval_strategy="epoch",
                report_to=[],
                save_strategy="no",
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=sentences,
            eval_dataset=Sentences(64),
        )
        trainer.train()
    return trainer


if __name__ == "__main__":
    main()
