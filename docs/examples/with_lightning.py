"""A learned adjuster in PyTorch Lightning."""

import metaloss  # first: it mends torchvision beside a CPU build of torch

# isort: split
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset


class Classifier(LightningModule):
    """Any module whose training step calls the criterion."""

    def __init__(self, criterion: metaloss.AdjustedLoss) -> None:
        super().__init__()
        self.criterion = criterion
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))

    def training_step(self, batch, _batch_idx):
        """The adjusted loss of a batch."""
        inputs, targets = batch
        return self.criterion(self.net(inputs), targets)

    def validation_step(self, batch, _batch_idx):
        """Plain cross entropy, as the criterion is in evaluation mode."""
        inputs, targets = batch
        self.log("val_loss", self.criterion(self.net(inputs), targets))

    def configure_optimizers(self):
        """The adjuster is frozen: it is not among what is optimized."""
        return torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)


def main(epochs: int = 5) -> Classifier:
    """Train on made-up data."""
    torch.manual_seed(0)
    inputs = torch.randn(640, 20)
    samples = TensorDataset(inputs, inputs[:, :10].argmax(dim=1))
    train = DataLoader(Subset(samples, range(512)), batch_size=64, shuffle=True)
    validation = DataLoader(Subset(samples, range(512, 640)), batch_size=64)

    # It was nn.CrossEntropyLoss().
    criterion = metaloss.from_pretrained("gce", total_steps=len(train) * epochs)

    classifier = Classifier(criterion)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, train, validation)
    return classifier


if __name__ == "__main__":
    main()
