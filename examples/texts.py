"""Texts: what a sentence is about, and an answer in words, each learned from sentences made here."""

import sys

import numpy as np

import fathom

random = np.random.default_rng(0)
places, things = ("London", "Oslo", "Rome", "Cairo"), ("a table", "a room", "a boat", "a car")
asks = {
    "book": "I would like to reserve {thing} in {place} please",
    "cancel": "please call off the booking of {thing} in {place} for me",
    "price": "what does it cost to have {thing} in {place} for a day",
}


def made(count):
    """Sentences, what each is about, and what one would answer."""
    rows = {"said": [], "intent": [], "answer": []}
    for intent, place, thing in zip(
        *(random.choice(list(some), count) for some in (asks, places, things)), strict=True
    ):
        rows["said"].append(asks[intent].format(place=place, thing=thing))
        rows["intent"].append(intent)
        rows["answer"].append(f"{intent} {thing} in {place}")
    return rows


rows, later = made(600), made(60)
intents = {name: rows[name] for name in ("said", "intent")}
run = fathom.fit(intents, "intent", kinds={"said": "text"}, net="bag", budget="60steps", baseline=False)
print(f"accuracy {run.metrics['intent']['accuracy'].value:.2f}")
print(run.predict({"said": ["please call off the booking of a boat in Rome for me"]})["intent"].to_pylist())

answers = {name: rows[name] for name in ("said", "answer")}
kinds = {"said": "text", "answer": "text"}
place = sys.argv[1] if len(sys.argv) > 1 else "runs/answers"
run = fathom.fit(
    answers, "answer", kinds=kinds, net="gru", head="generate", budget="150steps", out=place, overwrite=True
)
match = run.metrics["answer"]["exact_match"]
print(f"right in every word {match.value:.2f}, of what needs no learning ({match.trivial_is}) {match.trivial:.2f}")

for said, told in zip(later["said"][:3], fathom.load(place).predict(later)["answer"].to_pylist(), strict=False):
    print(f"{said} → {told}")
