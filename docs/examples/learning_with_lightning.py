"""Learning an adjuster in PyTorch Lightning, by manual optimization."""

import metaloss  # first: it mends torchvision beside a CPU build of torch

# isort: split
from itertools import chain, repeat

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

META_EVERY = 2


class Classifier(LightningModule):
    """The loss learns from clean samples, which the module reads on its own."""

    def __init__(self, clean: DataLoader) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
        self.criterion, self.lookback, self.meta_optimizer = metaloss.recommended(num_classes=10)
        self.clean = chain.from_iterable(repeat(clean))

    def training_step(self, batch, batch_idx):
        """A training step and, if it is due, a meta step."""
        inputs, targets = batch
        optimizer = self.optimizers()
        due = batch_idx % META_EVERY == 0
        with self.lookback.step(self.net, optimizer.optimizer, self.criterion, batch, due=due):
            optimizer.zero_grad()
            self.manual_backward(self.criterion(self.net(inputs), targets))
            optimizer.step()
        if due:
            clean = [each.to(self.device) for each in next(self.clean)]
            grads = self.lookback.hypergradient(tuple(clean))
            for name, theta in self.criterion.adjuster.named_parameters():
                theta.grad = grads[name]
            self.meta_optimizer.step()

    def validation_step(self, batch, _batch_idx):
        """The accuracy."""
        inputs, targets = batch
        self.log("accuracy", (self.net(inputs).argmax(dim=1) == targets).float().mean())

    def configure_optimizers(self):
        """The network's optimizer; that of the adjuster is the module's own."""
        return torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)


def main(epochs: int = 30) -> Classifier:
    """Train on made-up data, of which 40% have a wrong label."""
    torch.manual_seed(0)
    inputs = torch.randn(1600, 20)
    right = inputs[:, :10].argmax(dim=1)
    wrong = (right + torch.randint(1, 10, right.shape)) % 10
    given = torch.where(torch.rand(len(right)) < 0.4, wrong, right)

    def loader(labels: torch.Tensor, start: int, stop: int, *, shuffle: bool = True) -> DataLoader:
        return DataLoader(TensorDataset(inputs[start:stop], labels[start:stop]), 50, shuffle)

    classifier = Classifier(clean=loader(right, 0, 100))
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, loader(given, 100, 1100), loader(right, 1100, 1600, shuffle=False))
    print(f"accuracy: {float(trainer.callback_metrics['accuracy']):.1%}")
    return classifier


if __name__ == "__main__":
    main()
