"""Questions whose answers are not as SQuAD's format has them, and tagged tokens of other blanks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.data.cases_texts import GRAZ, paragraph, squad
from tests.data.dirty import Case
from tests.data.made import in_file
from tests.data.standins import data, nothing


def as_it_is(found: Mapping[str, Any], key: str, sort: type, where: str) -> Any:
    return found.get(key)


WRONG = {
    "answers that are a number": ({"answers": 7}, "_said", r"qas\[0\] lacks 'answers', a list"),
    "words where true or false is meant": ({"is_impossible": "false"}, "_said", "'is_impossible', true or false"),
    "true for a place": (
        {"answers": [{**GRAZ, "answer_start": True}]},
        "_held",
        "lacks 'answer_start', a whole number",
    ),
    "a place beyond 2^63": ({"answers": [{**GRAZ, "answer_start": 10**30}]}, "_held", "lacks 'answer_start', a whole"),
}

CASES = [
    *(
        Case(
            f"questions: {name}",
            in_file("q.json", squad(paragraph(GRAZ, **more))),
            {data(f"questions.{checked}"): as_it_is},
            refused=told,
        )
        for name, (more, checked, told) in WRONG.items()
    ),
    Case(
        "questions: half of an emoji",
        in_file("q.json", squad(paragraph(GRAZ, context="He \ud83d is in Graz."))),
        {data("questions.half_sign"): nothing},
        refused=r"paragraphs\[0\]: 'context' holds \\ud83d at character 3, half of a sign",
    ),
    Case(
        "tagged: line ends of old Macs",
        in_file("n.conll", "Ada B-PER\rcame O\r\rto O\r"),
        {data("tagged._rows"): lambda text, place: iter([["a", "b"], None])},
        reads={"tokens": [["Ada", "came"], ["to"]], "tags": [["B-PER", "O"], ["O"]]},
    ),
    Case(
        "tagged: a blank within a token that breaks no line",
        in_file("n.conll", "10\u00a0000 B-SUM\nmen O\n\nto O\n"),
        {data("tagged.BLANKS"): re.compile(r"\s+")},
        reads={"tokens": [["10\u00a0000", "men"], ["to"]]},
    ),
]
