"""A learned adjuster, and learning one, with a network of timm."""

import metaloss  # first: it mends torchvision beside a CPU build of torch

# isort: split
import timm
import torch
from timm.task import ClassificationTask
from torch.utils.data import DataLoader, TensorDataset


def loader(samples: int, seed: int) -> DataLoader:
    """Made-up images: the label is the channel that is brightest."""
    images = torch.randn(samples, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    images += 2 * torch.randn(samples, 3, 1, 1, generator=torch.Generator().manual_seed(seed + 1))
    labels = images.mean(dim=(2, 3)).argmax(dim=1)
    return DataLoader(TensorDataset(images, labels), batch_size=16, shuffle=True)


def use_one(epochs: int = 2) -> torch.nn.Module:
    """Use an adjuster that was learned elsewhere."""
    torch.manual_seed(0)
    batches = loader(128, 0)
    model = timm.create_model("resnet10t", num_classes=3)
    criterion = metaloss.from_pretrained("gce", total_steps=epochs * len(batches))
    task = ClassificationTask(model, criterion=criterion, device=torch.device("cpu"), verbose=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad()
            task(images, labels)["loss"].backward()
            optimizer.step()
    return model


def learn_one(epochs: int = 2) -> torch.nn.Module:
    """Learn an adjuster from clean samples, in a loop of your own."""
    torch.manual_seed(0)
    batches, clean = loader(128, 0), loader(32, 2)
    model = timm.create_model("resnet10t", num_classes=3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    criterion, lookback, meta_optimizer = metaloss.recommended(num_classes=3)
    for _ in range(epochs):
        for step, batch in enumerate(batches):
            due = step % 4 == 0
            with lookback.step(model, optimizer, criterion, batch, due=due):
                optimizer.zero_grad()
                criterion(model(batch[0]), batch[1]).backward()
                optimizer.step()
            if due:
                grads = lookback.hypergradient(next(iter(clean)))
                for name, theta in criterion.adjuster.named_parameters():
                    theta.grad = grads[name]
                meta_optimizer.step()
    return model


if __name__ == "__main__":
    use_one()
    learn_one()
