"""Tokens hidden from a net that is to tell them, drawn anew in each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fathom.augment.draws import uniforms
from fathom.heads import HEADS
from fathom.registry import Choice
from fathom.runtime import seed_from
from fathom.signals import NOT_HIDDEN, SAMPLE, Batch, Ragged, TextSpec, hidden_key

__all__ = ["Hiding"]

SHARE = 0.15
MASKED, REPLACED = 0.8, 0.1  # of the hidden ones; the rest stays, so that every state must tell its own token
DRAWS = 3


class Hiding:
    """Hides tokens of texts: most behind the mask, some behind any other token, some not at all.

    A text's draws depend on the seed, the epoch and its sample's number alone, however batches are cut.

    Source: Devlin et al. 2019, section 3.1 and appendix A.1, drawn anew each time (Liu et al. 2019, section 4.1).

    Args:
        specs: of the texts, by the names of their tensors in a batch.
        seed: decides all draws.
    """

    def __init__(self, specs: Mapping[str, TextSpec], seed: int) -> None:
        self.specs, self._seed = dict(specs), seed

    @classmethod
    def needed(cls, heads: Mapping[str, Choice], inputs: Mapping[str, tuple[str, Any]], *, seed: int) -> Hiding | None:
        """What hides from a net what its heads are to tell, by input; None where there is none."""
        hiding = [name for name, head in heads.items() if HEADS.get(head.name).facts.get("hides")]
        return cls({name: inputs[name][1] for name in hiding}, seed) if hiding else None

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        """The batch with texts as the net is to see them; the tokens that it is to tell travel beside.

        Args:
            batch: with SAMPLE.
            epoch: how often all samples were drawn before.
        """
        found, sample = dict(batch), batch[SAMPLE]
        assert isinstance(sample, Tensor)
        for key, spec in self.specs.items():
            text = batch[key]
            assert isinstance(text, Ragged)
            draws = uniforms(seed_from("hiding", key, self._seed, epoch), sample, DRAWS * spec.length)
            seen, told = _hidden(text, draws.unflatten(1, (-1, DRAWS)), spec)
            found[key], found[hidden_key(key)] = Ragged(seen, text.offsets), Ragged(told, text.offsets)
        return found


def _hidden(text: Ragged, draws: Tensor, spec: TextSpec) -> tuple[Tensor, Tensor]:
    """What is seen of each token, and the token where it is to be told.

    Args:
        text: B ragged rows.
        draws: (B, length, DRAWS) uniform in [0, 1).
        spec: of the texts.
    """
    tokens = text.values
    _, there = Ragged(tokens, text.offsets).padded()
    which, how, other = draws[:, : there.shape[1]][there].unbind(1)
    special = torch.tensor([spec.pad, spec.begin, spec.end, spec.unknown], device=tokens.device)
    hidden = (which < SHARE) & ~torch.isin(tokens, special)
    seen = torch.where(hidden & (how < MASKED), spec.mask, tokens)
    anything = (other * spec.size).to(tokens.dtype)
    seen = torch.where(hidden & (how >= MASKED) & (how < MASKED + REPLACED), anything, seen)
    return seen, torch.where(hidden, tokens, NOT_HIDDEN)
