"""Program: one network whose weights are given, computed for K rows at once.

Takes a network apart, checks on samples that K copies side by side give what each gives by itself, and
says in words why not. `trainers.torch.stacked` keeps one for each `signature` and trains rows with it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from tuner.fused.layers import Forward, Tensors, UnsupportedLayer, batched
from tuner.fused.masks import DropoutCall, replace_dropout
from tuner.fused.norms import is_plain, norms_of, replace_norms
from tuner.fused.signature import signature

LINE = 16
"""Every tensor of a row starts at a multiple of so many elements: no row's place shows in its sums."""

SAMPLES = 4
"""How many samples a network is tried on."""


class Unstackable(Exception):
    """Why a network cannot be computed for several rows at once, in words."""


class Program:
    """A network without weights.

    Attributes:
        size: of a row's flat parameters S; between its tensors there may be zeros.
        dropouts: the calls of dropout layers in a training pass, in their order.
        trains_whole: it has batch normalization: a pass takes a row's whole batch, and moves its averages.
        moving: the names of the running averages, counts apart.
        judges_whole: it depends on the other samples in evaluation mode, too.
    """

    def __init__(self, module: nn.Module, x: Tensor, outputs: int) -> None:
        """Take over a network; its dropout layers are replaced, and its batch normalization's forward passes.

        Args:
            module: on the device of `x`.
            x: (n, ...) inputs that it is tried on, n at least 2.
            outputs: how many numbers it must put out for each sample.

        Raises:
            Unstackable: it needs all samples of a batch, its own random numbers, or anything else
                that rows cannot have side by side.
        """
        self._module = module
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        types = {p.dtype for p in trained.values()}
        if len(types) != 1:
            raise Unstackable("its parameters are of several types" if types else "nothing in it is trained")
        (self.dtype,) = types
        self._places: dict[str, tuple[int, torch.Size]] = {}
        self.size = 0
        for name, p in trained.items():
            self._places[name] = (self.size, p.shape)
            self.size += -(-p.numel() // LINE) * LINE
        self._names = _names(module)
        self._listed = list(module.state_dict())
        if not self._names.keys() >= set(self._listed):
            raise Unstackable("its state_dict has more than its parameters and buffers")
        self._held = [
            f"{prefix}.{name}".removeprefix(".")
            for prefix, part in module.named_modules()  # each once, whatever its names
            for kind in (part.named_parameters, part.named_buffers)
            for name, _ in kind(recurse=False, remove_duplicate=False)
        ]
        self._masks, norms = replace_dropout(module), norms_of(module)
        for norm in norms:
            if not is_plain(norm):
                raise Unstackable(f"{type(norm).__name__} takes its statistics from the batch in its own way")
        self._shares, self.trains_whole = replace_norms(module), bool(norms)
        averages = {id(b) for norm in norms for b in norm.buffers()}
        self._moving = [name for name, b in module.named_buffers() if id(b) in averages]
        self.moving = [name for name in self._moving if module.get_buffer(name).is_floating_point()]
        self.dropouts: tuple[DropoutCall, ...] = ()
        module.eval()
        self.judges_whole = any(norm.training or norm.running_mean is None for norm in norms)
        depends = self._try(x, outputs)
        self._forwards = {training: self._forward(training) for training in (True, False)}
        for training, forward in self._forwards.items():
            if forward is not None and not self._holds(module, x, training):
                self._forwards[training] = None
            if self._forwards[training] is None and not self._holds(module, x, training):
                raise Unstackable("its outputs change when rows are computed side by side")
        if depends:
            raise Unstackable("what it makes of a sample depends on the others of the batch")

    def pack(self, module: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """Copies of a network's trained parameters, flat (S,), and of its other tensors by name."""
        parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
        like = parameters[next(iter(self._places))]
        flat = like.new_zeros(self.size, requires_grad=False)
        for name, view in self.unpack(flat).items():
            view.copy_(parameters.pop(name).detach())
        return flat, {name: t.detach().clone() for name, t in (parameters | buffers).items()}

    def unpack(self, flat: Tensor) -> dict[str, Tensor]:
        """Views (..., *shape) of flat parameters (..., S), by name."""
        lead = flat.shape[:-1]
        return {
            name: flat[..., at : at + shape.numel()].view(*lead, *shape)
            for name, (at, shape) in self._places.items()
        }

    def parts(self, shares: Mapping[str, float]) -> list[tuple[int, float]]:
        """Where parts of the flat parameters end, and the number of the tensors in each."""
        found: list[tuple[int, float]] = []
        for name, (at, shape) in self._places.items():
            end = at + -(-shape.numel() // LINE) * LINE
            if found and found[-1][1] == shares[name]:
                found.pop()
            found.append((end, shares[name]))
        return found

    def state(self, flat: Tensor, constants: Tensors) -> dict[str, Tensor]:
        """What the network's `state_dict` would be."""
        tensors = {**constants, **self.unpack(flat)}
        return {key: tensors[self._names[key]] for key in self._listed}

    def outputs(
        self,
        tensors: Tensors,
        x: Tensor,
        masks: Sequence[Tensor] = (),
        shares: Tensor | None = None,
        *,
        training: bool,
    ) -> Tensor:
        """Compute K rows; the running averages among their tensors move on in place.

        Args:
            tensors: all of the network's, stacked: (K, *shape).
            x: (K, n, ...).
            masks: one for each of `dropouts` where it trains: (K, n, *shape).
            shares: (K, n), what each sample counts in its row's batch where it trains; their sum is 1, or
                0 for a row that does not train. None: all samples the same.
            training: whether in training mode.

        Returns:
            (K, n, outputs)
        """
        if self._module.training is not training:
            self._module.train(training)
        forward = self._forwards[training] or self._vmapped
        if training and self.trains_whole and shares is None:
            shares = torch.full(x.shape[:2], 1 / x.shape[1], dtype=self.dtype, device=x.device)
        found = forward(tensors, x, masks if training else (), shares if training else None)
        return found if found.ndim == 3 else found[..., None]

    def computes(self, module: nn.Module, x: Tensor) -> bool:
        """Whether a network of this signature is this one, weights and dropout rates aside.

        A value that its `forward` holds in a closure is seen in its outputs only. Its dropout
        layers are replaced.
        """
        replace_dropout(module)
        return all(self._holds(module, x, training, tried=True) for training in (True, False))

    def _try(self, x: Tensor, outputs: int) -> bool:
        """Run the network alone; returns whether two samples fare otherwise among others than alone."""
        module, packed = self._module, self.pack(self._module)
        before, buffers = signature(module), {n: b.clone() for n, b in module.named_buffers()}
        generators = _generators(x.device)
        self._masks.calls.clear()
        # With the first two samples as a batch that is filled up.
        shares = torch.tensor([0.5, 0.5, *(0 for _ in x[2:])], dtype=self.dtype, device=x.device)
        with torch.no_grad():
            with self._shares.using(shares):
                whole = module.train()(x)
            among = [module.get_buffer(name).clone() for name in self._moving]
            self._fill(module, *packed)
            part = module(x[:2])
            alone = [module.get_buffer(name).clone() for name in self._moving]
            self._fill(module, *packed)
        self.dropouts = tuple(self._masks.calls[: len(self._masks.calls) // 2])
        self._masks.calls.clear()
        if not isinstance(whole, Tensor) or whole.shape not in _shapes(len(x), outputs):
            raise Unstackable("its outputs are not one row of numbers for each sample")
        if not torch.equal(_generators(x.device), generators):
            raise Unstackable("it draws random numbers outside of nn.Dropout layers")
        if any(not torch.equal(b, buffers[n]) for n, b in module.named_buffers() if n not in self._moving):
            raise Unstackable("it writes to its buffers while it runs")
        if signature(module) != before:
            raise Unstackable("it changes its attributes while it runs")
        return not all(map(_close, (whole[:2], *among), (part, *alone)))

    def _forward(self, training: bool) -> Forward | None:
        try:
            return batched(self._module.train(training), self._names)
        except UnsupportedLayer:
            return None

    def _vmapped(self, tensors: Tensors, x: Tensor, masks: Sequence[Tensor], shares: Tensor | None) -> Tensor:
        def one(tensors: Tensors, x: Tensor, masks: Sequence[Tensor], shares: Tensor | None = None) -> Tensor:
            with self._masks.using(masks), self._shares.using(shares):
                given = {name: tensors[self._names[name]] for name in self._held}
                # Its own way with ties leaves the tensors behind in a module that has two names.
                found: Tensor = functional_call(self._module, given, (x,), tie_weights=False)
            return found

        with _plain_attention():
            result: Tensor = vmap(one)(tensors, x, tuple(masks), *(() if shares is None else (shares,)))
        return result

    def _holds(self, module: nn.Module, x: Tensor, training: bool, tried: bool = False) -> bool:
        """Whether two rows give the network's outputs, and gradients; False too where layers fail.

        Of what was `tried` with another network one row is enough, and its outputs.
        """
        flat, constants = self.pack(module)
        # First weights may be such that they hide a difference: zeros, ones.
        other = flat + 0.1 * torch.arange(self.size, device=flat.device).cos()
        rows = torch.stack([other] if tried else [other, flat]).to(flat.dtype).requires_grad_(not tried)
        count = len(rows)
        tensors = {name: t.expand(count, *t.shape).clone() for name, t in constants.items()}
        masks = [rows.new_ones(count, len(x), *call.shape).detach() for call in self.dropouts]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                given = {**tensors, **self.unpack(rows)}
                found = self.outputs(given, x.expand(count, *x.shape), masks, training=training)
                if not tried:
                    torch.autograd.grad(found.sum(), rows)
        except Exception as error:
            if self._forwards.get(training) is not None:
                return False
            raise Unstackable(_told(error)) from error
        try:
            for i, outputs in enumerate(found.detach()):
                self._fill(module, rows[i].detach(), constants)
                with torch.no_grad(), _plain_attention():
                    wanted: Tensor = module.train(training)(x)
                averages = [(tensors[name][i], module.get_buffer(name)) for name in self._moving]
                if not all(_close(*pair) for pair in ((outputs, wanted.reshape(outputs.shape)), *averages)):
                    return False
            return True
        finally:
            self._fill(module, flat, constants)

    @torch.no_grad()
    def _fill(self, module: nn.Module, flat: Tensor, constants: Tensors) -> None:
        for name, view in self.unpack(flat).items():
            module.get_parameter(name).copy_(view)
        for name in self._moving:
            module.get_buffer(name).copy_(constants[name])


def _names(module: nn.Module) -> dict[str, str]:
    """Every name of a tensor, with the first one of the same tensor."""
    first: dict[int, str] = {}
    return {
        name: first.setdefault(id(tensor), name)
        for kind in (module.named_parameters, module.named_buffers)
        for name, tensor in kind(remove_duplicate=False)
    }


def _generators(device: torch.device) -> Tensor:
    """Where torch's global generators stand."""
    state: Tensor = torch.get_rng_state()
    if device.type == "cpu":
        return state
    own = torch.mps.get_rng_state() if device.type == "mps" else torch.cuda.get_rng_state(device)
    return torch.cat([state, own])


def _shapes(samples: int, outputs: int) -> tuple[Hashable, ...]:
    return ((samples, outputs), (samples,)) if outputs == 1 else ((samples, outputs),)


def _close(one: Tensor, two: Tensor) -> bool:
    size = float(two.abs().max())
    within = 1e-4 * size if math.isfinite(size) else 1e-4
    return torch.allclose(one, two, rtol=1e-4, atol=max(within, 1e-6), equal_nan=True)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention in operations that `vmap` knows."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _told(error: Exception) -> str:
    """The complaint in plain words."""
    text = str(error)
    for sign, words in (
        ("data-dependent control flow", "its course depends on the values of its inputs"),
        (".item()", "it reads numbers out of tensors with .item()"),
        ("dynamic shape", "the shapes in it depend on the values of its inputs"),
        ("random", "it draws random numbers outside of nn.Dropout layers"),
        ("in-place", "it writes to a tensor in place"),
    ):
        if sign in text:
            return words
    lines = text.strip().splitlines() or ["without a message"]
    return f"torch.vmap refuses it: {type(error).__name__}: {lines[0]}"
