"""A learned adjuster in PyTorch Lightning."""

import metaloss
import metaloss.integrations  # first: it mends torchvision beside a CPU build of torch

# isort: split
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from metaloss.integrations.lightning import ProgressCallback


class Classifier(LightningModule):
    """Any module whose training step calls the criterion."""

    def __init__(self, criterion: metaloss.AdjustedLoss) -> None:
        super().__init__()
        self.criterion = criterion
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))

    def training_step(self, batch, _batch_idx):
        """The loss of a batch."""
        inputs, targets = batch
        return self.criterion(self.net(inputs), targets)

    def configure_optimizers(self):
        """The adjuster is frozen: it is not among what is optimized."""
        return torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)


def main(epochs: int = 3) -> Classifier:
    """Train on made-up data."""
    torch.manual_seed(0)
    inputs = torch.randn(512, 20)
    data = TensorDataset(inputs, inputs[:, :10].argmax(dim=1))
    criterion = metaloss.from_pretrained("gce-fashion-mnist-margin")
    classifier = Classifier(criterion)
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=[ProgressCallback(criterion)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, DataLoader(data, batch_size=64, shuffle=True))
    return classifier


if __name__ == "__main__":
    main()
