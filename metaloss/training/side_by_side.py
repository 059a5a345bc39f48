"""Networks of one architecture trained side by side, as one stacked network.

A small network leaves most of a GPU idle. ``torch.func.vmap`` runs the same layer of all of them in
one call, and the optimizer steps the stack as if it were one set of parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from metaloss.checks import InputError, require
from metaloss.objective import AdjustedLoss
from metaloss.types import Batch

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class SideBySide:
    """Networks of one architecture, each with its own data, stepped together.

    The networks stay usable: their tensors become views of the stacks, so that each can be
    evaluated, saved, or looked ahead with by itself.

    Args:
        models: of one architecture and size, in training mode.
        make_optimizer: makes an optimizer that works element by element, from parameters.

    Raises:
        InputError: fewer than one model, or models that differ, in what is frozen too.

    Example:
        >>> import torch
        >>> from metaloss import AdjustedLoss
        >>> from metaloss.losses import GCE
        >>> from metaloss.training import SideBySide
        >>> from metaloss.types import Batch
        >>> models = [torch.nn.Linear(4, 3) for _ in range(2)]
        >>> both = SideBySide(models, lambda p: torch.optim.SGD(p, lr=0.1))
        >>> batches = [Batch(torch.randn(5, 4), torch.randint(3, (5,))) for _ in models]
        >>> both.step(batches, [AdjustedLoss.fixed(GCE())] * 2).shape
        torch.Size([2])
    """

    def __init__(self, models: Sequence[nn.Module], make_optimizer: MakeOptimizer) -> None:
        require(len(models) > 0, "models: expected one or more, got none")
        shapes = [{n: t.shape for n, t in m.state_dict().items()} for m in models]
        learns = [{n: p.requires_grad for n, p in m.named_parameters()} for m in models]
        for i, other in enumerate(shapes):
            same = other == shapes[0] and learns[i] == learns[0]
            if not same or type(models[i]) is not type(models[0]):
                raise InputError(
                    f"models: expected networks of one architecture, but number {i} differs from "
                    "the first"
                )
        self.models = list(models)
        self.make_optimizer = make_optimizer
        params, self.buffers = torch.func.stack_module_state(self.models)
        self.params = {
            name: nn.Parameter(p.detach(), requires_grad=learns[0][name])
            for name, p in params.items()
        }
        self._stepped = [p for p in self.params.values() if p.requires_grad]
        self.optimizer = make_optimizer(self._stepped)
        for i, model in enumerate(self.models):
            for name, p in model.named_parameters():
                p.data = self.params[name].data[i]
            for name, b in model.named_buffers():
                b.data = self.buffers[name].data[i]
        self._base = copy.deepcopy(self.models[0])

    def outputs(self, inputs: Tensor) -> Tensor:
        """Each network's outputs for its own inputs; moves running statistics.

        Args:
            inputs: ``[models, batch, ...]``.

        Returns:
            ``[models, batch, classes]``.
        """

        def one(params: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            return torch.func.functional_call(self._base, (params, buffers), (x,))

        return torch.func.vmap(one, randomness="different")(dict(self.params), self.buffers, inputs)

    def step(self, batches: Sequence[Batch], criteria: Sequence[AdjustedLoss]) -> Tensor:
        """An ordinary step of every network (Eq. 12).

        Args:
            batches: one for each network, of one shape.
            criteria: each network's loss; their conditioners remember the batch.

        Returns:
            The mean losses before the step, ``[models]``, detached.

        Raises:
            InputError: not as many batches and criteria as networks.
        """
        for name, given in (("batches", batches), ("criteria", criteria)):
            require(
                len(given) == len(self.models),
                f"{name}: expected one for each of {len(self.models)} networks, got {len(given)}",
            )
        outputs = self.outputs(torch.stack([batch.inputs for batch in batches]))
        losses = torch.stack(
            [
                criterion.per_sample(own, batch.targets, batch.index, track=True).losses.mean()
                for criterion, own, batch in zip(criteria, outputs, batches, strict=True)
            ]
        )
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward(inputs=self._stepped)  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return losses.detach()

    def optimizer_of(self, number: int) -> torch.optim.Optimizer:
        """One network's part of the optimizer, to look ahead with.

        Args:
            number: of the network.

        Returns:
            An optimizer of that network's parameters, whose state views the stack's and whose
            settings are the stack's of this moment.
        """
        named = self.models[number].named_parameters()
        own = {name: p for name, p in named if p.requires_grad}
        optimizer = self.make_optimizer(own.values())
        for group, stacked in zip(optimizer.param_groups, self.optimizer.param_groups, strict=True):
            group.update({key: value for key, value in stacked.items() if key != "params"})
        for name, p in own.items():
            stack = self.params[name]
            optimizer.state[p] = {
                key: value[number] if getattr(value, "shape", None) == stack.shape else value
                for key, value in self.optimizer.state.get(stack, {}).items()
            }
        return optimizer
