"""Epochs: the loop of train.py, its schedule, its checkpoints and its curves. All chance comes from the seed and the
number of the epoch, so that a resumed run goes on as if it had never stopped."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Iterator

import numpy as np
import torch
from torch import nn

from mnv2.progress import progress
from mnv2.train.data import Images, to_tensor


@dataclass(frozen=True)
class Recipe:
    """What decides how the weights move. A run can only be resumed with the same."""

    network: str  # which one: for people, and to be compared
    images: str  # their sizes and augmentation, likewise
    classes: tuple[str, ...]
    epochs: int
    batch: int
    learning_rate: float
    warmup_epochs: float
    weight_decay: float
    label_smoothing: float
    freeze: bool
    seed: int


@dataclass
class Epoch:
    """What an epoch came to. Accuracies are fractions."""

    train_loss: float
    train_top1: float
    val_loss: float
    val_top1: float

    def is_better_than(self, other: "Epoch") -> bool:
        return (self.val_top1, -self.val_loss) > (other.val_top1, -other.val_loss)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """A linear warm-up, then half a cosine down to zero (Loshchilov and Hutter 2017, without restarts)."""
    total = recipe.epochs * steps_per_epoch
    warmup = min(total - 1, round(recipe.warmup_epochs * steps_per_epoch))
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def _batches(images: Images, order: np.ndarray, batch: int,
             workers: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    loader = torch.utils.data.DataLoader(images, batch_size=batch, sampler=[int(i) for i in order],
                                         num_workers=workers, generator=torch.Generator().manual_seed(0))
    for pixels, classes in loader:
        yield to_tensor(pixels.numpy()), classes


class Trainer:
    """A network on its way. `output` holds last.pt, from which a run goes on, best.pth, history.json and curves.png."""

    def __init__(self, network: nn.Module, features: nn.Module, train: Images, val: Images, recipe: Recipe,
                 output: Path, workers: int):
        # Channels innermost is how PyTorch's convolutions are fastest on a CPU.
        self.network = network.to(memory_format=torch.channels_last)
        self.features, self.train, self.val = features, train, val
        self.recipe, self.output, self.workers = recipe, output, workers
        if recipe.freeze:
            features.requires_grad_(False)
        # Biases and BatchNorm's factors are not pulled to zero.
        trained = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW([
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}], lr=recipe.learning_rate)
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.history: list[Epoch] = []

    @property
    def best(self) -> int:
        """The number of the best epoch, from 0."""
        best = 0
        for i, epoch in enumerate(self.history):
            if epoch.is_better_than(self.history[best]):
                best = i
        return best

    def run(self, say: Any) -> None:
        """All epochs that are left. `say` takes a line for people."""
        while len(self.history) < self.recipe.epochs:
            number = len(self.history)
            train_loss, train_top1 = self._train_epoch(number)
            val_loss, val_top1 = self.validate()
            self.history.append(Epoch(train_loss, train_top1, val_loss, val_top1))
            is_best = self.best == number
            if is_best:
                _save({"state_dict": self.network.state_dict()}, self.output / "best.pth")
            _save({"state_dict": self.network.state_dict(), "optimizer": self.optimizer.state_dict(),
                   "history": [asdict(epoch) for epoch in self.history], "recipe": asdict(self.recipe)},
                  self.output / "last.pt")
            _write(self.output / "history.json", json.dumps([asdict(e) for e in self.history], indent=1) + "\n")
            draw_curves(self.history, self.output / "curves.png")
            say(f"epoch {number + 1}/{self.recipe.epochs}: loss {train_loss:.3f}, train {100 * train_top1:.1f} %, "
                f"validation {100 * val_top1:.2f} %{' (best)' if is_best else ''}")

    def resume(self) -> None:
        """Goes back to where last.pt was written. Raises ValueError when it comes from another recipe."""
        saved = torch.load(self.output / "last.pt", map_location="cpu")
        for name, value in asdict(self.recipe).items():
            before = saved["recipe"].get(name)
            if before != value:
                before, now = (shorten(str(what), 300, placeholder=" ...") for what in (before, value))
                raise ValueError(f"{name} was {before}, now {now}")
        self.network.load_state_dict(saved["state_dict"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history = [Epoch(**epoch) for epoch in saved["history"]]

    def _train_epoch(self, number: int) -> tuple[float, float]:
        recipe = self.recipe
        self.network.train()
        if recipe.freeze:
            self.features.eval()
        self.train.epoch = number
        torch.manual_seed(recipe.seed * 100_003 + number)  # of dropout
        order = np.random.default_rng([recipe.seed, number]).permutation(len(self.train))
        # BatchNorm cannot learn from a batch of one.
        steps = max(1, len(order) // recipe.batch + (len(order) % recipe.batch > 1))
        total_loss, right, seen = 0.0, 0, 0
        batches = _batches(self.train, order[:steps * recipe.batch], recipe.batch, self.workers)
        for step, (images, classes) in enumerate(progress(batches, steps, f"epoch {number + 1}")):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(recipe, number * steps + step, steps)
            logits = self.network(images)
            loss = self.loss(logits, classes)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total_loss += loss.item() * len(classes)
            right += int((logits.argmax(1) == classes).sum())
            seen += len(classes)
        return total_loss / seen, right / seen

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Loss without smoothing, and top-1 accuracy."""
        self.network.eval()
        total_loss, right = 0.0, 0
        for images, classes in _batches(self.val, np.arange(len(self.val)), self.recipe.batch, 0):
            logits = self.network(images)
            total_loss += nn.functional.cross_entropy(logits, classes, reduction="sum").item()
            right += int((logits.argmax(1) == classes).sum())
        return total_loss / len(self.val), right / len(self.val)

    @torch.no_grad()
    def predictions(self) -> list[int]:
        """The most probable class of each validation image."""
        self.network.eval()
        found: list[int] = []
        for images, _ in _batches(self.val, np.arange(len(self.val)), self.recipe.batch, 0):
            found += self.network(images).argmax(1).tolist()
        return found


def _save(content: Any, path: Path) -> None:
    """Whole or not at all: a run may be stopped at any time."""
    temporary = path.with_name(f".{path.name}.tmp")
    torch.save(content, temporary)
    os.replace(temporary, path)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def draw_curves(history: list[Epoch], path: Path) -> None:
    """Loss and accuracy over the epochs, as PNG."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    epochs = range(1, len(history) + 1)
    figure, (loss, accuracy) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    loss.plot(epochs, [e.train_loss for e in history], label="training")
    loss.plot(epochs, [e.val_loss for e in history], label="validation")
    loss.set(xlabel="epoch", ylabel="cross-entropy", title="Loss")
    accuracy.plot(epochs, [100 * e.train_top1 for e in history], label="training (augmented)")
    accuracy.plot(epochs, [100 * e.val_top1 for e in history], label="validation")
    accuracy.set(xlabel="epoch", ylabel="top-1, %", title="Accuracy", ylim=(0, 100))
    for axes in (loss, accuracy):
        axes.legend()
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", dpi=100)
    pyplot.close(figure)
    os.replace(temporary, path)
