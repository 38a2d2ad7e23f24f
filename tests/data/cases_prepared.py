"""What is read well and still cannot be learned from, or whose test rows do not fit: told before training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fathom.data.types import typed
from tests.data.dirty import Case
from tests.data.made import file
from tests.data.standins import nothing


def of_api(module: str) -> str:
    return f"fathom.api.{module}"


def table(header: str, row: Callable[[int], str], count: int = 30, name: str = "t.csv") -> Callable[[Path], Path]:
    return file("\n".join([header, *(row(k) for k in range(count))]) + "\n", name)


def labelled(labels: tuple[str, str], name: str = "t.csv") -> Callable[[Path], Path]:
    return table("x,y", lambda k: f"{k * 7 % 11}.5,{labels[k % 2]}", name=name)


UNMATCHED = {of_api("examining.matched"): lambda table, known: (table, ())}

NO_ERRORS = {of_api("examining.run_checks"): lambda *_, **__: ()}

CASES = [
    Case(
        "labels to test by end in a full stop, as Adult's do",
        labelled(("<=50K", ">50K")),
        UNMATCHED,
        notes="test: labels of 'y' are read as training has them: '<=50K.' as '<=50K', '>50K.' as '>50K'",
        target="y",
        test=labelled(("<=50K.", ">50K."), "test.csv"),
    ),
    Case(
        "labels to test by differ by case",
        labelled(("Yes", "No")),
        UNMATCHED,
        notes="'YES' as 'Yes', 'no' as 'No'",
        target="y",
        test=labelled(("YES", "no"), "test.csv"),
    ),
    Case(
        "labels to test by differ by blanks within",
        labelled(("heart disease", "healthy")),
        UNMATCHED,
        notes="'heart  disease' as 'heart disease'",
        target="y",
        test=labelled(("heart  disease", "healthy"), "test.csv"),
    ),
    Case(
        "the rows to test by lack an input",
        table("x,z,y", lambda k: f"{k},{k % 3},{'ab'[k % 2]}"),
        {of_api("examining._check_columns"): nothing},
        refused=r"the test rows lack 1 columns?; unknown column 'z' .*allowed: x, y",
        target="y",
        test=labelled(("a", "b"), "test.csv"),
    ),
    Case(
        "the rows to test by lack the target",
        labelled(("a", "b")),
        {of_api("examining._check_columns"): nothing},
        refused=r"the test rows lack 1 columns?; unknown column 'y'",
        target="y",
        test=table("x,z", lambda k: f"{k},{k}", name="test.csv"),
    ),
    Case(
        "a target that is not there, named nearly",
        labelled(("a", "b")),
        {"fathom.schema.unknown_name": lambda what, got, allowed: "no"},
        refused=r"unknown column 'Y'.*did you mean 'y'|unknown column 'Y' \(allowed: x, y\)",
        target="Y",
    ),
    Case(
        "a target without any value",
        table("x,y", lambda k: f"{k},"),
        {"fathom.schema.Schema._check_targets": nothing},
        refused="target column 'y' has no value in any of 30 rows",
        target="y",
    ),
    Case(
        "a target of one class",
        table("x,y", lambda k: f"{k},same"),
        NO_ERRORS,
        refused="target y has one class, same, in all 30 rows: there is nothing to learn; name another with --target",
        target="y",
    ),
    Case(
        "a target of one number",
        table("x,y", lambda k: f"{k},2.5"),
        NO_ERRORS,
        refused="target y is 2.5 in all 30 rows",
        target="y",
    ),
    Case(
        "a target of which every value stands once",
        table("x,y", lambda k: f"{k},name {k}"),
        {of_api("examining._check_classes"): nothing},
        refused="target 'y' has 30 classes in 30 rows, most of a single row",
        target="y",
    ),
    Case(
        "one row",
        file("x,y\n1,2\n"),
        {of_api("rows._cut"): lambda table, fractions, schema: [table] * len(fractions)},
        refused="^the data has one row, too few to learn from; at least 10 rows are needed$",
        target="y",
    ),
    Case(
        "no column of use",
        table("id,constant,y", lambda k: f"{k},1,{'ab'[k % 2]}"),
        {of_api("examining._check_inputs"): nothing},
        refused=r"no column is left to learn from \(id: identifier.*, constant: constant\); .*--role id=input",
        target="y",
    ),
    Case(
        "a row without any target",
        table("x,y", lambda k: f"{k * 7 % 11},{'ab'[k % 2] if k else ''}"),
        {"fathom.api.rows.rows_to_learn_from": lambda rows, schema, scored: (rows, ())},
        notes="1 rows? without any target (is|are) left out",
        target="y",
    ),
    Case(
        "the last row beside the target is empty",
        file("x,y\n" + "".join(f"{k % 7},{'ab'[k % 2]}\n" for k in range(30)) + ",\n"),
        {"fathom.api.rows.rows_to_learn_from": lambda rows, schema, scored: (rows, ())},
        notes="1 rows? without any target (is|are) left out",
        target="y",
    ),
    Case(
        "a negative weight",
        table("x,w,y", lambda k: f"{k},{-1 if k == 3 else 1},{'ab'[k % 2]}"),
        {"fathom.schema.Schema.weight": None},
        refused="column 'w' holds weights; row .* is not 0 or more",
        target="y",
        asked={"roles": {"w": "weight"}},
    ),
    Case(
        "too few groups",
        table("x,who,y", lambda k: f"{k},{k % 2},{'ab'[k % 2]}"),
        {of_api("splitting.check_count"): nothing},
        refused="column 'who' holds 2 groups, which cannot be shared out to 3 parts",
        target="y",
        asked={"roles": {"who": "group"}},
    ),
    Case(
        "times that have no order",
        table("x,when,y", lambda k: f"{k},week {k % 5},{'ab'[k % 2]}"),
        {of_api("splitting._places_in_time"): lambda times, name: typed(times).combine_chunks().to_numpy(False)},
        refused="column 'when': times are to be",
        target="y",
        asked={"roles": {"when": "time"}},
    ),
    Case(
        "a pattern for groups that a row does not match",
        table("x,name,y", lambda k: f"{k},{'p' if k else 'q'}{k % 6},{'ab'[k % 2]}"),
        {of_api("splitting._texts"): lambda table, column, name: ["p"] * table.num_rows},
        refused=r"group 'name~p\(\.\)': the pattern finds nothing in 1 of 30 rows, the first of which is 'q0'",
        target="y",
        asked={"roles": {"name~p(.)": "group"}},
    ),
]
