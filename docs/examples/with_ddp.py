"""Learn an adjuster in several processes: torchrun --nproc-per-node 2 with_ddp.py."""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import metaloss
from metaloss.tasks import classification_task, digits, noise


def loaders() -> tuple[DataLoader, DataLoader, TensorDataset]:
    """Digits with 40% wrong labels, 100 clean ones, and a test set; each process has a part."""

    def wrong_labels(**given):
        return noise.symmetric(rate=0.4, **given)

    task = classification_task(data=digits, noise=wrong_labels, num_meta=100, num_test=360)
    sets = []
    for part in (task.train, task.meta, task.test):
        batches = list(part.epoch(0))
        sets.append(TensorDataset(*(torch.cat([b[k] for b in batches]) for k in range(2))))
    noisy, clean, test = sets
    own = DistributedSampler(noisy, drop_last=True)
    meta_sampler = DistributedSampler(clean, drop_last=True)
    return DataLoader(noisy, 50, sampler=own), DataLoader(clean, 50, sampler=meta_sampler), test


def main(epochs: int = 10) -> float:
    """Train; the test accuracy in percent."""
    dist.init_process_group()
    torch.manual_seed(0)  # every process begins with the same weights
    noisy, clean, test = loaders()
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    model = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    criterion, lookback, meta_optimizer = metaloss.recommended(num_classes=10)
    for epoch in range(epochs):
        noisy.sampler.set_epoch(epoch)
        clean.sampler.set_epoch(epoch)
        (meta_batch,) = clean
        for batch in noisy:
            with lookback.step(model, optimizer, criterion, batch):  # the wrapped model
                optimizer.zero_grad()
                inputs, labels = batch
                criterion(model(inputs), labels).backward()
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
    accuracy = main()
    print(f"process {dist.get_rank()}: test accuracy {accuracy:.1f}%")
    dist.destroy_process_group()
