"""Which nets and heads a network is made of: chosen by what they take, give and need, and kept by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fathom.errors import ConfigError, unknown_name
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.nets import NETS
from fathom.registry import Choice, Entry
from fathom.signals import is_packed

__all__ = ["DEFAULT", "DEFAULT_BODIES", "SIGNAL_PARTS", "Layout", "Specs", "choose_layout"]

DEFAULT_BODIES = {"vector": "mlp", "tokens": "ft_transformer"}
DEFAULT = "default"  # the name of a choice of which only options are given
SIGNAL_PARTS = ("vector", "tokens", "maps")

Specs = Mapping[str, tuple[str, Any]]
"""A tensor's or target's name to the name of its kind and its spec."""


@dataclass(frozen=True)
class Layout:
    """The nets and heads of a network, by name and options: what rebuilds it, beside the specs.

    Attributes:
        branches: for each input tensor the nets that it passes, one after another.
        body: the net on the joined vectors, or tokens, of all branches, or None where one branch goes straight to the
            heads.
        heads: for each target (or, with no target, each input tensor to be rebuilt) its head.
        members: how many such networks answer together.
        apart: whether members stay apart even where they can be computed in one pass.
    """

    branches: Mapping[str, tuple[Choice, ...]]
    body: Choice | None
    heads: Mapping[str, Choice]
    members: int = 1
    apart: bool = False

    def state(self) -> dict[str, Any]:
        """This layout as JSON, every default written out."""
        return {
            "branches": {key: [NETS.explicit(net) for net in chain] for key, chain in self.branches.items()},
            "body": None if self.body is None else NETS.explicit(self.body),
            "heads": {name: HEADS.explicit(head) for name, head in self.heads.items()},
            "members": self.members,
            "apart": self.apart,
        }

    def named(self, inputs: Specs) -> dict[str, dict[str, Any]]:
        """The nets as ``choose_layout`` takes them to come to this layout again, every default written out.

        A kind whose columns that travel together pass other nets than one that travels alone has none: the body, or the
        default, chose them.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for key, chain in self.branches.items():
            appended = (
                self.body is not None
                and len(chain) > 1
                and chain[-1].name == "feature_tokens"
                and chain == _before(chain[:-1], self.body)
            )
            found.setdefault(inputs[key][0], []).append(NETS.explicit(chain[-2] if appended else chain[-1]))
        nets = {kind: named[0] for kind, named in found.items() if all(net == named[0] for net in named)}
        if self.body is not None:
            nets[str(NETS.get(self.body.name).facts["takes"])] = NETS.explicit(self.body)
        return nets

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        """Read what ``state`` gave.

        Raises:
            ConfigError: a name or an option that is not allowed.
            ValueError: members that are none.
        """
        branches = {key: tuple(map(NETS.checked, chain)) for key, chain in state["branches"].items()}
        body = None if state["body"] is None else NETS.checked(state["body"])
        heads = {name: HEADS.checked(head) for name, head in state["heads"].items()}
        members, apart = state.get("members", 1), state.get("apart", False)
        if type(members) is not int or members < 1 or type(apart) is not bool:
            raise ValueError(f"members = {members!r} and apart = {apart!r} must be a whole number above 0 and a bool")
        return cls(branches, body, heads, members, apart)


def choose_layout(
    inputs: Specs,
    targets: Specs,
    *,
    net: Choice | None = None,
    nets: Mapping[str, Choice] | None = None,
    heads: Mapping[str, Choice] | None = None,
) -> Layout:
    """Join nets and heads by what they take, give and need.

    Args:
        inputs: the input tensors of a batch.
        targets: the target columns; with none, every input is rebuilt.
        net: a net that goes where what it takes is found; one that takes a vector stands on all inputs as they are,
            but for the entries that it names itself.
        nets: a net for each kind, or under "vector" or "tokens" the one on all inputs together.
        heads: a head for each target, or with none for each input, where it is not its kind's default.

    Raises:
        ConfigError: a name that does not exist, or nets and heads that do not fit.
    """
    chosen = {place: _named(net, _default_net(place)) for place, net in (nets or {}).items()}
    net = (
        None if net is None else _named(net, _default_net(_main_place(inputs)) if inputs else _default_decoder(targets))
    )
    allowed = {*(kind for kind, _ in inputs.values()), *DEFAULT_BODIES}
    for place in chosen:
        if place not in allowed:
            raise ConfigError(unknown_name("place for a net:", place, sorted(allowed)))
    plain = False  # whether the branches stay as they are, because the net that was named stands on all of them
    head_net = None
    if net is not None:
        if not inputs:
            head_net = net
        else:
            entry = NETS.get(net.name)
            plain = entry.facts["takes"] == "vector" and not nets
            chosen |= dict.fromkeys(_places(entry, inputs), net)
    elif len(inputs) > 1 and "tokens" in _needed(targets, heads or {}):
        chosen |= _net_on_tokens(inputs, chosen)
    named = _named_body(chosen)
    branches = {
        key: _chain(kind, _preferred(named, key, kind) | chosen, plain=plain) for key, (kind, _) in inputs.items()
    }
    raw = any(NETS.get(chain[-1].name).facts.get("entry") for chain in branches.values())
    body = named or (Choice(DEFAULT_BODIES["vector"]) if raw or len(branches) > 1 else None)
    if body is not None:
        branches = {key: _before(chain, body) for key, chain in branches.items()}
    asked, fact = (targets, "head") if targets else (inputs, "rebuild")
    answered = {name: _head(name, kind, dict(heads or {}), head_net, fact) for name, (kind, _) in asked.items()}
    for name in heads or {}:
        if name not in asked:
            raise ConfigError(unknown_name("target", name, asked))
    _check_hiding(answered, inputs, targets)
    if head_net is not None and all(head.options.get("net") != head_net for head in answered.values()):
        raise ConfigError(f"net {head_net.name!r} has no place: nothing comes in, and no head here holds a net")
    return Layout(branches, None if body is None else NETS.checked(body), answered)


def _places(entry: Entry, inputs: Specs) -> list[str]:
    """Where a net fits: kinds that it takes itself or behind an entry, or the joined vectors or tokens."""
    takes = entry.facts["takes"]
    if _stands_on_all(entry):
        return [str(takes)]
    kinds = {kind for kind, _ in inputs.values()}
    fitting = [kind for kind in kinds if takes == kind or _entry_giving(kind, takes) is not None]
    if not fitting:
        others = sorted(other.name for other in NETS if other.facts["takes"] in kinds or _stands_on_all(other))
        raise ConfigError(
            f"net {entry.name!r} takes {takes}, which the data does not hold (nets that fit: {', '.join(others)})"
        )
    return fitting


def _needed(targets: Specs, heads: Mapping[str, Choice]) -> set[str | None]:
    """The parts of a Signal on which the heads stand."""
    named = [_named(heads.get(name) or Choice(DEFAULT), _part_of(kind, "head")) for name, (kind, _) in targets.items()]
    return {HEADS.get(head.name).facts["needs"] for head in named}


def _net_on_tokens(inputs: Specs, chosen: Mapping[str, Choice]) -> dict[str, Choice]:
    """The usual net of what comes in as tokens, to stand on all of them; none where another place has one."""
    usual = {kind: KINDS.get(kind).facts.get("net") for kind, _ in inputs.values()}
    fitting = [kind for kind, net in usual.items() if net is not None and NETS.get(net).facts["takes"] == "tokens"]
    if not fitting or not {*DEFAULT_BODIES, fitting[0]}.isdisjoint(chosen):
        return {}
    return {"tokens": Choice(str(usual[fitting[0]]))}


def _stands_on_all(entry: Entry) -> bool:
    """Whether a net takes what is joined of all inputs: every net of vectors, and those of tokens that say so."""
    facts = entry.facts
    return bool(facts.get("body") or (facts["takes"] == "vector" and not facts.get("entry")))


def _named_body(chosen: Mapping[str, Choice]) -> Choice | None:
    """The net on all inputs together, where one was named.

    Raises:
        ConfigError: there are two, or it takes something else.
    """
    named = {place: NETS.checked(chosen[place]) for place in DEFAULT_BODIES if place in chosen}
    for place, body in named.items():
        entry = NETS.get(body.name)
        if not _stands_on_all(entry) or entry.facts["takes"] != place:
            fitting = [net.name for net in NETS if net.facts["takes"] == place and _stands_on_all(net)]
            raise ConfigError(f"net {body.name!r} cannot stand on all {place} (nets that can: {', '.join(fitting)})")
    if len(named) > 1:
        raise ConfigError("nets.vector and nets.tokens cannot both be named: one net stands on all inputs")
    return next(iter(named.values()), None)


def _preferred(body: Choice | None, key: str, kind: str) -> dict[str, Choice]:
    """The net that a body wants before it for a kind's columns: one that it names, or what makes tokens of a text."""
    wanted = {} if body is None else NETS.get(body.name).facts.get("entries", {})
    if body is not None and NETS.get(body.name).facts["takes"] == "tokens":
        entry = _entry_giving(kind, "tokens")
        return {} if entry is None else {kind: Choice.of(wanted.get(kind, entry))}
    return {kind: Choice.of(wanted[kind])} if is_packed(key) and kind in wanted else {}


def _before(chain: tuple[Choice, ...], body: Choice) -> tuple[Choice, ...]:
    """The nets of a branch before a body: for tokens, one more that makes such of its width where there are none yet.

    Raises:
        ConfigError: an entry gives nothing that the body takes.
    """
    last, takes = NETS.get(chain[-1].name), NETS.get(body.name).facts["takes"]
    if takes == "tokens" and "tokens" not in last.facts["gives"]:
        width = NETS.get(body.name).options.get("width")
        options = {} if width is None else {"width": body.options.get("width", width.default)}
        return (*chain, NETS.checked(Choice("feature_tokens", options)))
    width = NETS.get(body.name).options.get("width")
    if takes == "tokens" and last.facts.get("entry") and width is not None and "width" not in chain[-1].options:
        named = {**chain[-1].options, "width": body.options.get("width", width.default)}
        return (*chain[:-1], NETS.checked(Choice(chain[-1].name, named)))
    if last.facts.get("entry") and takes not in last.facts["gives"]:
        given = " and ".join(last.facts["gives"])
        usual = DEFAULT_BODIES.get(last.facts["gives"][0], "...")
        raise ConfigError(
            f"net {last.name!r} gives {given}, but net {body.name!r} behind it takes {takes} (name one that takes "
            f"{given}, as in nets.{last.facts['gives'][0]}={usual})"
        )
    return chain


def _named(choice: Choice, default: str) -> Choice:
    """A choice of which only options were given, as one of the default."""
    return Choice(default, choice.options) if choice.name == DEFAULT else choice


def _main_place(inputs: Specs) -> str:
    """Where a net is that is not named: the kind of the first input that has a net of its own, else on all of them."""
    return next((kind for kind, _ in inputs.values() if KINDS.get(kind).facts.get("net")), "vector")


def _default_net(place: str) -> str:
    if place in SIGNAL_PARTS:
        return DEFAULT_BODIES.get(place, DEFAULT_BODIES["vector"])
    return str(KINDS.get(place).facts.get("net") or _part_of(place, "entry"))


def _default_decoder(targets: Specs) -> str:
    """The net that a target's head holds, where nothing comes in that another could take."""
    held = [HEADS.get(_part_of(kind, "head")).options.get("net") for kind, _ in targets.values()]
    return next((str(option.default.name) for option in held if option is not None), DEFAULT_BODIES["vector"])


def _part_of(kind: str, fact: str) -> str:
    """The net or head that a kind names for a place in the network.

    Raises:
        ConfigError: the kind cannot have that place.
    """
    name = KINDS.get(kind).facts.get(fact)
    if name is None:
        place = {"entry": "come in", "head": "be asked for", "rebuild": "be rebuilt"}[fact]
        raise ConfigError(f"columns of kind {kind!r} cannot {place}; give them another role")
    return str(name)


def _chain(kind: str, chosen: Mapping[str, Choice], *, plain: bool) -> tuple[Choice, ...]:
    """The nets that a tensor of a kind passes: the one that was named, or the kind's own."""
    choice = NETS.checked(chosen.get(kind) or Choice(_part_of(kind, "entry") if plain else _default_net(kind)))
    takes = NETS.get(choice.name).facts["takes"]
    if takes == kind:
        return (choice,)
    entry = _entry_giving(kind, takes)
    if entry is None:
        fitting = sorted(other.name for other in NETS if other.facts["takes"] == kind)
        raise ConfigError(f"net {choice.name!r} takes {takes}, not {kind} (nets that do: {', '.join(fitting)})")
    return (Choice(entry), choice)


def _entry_giving(kind: str, part: str) -> str | None:
    """The entry that brings a kind's tensor into the form of a part of a Signal: the kind's own, where it does."""
    found = [net.name for net in NETS if net.facts.get("entry") and net.facts["takes"] == kind]
    fitting = [name for name in found if part in NETS.get(name).facts["gives"]]
    own = KINDS.get(kind).facts.get("entry")
    return own if own in fitting else next(iter(fitting), None)


def _check_hiding(heads: Mapping[str, Choice], inputs: Specs, targets: Specs) -> None:
    """Refuse a head that is to tell what was hidden of an input, where that is not all that there is."""
    hiding = next((head.name for head in heads.values() if HEADS.get(head.name).facts.get("hides")), None)
    if hiding is not None and (targets or len(inputs) != 1):
        others = "no column is asked for" if targets else f"one column comes in, not {len(inputs)}"
        raise ConfigError(f"head {hiding!r} tells what is hidden of the text that comes in, where {others}")


def _head(name: str, kind: str, heads: dict[str, Choice], net: Choice | None, fact: str) -> Choice:
    default = _part_of(kind, fact)
    choice = HEADS.checked(_named(heads.get(name) or Choice(default), default))
    entry = HEADS.get(choice.name)
    if entry.facts["target"] != kind:
        fitting = sorted(head.name for head in HEADS if head.facts["target"] == kind)
        raise ConfigError(
            f"head {choice.name!r} answers {entry.facts['target']}, but {name!r} is of kind {kind} "
            f"(heads that fit: {', '.join(fitting)})"
        )
    if net is not None and "net" in entry.options and "net" not in choice.options:
        registry = entry.options["net"].registry
        assert registry is not None
        registry.checked(net)
        return HEADS.checked(Choice(choice.name, {**choice.options, "net": net}))
    return choice
