"""The trackers of one run, told together; one that fails is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fathom.errors import ConfigError, MissingExtra, first_line
from fathom.heads.scoring import Scores
from fathom.registry import Choice
from fathom.tracking.tracker import TRACKERS, Followed, Tracker
from fathom.training.hooks import Hook, Moment

__all__ = ["Followers", "followed", "require"]


def require(choices: Sequence[Choice], *, kept: bool) -> None:
    """See that trackers can follow a run, before any work is done.

    Args:
        choices: the trackers.
        kept: whether the run has a directory.

    Raises:
        MissingExtra: the package of one is not installed.
        ConfigError: one needs a directory, and there is none.
    """
    for choice in choices:
        facts = TRACKERS.get(choice.name).facts
        if "package" in facts and find_spec(facts["package"]) is None:
            raise MissingExtra(facts["package"], facts["extra"])
        if facts.get("kept") and not kept:
            raise ConfigError(f"log = {choice.name!r} writes into the run's directory; name one (out)")


@contextmanager
def followed(
    choices: Sequence[Choice], name: str, config: Any, directory: Path | None, say: Callable[[str], None]
) -> Iterator[Followers]:
    """Trackers that follow what is done inside the block.

    Args:
        choices: the trackers.
        name: of the run.
        config: every option of it.
        directory: the run's, or None.
        say: is told when one fails.
    """
    followers = Followers(choices, Followed(name, config, directory), say)
    try:
        yield followers
    except BaseException:
        followers.tell("closed", failed=True)
        raise
    followers.tell("closed", failed=False)


class Followers:
    """Trackers, told one after another.

    Args:
        choices: which.
        run: what they follow.
        say: is told when one fails.
    """

    def __init__(self, choices: Sequence[Choice], run: Followed, say: Callable[[str], None]) -> None:
        self._say = say
        self._trackers: dict[str, Tracker] = {}
        for choice in choices:
            tracker = self._tried(choice.name, partial(TRACKERS.build, choice, run))
            if tracker is not None:
                self._trackers[choice.name] = tracker

    def tell(self, what: str, *arguments: Any, **named: Any) -> None:
        """Call a method of every tracker that has not failed."""
        for name, tracker in list(self._trackers.items()):
            self._tried(name, partial(getattr(tracker, what), *arguments, **named))

    def scored(self, scores: Scores, model: Path | None) -> None:
        self.tell("scored", scores, model)

    def hooks(self, what: str) -> tuple[Hook, ...]:
        """What tells the trackers of one training."""
        return (_Following(self, what),) if self._trackers else ()

    def _tried(self, name: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever another program's library raises, the run is not lost
            self._trackers.pop(name, None)
            reason = first_line(error) or type(error).__name__
            self._say(f"warning: {name} no longer follows this run, which goes on: {reason}")
            return None


class _Following(Hook):
    def __init__(self, followers: Followers, what: str) -> None:
        self._followers, self._what = followers, what

    def started(self, moment: Moment) -> None:
        self._followers.tell("trained", self._what, moment.step)

    def looked(self, moment: Moment) -> None:
        values = {name: value for name, value in moment.logged.items() if name != "step"}
        self._followers.tell("looked", self._what, moment.step, values)
