"""A learned adjuster in a loop of Hugging Face's Accelerate."""

import metaloss  # first: it mends torchvision beside a CPU build of torch

# isort: split
import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset


def main(epochs: int = 5) -> tuple[nn.Module, metaloss.AdjustedLoss]:
    """Train on made-up data; the network and the criterion."""
    torch.manual_seed(0)
    inputs = torch.randn(640, 20)
    samples = TensorDataset(inputs, inputs[:, :10].argmax(dim=1))
    loader = DataLoader(Subset(samples, range(512)), batch_size=64, shuffle=True)
    validation = DataLoader(Subset(samples, range(512, 640)), batch_size=128)
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    accelerator = Accelerator(cpu=True)
    net, optimizer, loader, validation = accelerator.prepare(net, optimizer, loader, validation)

    # It was nn.CrossEntropyLoss().
    criterion = metaloss.from_pretrained("gce", total_steps=len(loader) * epochs)

    accelerator.register_for_checkpointing(criterion)
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            accelerator.backward(criterion(net(inputs), labels))
            optimizer.step()
        with torch.no_grad():
            ((inputs, labels),) = validation
            accelerator.print(f"validation loss {criterion(net(inputs), labels):.3f}")
    return net, criterion


if __name__ == "__main__":
    main()
