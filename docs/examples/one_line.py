"""A training script in which one line changed."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import metaloss
from metaloss.tasks import classification_task, digits, noise


def loaders() -> tuple[DataLoader, DataLoader]:
    """Digits, of which 40% of the training labels are wrong, and clean ones to validate on."""

    def wrong_labels(**given):
        return noise.symmetric(rate=0.4, **given)

    task = classification_task(data=digits, noise=wrong_labels, num_meta=0, num_test=360)
    sets = []
    for part in (task.train, task.test):
        batches = list(part.epoch(0))
        inputs, targets = (torch.cat([b[k] for b in batches]) for k in range(2))
        sets.append(TensorDataset(inputs.flatten(1), targets))
    return DataLoader(sets[0], batch_size=100, shuffle=True), DataLoader(sets[1], batch_size=360)


def main(epochs: int = 12, name: str = "gce") -> tuple[float, float]:
    """Train; the cross entropy and the accuracy in percent on the validation set."""
    torch.manual_seed(0)
    train_loader, validation_loader = loaders()
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    # It was nn.CrossEntropyLoss().
    criterion = metaloss.from_pretrained(name, total_steps=len(train_loader) * epochs)

    for _ in range(epochs):
        model.train()
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            criterion(model(inputs), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            ((inputs, labels),) = validation_loader
            outputs = model(inputs)
            loss = criterion(outputs, labels).item()  # cross entropy, as anybody's
    return loss, 100 * (outputs.argmax(dim=1) == labels).double().mean().item()


if __name__ == "__main__":
    loss, accuracy = main()
    print(f"validation: loss {loss:.3f}, accuracy {accuracy:.1f}%")
