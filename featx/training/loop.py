"""The loop: epochs over train rows, the best weights by validation loss, from wherever a kill left it.

Whatever is drawn in an epoch (order, augmentation, dropout) is drawn from the seed and the epoch's number, so that a
run that goes on after a kill ends with the same weights, on a processor to the bit. Knows the rows that it is given and
no others, no files of images and no classifiers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import augment
from featx.errors import TrainingError
from featx.training import checkpoint, history, sampling
from featx.training.losses import Loss
from featx.training.passes import Passes, passes_for
from featx.training.settings import Settings
from featx.training.shares import workers_for
from featx.training.state import Learner, State
from featx.training.stepping import OutOfMemory, memory_reused, memory_told, optimiser_for, seeded, without_copies
from featx.training.workers import Workers

if TYPE_CHECKING:
    import torch

OnEpoch = Callable[[dict[str, Any]], None]
SHARE = 20  # a checkpoint is written once this many times its own duration has passed: 5 % at most
FEWEST = 2  # images in a pass: batch norm of one is none


class _Diverged(Exception):
    """A loss was not finite."""


def learn(learner: Learner, settings: Settings, *, kept_in: Path, on_epoch: OnEpoch | None = None) -> State:
    """Train a network; it ends with the weights of the epoch with the lowest validation loss.

    Parameters
    ----------
    learner : Learner
        What learns.
    settings : Settings
        How.
    kept_in : pathlib.Path
        The checkpoint: training goes on from it where it is there. It stays there at the end.
    on_epoch : callable, optional
        Told the history's row after each epoch.

    Returns
    -------
    State
        Its history and notes.

    Raises
    ------
    TrainingError
        Where the loss was not finite before one epoch was over.
    MemoryError
        Where not even a pass of two images fits.
    """
    without_copies(learner.network)
    with memory_reused(), workers_for(learner.device, images=settings.batch_size) as workers:
        return _Loop(learner, settings, kept_in, workers=workers, on_epoch=on_epoch).run()


class _Loop:
    def __init__(
        self, learner: Learner, settings: Settings, kept_in: Path, *, workers: Workers, on_epoch: OnEpoch | None
    ) -> None:
        self.learner, self.settings, self.workers = learner, settings, workers
        self.network, self.kept_in, self.on_epoch = learner.network, kept_in, on_epoch
        self.lengths = [n for n in (settings.head_epochs, settings.epochs) if n]
        weigh = {"classes": learner.classes}
        y = learner.train.y
        even = settings.balance in ("sample", "oversample")
        own = sampling.class_weights(y, **weigh, balance=settings.balance)
        judged = sampling.even_weights(y, **weigh) if even else own  # validation counts classes as training does
        self.loss = Loss(settings.loss, own, device=learner.device)
        self.judged = Loss(settings.loss, judged, device=learner.device)
        self.guess = self.loss.of_guess(sampling.shares(y, **weigh, balance=settings.balance))
        self.state = State(micro=settings.batch_size)
        self.best: dict[str, torch.Tensor] | None = None
        self.saved_at, self.cost = -math.inf, 0.0
        self._begin_phase()
        if not self._restore():
            self._save()

    def run(self) -> State:
        """Train to the end."""
        while not self.state.ended:
            try:
                row = self._epoch()
            except OutOfMemory as error:
                self._halve(error)
            except _Diverged:
                self._diverged()
            else:
                self._after(row)
        if self.best is not None:
            self.network.load_state_dict(self.best)
        self.network.eval()
        return self.state

    # ---- phases

    def _begin_phase(self) -> None:
        """Let learn what learns in this phase, with an optimiser of its own."""
        self.frozen = self.learner.frozen[self.state.phase]
        self.frozen.apply(self.network)
        self.passes: Passes | None = None
        groups: dict[str, list[Any]] = {f"{part} {kind}": [] for part in ("backbone", "head") for kind in ("all", "l2")}
        for name, values in self.network.named_parameters():
            if values.requires_grad:
                part = "head" if name.startswith(f"{self.learner.head}.") else "backbone"
                groups[f"{part} {'l2' if values.ndim > 1 else 'all'}"].append(values)
        self.optimiser = optimiser_for(self.settings, groups)

    def _rates(self) -> dict[str, float]:
        """Return the learning rates of this epoch."""
        settings, state = self.settings, self.state
        share = state.rate
        if settings.decay == "cosine":
            share = 0.5 * (1 + math.cos(math.pi * state.of_phase / self.lengths[state.phase]))
        head = settings.lr if settings.head_lr is None else settings.head_lr
        return {"backbone": settings.lr * share, "head": head * share}

    # ---- one epoch

    def _epoch(self) -> dict[str, Any]:
        state, y = self.state, self.learner.train.y
        began, rates = monotonic(), self._rates()
        for group in self.optimiser.param_groups:
            group["lr"] = rates[group["part"]]
        rng = np.random.default_rng([self.settings.seed, state.epoch])
        rows = sampling.order(y, classes=self.learner.classes, balance=self.settings.balance, rng=rng)
        draws = rng.random((len(rows), augment.DRAWS))
        total, right = 0.0, 0
        with memory_told(), seeded(self.learner.device, int(rng.integers(2**62))):
            passes = self._passes()
            self.frozen.train(self.network)
            for at in np.array_split(np.arange(len(rows)), math.ceil(len(rows) / self.settings.batch_size)):
                loss, good = self._step(passes, rows[at], draws[at])
                total, right = total + loss, right + good
            judged = self._validate(passes)
        learns_backbone = any(g["part"] == "backbone" and g["params"] for g in self.optimiser.param_groups)
        return {
            "epoch": state.epoch + 1,
            "phase": "head" if state.phase + 1 < len(self.lengths) else "all",
            "lr_backbone": rates["backbone"] if learns_backbone else 0.0,
            "lr_head": rates["head"],
            "train_loss": total / len(rows),
            "train_accuracy": right / len(rows),
            **judged,
            "images": len(rows),
            "seconds": monotonic() - began,
        }

    def _passes(self) -> Passes:
        """Return the forward passes of this phase, settled once the network is as a checkpoint left it."""
        if self.passes is None:
            self.passes, why = passes_for(
                self.learner,
                self.frozen,
                self.settings.augmentation,
                workers=self.workers,
                epochs=self.lengths[self.state.phase],
                at_most=self.state.micro if self.state.micro < self.settings.batch_size else None,
            )
            if why is not None and why not in self.state.notes:
                self.state.notes.append(why)
        return self.passes

    def _step(self, passes: Passes, rows: np.ndarray, draws: np.ndarray) -> tuple[float, int]:
        """Take one step, in as many passes as memory asks for; return the sum of losses and how many were right."""
        import torch

        total, right = 0.0, 0
        for part in np.array_split(np.arange(len(rows)), math.ceil(len(rows) / self.state.micro)):
            y = torch.from_numpy(self.learner.train.y[rows[part]]).to(self.learner.device)
            logits = passes.learning(rows[part], draws[part])
            loss = self.loss(logits, y).sum()
            (loss / len(rows)).backward()
            total += loss.item()
            right += int((self.loss.decided(logits) == y).sum())
        if not math.isfinite(total):
            raise _Diverged
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return total, right

    def _validate(self, passes: Passes) -> dict[str, float]:
        import torch

        from featx.metrics import ranking_score

        examples, losses, scores = self.learner.validation, [], []
        self.network.eval()
        with torch.inference_mode():
            for at in np.array_split(np.arange(len(examples.y)), math.ceil(len(examples.y) / self.state.micro)):
                y = torch.from_numpy(examples.y[at]).to(self.learner.device)
                logits = passes.judged(at)
                losses.append(self.judged(logits, y).cpu().numpy())
                scores.append(self.judged.scores(logits).cpu().numpy())
        loss, told = float(np.concatenate(losses).mean()), np.concatenate(scores)
        if not math.isfinite(loss):
            raise _Diverged
        return {
            "validation_loss": loss,
            "validation_accuracy": float((told.argmax(1) == examples.y).mean()),
            "validation_auc": ranking_score(examples.y, told),
        }

    # ---- after an epoch

    def _after(self, row: dict[str, Any]) -> None:
        """Keep what is best, decay, stop, go to the next phase; save."""
        state, settings, loss = self.state, self.settings, row["validation_loss"]
        state.history.append(row)
        if loss < state.best:
            state.best, state.best_epoch = loss, row["epoch"]
            self.best = {name: values.detach().cpu().clone() for name, values in self.network.state_dict().items()}
        if loss < state.lowest - settings.min_delta:
            state.lowest, state.waited, state.stale = loss, 0, 0
        else:
            state.waited, state.stale = state.waited + 1, state.stale + 1
        if settings.decay == "plateau" and state.waited >= settings.patience:
            state.rate, state.waited = state.rate * settings.factor, 0
        state.epoch, state.of_phase = state.epoch + 1, state.of_phase + 1
        if state.of_phase == self.lengths[state.phase] or (settings.stop and state.stale >= settings.stop):
            self._next_phase()
        self._save(at_once=state.ended)
        if self.on_epoch is not None:
            self.on_epoch(row)

    def _next_phase(self) -> None:
        state = self.state
        if state.phase + 1 == len(self.lengths):
            state.ended = True
            if told := history.stuck(state.history, guess=self.guess):
                state.notes.append(told)
            return
        if self.best is not None:
            self.network.load_state_dict(self.best)
        state.phase, state.of_phase, state.rate = state.phase + 1, 0, 1.0
        state.waited, state.stale, state.lowest = 0, 0, math.inf
        self._begin_phase()

    def _diverged(self) -> None:
        told = f"the loss was not finite in epoch {self.state.epoch + 1}"
        if self.best is None:
            raise TrainingError(f"training diverged: {told}; take a lower --lr, or fewer weights that learn (--freeze)")
        self.state.notes.append(f"diverged: {told}; the weights of epoch {self.state.best_epoch} are kept")
        self.state.ended = True
        self._save(at_once=True)

    def _halve(self, error: Exception) -> None:
        """Go back to the last checkpoint, and take half as many images in one pass from there."""
        micro = self.state.micro // 2
        if micro < FEWEST:
            raise MemoryError(f"not even {self.state.micro} images fit into one pass ({error})") from error
        self.optimiser.zero_grad(set_to_none=True)
        self._restore()
        self.state.micro = micro
        self.state.notes.append(
            f"out of memory: {micro} images in one pass from epoch {self.state.epoch + 1} on, gradients added up to "
            f"{self.settings.batch_size} a step; batch norm sees {micro} at a time"
        )
        self._save(at_once=True)

    # ---- kept

    def _save(self, *, at_once: bool = False) -> None:
        began = monotonic()
        if not at_once and began - self.saved_at < SHARE * self.cost:
            return
        state = {
            "state": asdict(self.state),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
        }
        checkpoint.save(self.kept_in, state)
        self.saved_at, self.cost = monotonic(), monotonic() - began

    def _restore(self) -> bool:
        held = checkpoint.load(self.kept_in)
        if held is None:
            return False
        self.state, self.best = State(**held["state"]), held["best"]
        self._begin_phase()
        self.network.load_state_dict(held["network"])
        self.optimiser.load_state_dict(held["optimiser"])
        return True
