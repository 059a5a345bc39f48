"""A learned adjuster that remembers samples, in a training loop of one's own."""

import torch
from torch import nn

import metaloss
from metaloss.tasks import classification_task, digits, noise


def main(epochs: int = 12) -> float:
    """Train on digits with 40% wrong labels; the test accuracy in percent."""

    def wrong_labels(**given):
        return noise.symmetric(rate=0.4, **given)

    task = classification_task(data=digits, noise=wrong_labels, num_meta=0, num_test=360)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    # Instead of nn.CrossEntropyLoss(). It remembers samples: how many are there, and which?
    criterion = metaloss.from_pretrained("sl-fashion-mnist-context")
    criterion.prepare(task.train_targets, task.num_classes)
    for epoch in range(epochs):
        criterion.progress(epoch / epochs)  # moves the snapshots of one that has several
        for inputs, targets, index in task.train.epoch(epoch):
            loss = criterion(model(inputs), targets, index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    (test,) = task.test.epoch(0)
    return 100 * (model(test.inputs).argmax(dim=1) == test.targets).double().mean().item()


if __name__ == "__main__":
    print(f"test accuracy {main():.1f}%")
