"""Learn an adjuster with Lightning Fabric, in two processes and in mixed precision."""

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import metaloss
from metaloss.tasks import classification_task, digits, noise


def loaders() -> tuple[DataLoader, DataLoader, TensorDataset]:
    """Digits with 40% wrong labels, 100 clean ones, and a test set."""

    def wrong_labels(**given):
        return noise.symmetric(rate=0.4, **given)

    task = classification_task(data=digits, noise=wrong_labels, num_meta=100, num_test=360)
    sets = []
    for part in (task.train, task.meta, task.test):
        batches = list(part.epoch(0))
        sets.append(TensorDataset(*(torch.cat([b[k] for b in batches]) for k in range(2))))
    noisy, clean, test = sets
    return DataLoader(noisy, 50, shuffle=True, drop_last=True), DataLoader(clean, 50), test


def main(fabric: Fabric, epochs: int = 10) -> float:
    """Train; the test accuracy in percent."""
    fabric.launch()
    torch.manual_seed(0)  # every process begins with the same weights
    noisy, clean, test = loaders()
    noisy, clean = fabric.setup_dataloaders(noisy, clean)  # each process has a part of each
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    model, optimizer = fabric.setup(network, optimizer)
    criterion, lookback, meta_optimizer = metaloss.recommended(num_classes=10)
    for _ in range(epochs):
        meta_batch = next(iter(clean))
        for batch in noisy:
            with lookback.step(model, optimizer, criterion, batch):  # the wrapped model
                optimizer.zero_grad()
                inputs, labels = batch
                fabric.backward(criterion(model(inputs), labels))
                optimizer.step()
            grads = lookback.hypergradient(meta_batch)  # the same on every process
            for name, parameter in criterion.adjuster.named_parameters():
                parameter.grad = grads[name]
            meta_optimizer.step()
    inputs, labels = test.tensors
    with torch.no_grad():
        right = network(inputs).argmax(dim=1) == labels
    return 100 * right.double().mean().item()


if __name__ == "__main__":
    two = Fabric(accelerator="cpu", devices=2, precision="bf16-mixed")
    two.print(f"test accuracy {main(two):.1f}%")
