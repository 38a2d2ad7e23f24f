"""The learning rate's course: the schedule, the cool-down that ends it, and what makes that begin early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fathom.errors import ConfigError
from fathom.registry import Choice
from fathom.training import SCHEDULES
from fathom.training.plan import Plan
from fathom.training.state import RunState

__all__ = ["Course", "check_patience"]

BEHIND_THE_CLOCK = 1.25
# An open-ended run waits for an improvement at least this share of the steps it has made.
PATIENCE_SHARE = 0.15
USUAL_PATIENCE = 10
# Unless more is asked for, it waits for this share of what is left to gain: less pays for no more steps, and what is
# gained as the rate falls is gained all the same.
# At least LEAST_GAIN, for a score that is nearly perfect comes nearer without end.
USUAL_GAIN, LEAST_GAIN = 0.01, 5e-4
FEWEST_EVALUATIONS_TO_COOL = 3


def check_patience(training: Mapping[str, Any]) -> None:
    """Check the ``[training]`` options for patience that could end nothing.

    Raises:
        ConfigError: the schedule's end is fixed beforehand.
    """
    patience, schedule = training.get("patience"), training.get("schedule")
    if patience and schedule is not None and SCHEDULES.get(schedule.name).facts["anneals"]:
        allowed = ", ".join(entry.name for entry in SCHEDULES if not entry.facts["anneals"])
        raise ConfigError(
            f"training.patience = {patience} cannot end schedule {schedule.name}, whose end is fixed beforehand: "
            f"set patience to 0, or another schedule ({allowed})"
        )


class Course:
    """The factor of the learning rate in each step, and the last step.

    Args:
        schedule: of the learning rate.
        cooldown: share of the steps in which the rate falls to zero at the end, or those that are averaged.
        patience: looks without improvement before the end begins; 0 waits for USUAL_PATIENCE where the budget is open,
            and for ever where it is not.
        min_delta: what a score must gain to count as an improvement; 0 takes any where ``patience`` is given, and else
            USUAL_GAIN of what it lacks of ``perfect``, and LEAST_GAIN.
        holds: whether something else than the falling rate ends the run: an average of weights.
        watched: whether there are validation rows.
        perfect: the highest score there can be, or None where that is not known.

    Raises:
        ConfigError: patience or the schedule needs what there is not.
    """

    def __init__(
        self,
        schedule: Choice,
        cooldown: float,
        patience: int,
        min_delta: float,
        *,
        holds: bool,
        watched: bool,
        perfect: float | None = None,
    ) -> None:
        self._schedule = SCHEDULES.checked(schedule)
        entry = SCHEDULES.get(schedule.name)
        self._options = {name: self._schedule.options.get(name, o.default) for name, o in entry.options.items()}
        self._factor, self._watches = entry.factory, bool(entry.facts.get("watches", False))
        self.anneals = bool(entry.facts["anneals"])
        self._falls = self.anneals or (bool(entry.facts["cools"]) and not holds)
        self._share = cooldown if entry.facts["cools"] or holds else 0.0
        self._patience, self._min_delta, self._watched = patience, min_delta, watched
        self._perfect = perfect
        self._check(schedule.name)

    def _check(self, name: str) -> None:
        check_patience({"schedule": self._schedule, "patience": self._patience})
        needing = f"schedule {name}" if self._watches else f"training.patience = {self._patience}"
        if (self._watches or self._patience) and not self._watched:
            raise ConfigError(
                f"{needing} needs validation rows, and there are none: set valid above 0, or leave it out"
            )

    def factor(self, plan: Plan, state: RunState, step: int) -> float:
        """The schedule's factor; from the cool-down's start on, what it was there, falling to zero."""
        spans = self._spans(plan, state)
        starts = [start for start, _ in spans]
        stalls = (state.stalls,) if self._watches else ()
        factor: float = self._factor(min([step, *starts]), plan.steps, *stalls, **self._options)
        for (start, last), until in zip(spans, [*starts, step][1:], strict=True):
            if self._falls and step > start:
                factor *= (last - min(until, step)) / (last - start)
        return factor

    def _spans(self, plan: Plan, state: RunState) -> list[tuple[int, int]]:
        """First and last step of the cool-down, as far as it is known, and of each by which it then ends earlier."""
        known = [] if self.anneals else [(plan.steps - round(self._share * plan.steps), plan.steps)]
        known += [(state.cooldown[0], state.cooldown[1])] if state.cooldown is not None else []
        known = sorted([*known, *plan.hurries])
        return [span for k, span in enumerate(known) if all(span[1] < earlier[1] for earlier in known[:k])]

    def is_ending(self, plan: Plan, state: RunState) -> bool:
        """Whether the cool-down has begun."""
        return any(start < state.step for start, _ in self._spans(plan, state))

    def last_step(self, plan: Plan, state: RunState) -> int:
        return min([plan.steps, *(last for _, last in self._spans(plan, state))])

    def looked(self, plan: Plan, state: RunState, score: float) -> bool:
        """Note a look at the validation rows; say whether its score is the best."""
        if self._watches and not self.is_ending(plan, state):
            state.watched(score, patience=self._options["patience"], min_delta=self._options["min_delta"])
        return state.looked(score, self._gain(state))

    def _gain(self, state: RunState) -> float:
        """What the next score must be above the last one that counted."""
        if self._min_delta or self._patience or self._perfect is None or state.gained is None:
            return self._min_delta
        return max(LEAST_GAIN, USUAL_GAIN * (self._perfect - state.gained))

    def begins_to_end(self, plan: Plan, state: RunState) -> bool:
        """Begin the cool-down if validation has not improved for as long as patience allows; say whether."""
        if self.anneals or not self._watched or not (plan.open_ended or self._patience):
            return False
        waited = state.step - state.gained_step
        patience = (self._patience or USUAL_PATIENCE) * plan.evaluate_every
        if waited < (patience if self._patience else max(patience, PATIENCE_SHARE * state.step)):
            return False
        if self.is_ending(plan, state):
            return False
        length = max(self._share * state.step, FEWEST_EVALUATIONS_TO_COOL * plan.evaluate_every) if self._share else 0
        last = min(self.last_step(plan, state), state.step + round(length))
        state.cooldown = [state.step, last]
        state.ending = f"validation had not improved for {waited // plan.evaluate_every} looks ({waited:,} steps)"
        return True

    def hurried(self, plan: Plan, state: RunState, elapsed_s: float, pace_s: float | None) -> Plan:
        """The plan with its cool-down from here, if the run is behind its clock."""
        step, needed = state.step, self.last_step(plan, state) - state.step
        if plan.seconds is None or pace_s is None or needed <= 0:
            return plan
        left = max(1, int((plan.seconds - elapsed_s) / pace_s))
        ending = self.is_ending(plan, state)
        late = needed * pace_s + elapsed_s > BEHIND_THE_CLOCK * plan.seconds or (plan.open_ended and not ending)
        # What was slow may be fast again: wait until no more steps are left than a cool-down takes.
        due = ending or left <= max(1, self._share * (step + left))
        return plan.hurried(step, step + left) if late and due and left < needed else plan
