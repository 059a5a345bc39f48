"""A learned adjuster in PyTorch Lightning."""

import metaloss  # first: it mends torchvision beside a CPU build of torch

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
        """The loss of a batch, whose samples come with their positions."""
        inputs, targets, index = batch
        return self.criterion(self.net(inputs), targets, index)

    def validation_step(self, batch, _batch_idx):
        """Plain cross entropy, as the criterion is in evaluation mode; no ids are needed."""
        inputs, targets = batch
        self.log("val_loss", self.criterion(self.net(inputs), targets))

    def configure_optimizers(self):
        """The adjuster is frozen: it is not among what is optimized."""
        return torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)


def main(epochs: int = 3) -> Classifier:
    """Train on made-up data."""
    torch.manual_seed(0)
    inputs = torch.randn(640, 20)
    targets = inputs[:, :10].argmax(dim=1)
    train = TensorDataset(inputs[:512], targets[:512], torch.arange(512))
    validation = TensorDataset(inputs[512:], targets[512:])
    criterion = metaloss.from_pretrained("sl-fashion-mnist-context")
    criterion.prepare(targets[:512], num_classes=10)
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
    trainer.fit(
        classifier,
        DataLoader(train, batch_size=64, shuffle=True),
        DataLoader(validation, batch_size=64),
    )
    return classifier


if __name__ == "__main__":
    main()
