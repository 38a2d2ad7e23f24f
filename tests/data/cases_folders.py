"""Dirty folders of pictures and of tables, and ZIP archives of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from fathom.data.tree import Folder, part_of_name
from tests.data.dirty import Case
from tests.data.made import Content, classes, in_folder, npz, parquet_bytes, picture
from tests.data.standins import never, no_notes, nothing

PICTURES, TREE = "fathom.data.folders.", "fathom.data.tree."
AGREEMENT = "fathom.data.agreement."
TABLES, ARCHIVES = "fathom.data.tables.", "fathom.data.archives."
HELD = "fathom.kinds.pictures."

AB = classes("a", "b")
TWO = classes("a", "b", of=2)


def labelled(*labels: str) -> dict[str, list[object]]:
    return {"label": list(labels)}


def with_link(name: str, to: str, contents: Mapping[str, Content]) -> Callable[[Path], Path]:
    """A folder of files, with a link in it."""

    def make(folder: Path) -> Path:
        place = in_folder(contents)(folder)
        os.symlink(place / to, place / name)
        return place

    return make


def untouched(folder: Folder) -> Folder:
    return folder


def all_files(place: Path) -> Folder:
    """A folder that is listed as it stands, links and all, three levels deep."""

    def listing(path: Path) -> tuple[list[Path], list[Path]]:
        deep = len(path.relative_to(place).parts) > 3
        inside = [] if deep else list(path.iterdir())
        return [p for p in inside if p.is_dir()], [p for p in inside if p.is_file()]

    return Folder(place, listing)


IMAGES = [
    Case(
        "pictures: one is cut short",
        in_folder({**TWO, "b/1.png": picture(7, side=40)[:-40]}),
        {"fathom.kinds.image.each": lambda function, pictures: [function(picture) for picture in pictures]},
        target="label",
        refused=r"1 of [0-9]+ pictures cannot be read, the first is .*set/b/1\.png: .*truncated.*; replace",
    ),
    Case(
        "pictures: three of them are damaged",
        in_folder({**classes("a", "b", of=9), "a/1.png": b"x", "a/2.png": b"\x89PNG\r\n\x1a\n", "b/3.png": b""}),
        {"fathom.kinds.image.each": lambda function, pictures: [function(picture) for picture in pictures]},
        target="label",
        asked={"valid": 0, "test": 0},
        refused=r"3 of 18 pictures cannot be read, the first is .*a/1\.png",
    ),
    Case(
        "pictures: one to test by is damaged",
        in_folder(
            {
                **classes("a", "b", of=2, above="train/"),
                **classes("a", "b", above="test/"),
                "test/b/0.png": picture(7, side=40)[:-40],
            }
        ),
        {"fathom.kinds.image.decoded_size": lambda picture: (0, 0)},
        target="label",
        refused=r"1 of 2 pictures cannot be read, the first is .*test/b/0\.png",
    ),
    Case(
        "pictures: one of no bytes",
        in_folder({**TWO, "b/1.png": b""}),
        {HELD + "_is_empty": never},
        target="label",
        refused=r"b/1\.png: it is empty",
    ),
    Case(
        "pictures: words called .png",
        in_folder({**TWO, "b/1.png": "words"}),
        {HELD + "told_reason": lambda error, _: str(error)},
        target="label",
        refused=r"b/1\.png: it is no picture",
    ),
    Case(
        "pictures: a class without any",
        in_folder({**AB, "c/readme.txt": "later"}),
        {PICTURES + "check_class": nothing},
        refused="set/c: no pictures for this class",
    ),
    Case(
        "pictures: one class",
        in_folder(classes("a", of=3)),
        {PICTURES + "check_several": nothing},
        refused="at least two; found only a",
    ),
    Case(
        "pictures: some beside the classes",
        in_folder({**AB, "loose.png": picture()}),
        {PICTURES + "check_loose": nothing},
        refused=r"1 pictures stand beside class folders, as loose\.png does; move each",
    ),
    Case(
        "pictures: hidden files and folders",
        in_folder({**AB, "a/._0.png": b"x", "b/.cache/1.png": b"x", "__MACOSX/a/1.png": b"x"}),
        {TREE + "HIDDEN": ("\0",)},
        reads=labelled("a", "b"),
    ),
    Case(
        "pictures: what Windows leaves behind",
        in_folder({**{f"a/{k}.png": picture(k) for k in range(3)}, "a/Thumbs.db": b"", "b/1.png": picture()}),
        {TREE + "_is_hidden": lambda name: not name.endswith(".db") and len(name) > 1},
        reads=labelled("a", "a", "a", "b"),
    ),
    Case(
        "pictures: endings in upper case",
        in_folder({"a/1.PNG": picture(), "a/2.Jpeg": picture(form="JPEG"), "b/1.png": picture()}),
        {PICTURES + "is_picture": lambda path: path.suffix in (".png", ".jpeg")},
        reads=labelled("a", "a", "b"),
    ),
    Case(
        "pictures: odd names",
        in_folder(classes("grüne Äpfel", "cat's & dog's", "-x", "100%", "猫")),
        {TREE + "natural_order": lambda name: [-ord(name[0])]},
        reads=labelled("100%", "-x", "cat's & dog's", "grüne Äpfel", "猫"),
    ),
    Case(
        "pictures: numbers in names",
        in_folder(classes("s10", "s2", "s1")),
        {TREE + "natural_order": str},
        reads=labelled("s1", "s2", "s10"),
    ),
    Case(
        "pictures: a link in a circle",
        with_link("a/loop", ".", AB),
        {"fathom.data.inside.folder_on_disk": all_files},
        reads=labelled("a", "b"),
    ),
    Case(
        "pictures: a link to a class",
        with_link("c", "a", AB),
        {TREE + "_leads_back": lambda path: True},
        reads=labelled("a", "b", "c"),
    ),
    Case(
        "pictures: classes in classes",
        in_folder(classes("bird/owl", "bird/jay", "fish/cod")),
        {PICTURES + "inner_note": no_notes},
        reads=labelled("bird", "bird", "fish"),
        notes=r"outer folder's name; 3 folders stand inside \(bird/jay, bird/owl and 1 more\)",
    ),
    Case(
        "pictures: classes in classes, asked for whole",
        in_folder(classes("bird/owl", "bird/jay", "fish/cod")),
        {PICTURES + "label_of": lambda path, folder, label: path.relative_to(folder).parts[0]},
        options={"label": "full"},
        reads=labelled("bird/jay", "bird/owl", "fish/cod"),
    ),
    Case(
        "pictures: a class in test that train lacks",
        in_folder({**classes("a", "b", above="train/"), **classes("A ", "c", above="test/")}),
        {PICTURES + "class_notes": no_notes},
        notes="test has classes that train lacks: c$",
    ),
    Case(
        "pictures: a class in train that valid lacks",
        in_folder({**classes("a", "b", "c", above="train/"), **classes("a", "b", above="val/")}),
        {PICTURES + "class_notes": no_notes},
        notes="valid lacks the classes c$",
    ),
    Case(
        "pictures: a folder beside train",
        in_folder({**classes("a", "b", above="train/"), **classes("a", "b", above="extra/")}),
        {PICTURES + "check_part": nothing},
        refused="beside a folder for train stands extra",
    ),
    Case(
        "pictures: two folders for valid",
        in_folder({f"{part}/{name}": data for part in ("train", "val", "valid") for name, data in AB.items()}),
        {PICTURES + "check_part": nothing},
        refused="beside a folder for train stands valid",
    ),
    Case(
        "pictures: train without test",
        in_folder(classes("a", "b", above="train/")),
        {PICTURES + "is_split": never},
        reads=labelled("a", "b"),
    ),
    Case(
        "pictures: train and test without classes",
        in_folder({"train/1.png": picture(1), "train/2.png": picture(2), "test/1.png": picture(3)}),
        {PICTURES + "are_parts": never},
        notes="own split is used: train 2 rows, test 1 rows",
    ),
    Case(
        "pictures: none at all",
        in_folder({"a/1.csv": "x,y\n1,2\n", "b/1.doc": "x"}),
        {"fathom.data.inside.check_any_picture": nothing},
        refused="no pictures, and no table at its top; name one of: a$",
    ),
    Case(
        "pictures: none, and a table further below",
        in_folder({"a/b/c/1.csv": "x,y\n1,2\n", "a/d/1.doc": "x", "e/1.doc": "x"}),
        {"fathom.data.inside.check_any_picture": nothing},
        refused="no table at its top; name one of: a/b/c$",
    ),
    Case(
        "pictures: none, and nothing to read in its folders",
        in_folder({"a/b/1.doc": "x", "c/1.doc": "x"}),
        {"fathom.data.inside.check_any_picture": nothing},
        refused=r"set: no pictures and no table in this folder or those in it \(allowed: ",
    ),
    Case(
        "pictures: a table names them",
        in_folder({"log.csv": "file,y\nIMG/1.png,1\nIMG/2.png,2\n", "IMG/1.png": picture(), "IMG/2.png": picture()}),
        {"fathom.data.inside.tables_inside": lambda folder: None},
        reads={"file": ["IMG/1.png", "IMG/2.png"], "y": [1, 2]},
    ),
]

XY = "x,y\n1,a\n2,b\n"


def shard(**columns: object) -> bytes:
    return parquet_bytes(pa.table(columns))


FOLDERS = [
    Case(
        "tables: train.csv and test.csv",
        in_folder({"train.csv": XY, "test.csv": "x,y\n3,a\n"}),
        {TABLES + "part_of_words": lambda name: None},
        reads={"x": [1, 2]},
        notes="own split is used: train 2 rows, test 1 rows",
    ),
    Case(
        "tables: parts within longer names",
        in_folder({"adult_train.csv": XY, "adult-dev.csv": XY, "Adult.TEST.csv": XY}),
        {TABLES + "part_of_words": part_of_name},
        notes="train 2 rows, valid 2 rows, test 2 rows",
    ),
    Case(
        "tables: shards in the order of their numbers",
        in_folder({f"part-{k}.parquet": shard(x=[k]) for k in (10, 9, 1)}),
        {TREE + "natural_order": str},
        reads={"x": [1, 9, 10]},
        notes=r"3 files are read as one table: part-1\.parquet, part-9\.parquet and 1 more",
    ),
    Case(
        "tables: a shard is missing",
        in_folder({f"data-0000{k}-of-00003.parquet": shard(x=[k]) for k in (0, 2)}),
        {TABLES + "check_all_there": nothing},
        refused="2 of 3 shards are there; shard 1 is not",
    ),
    Case(
        "tables: shards with another column",
        in_folder({"part-0.parquet": shard(x=[1]), "part-1.parquet": shard(x=[2], z=[3])}),
        {AGREEMENT + "check_same_shards": nothing},
        refused=r"shards part-0\.parquet and part-1\.parquet differ in their columns: z",
    ),
    Case(
        "tables: shards with their columns in another order",
        in_folder({"part-0.parquet": shard(x=[1], y=[2]), "part-1.parquet": shard(y=[4], x=[3])}),
        {AGREEMENT + "in_this_order": lambda table, names: table},
        reads={"x": [1, 3], "y": [2, 4]},
    ),
    Case(
        "tables: whole numbers in one shard, decimals in another",
        in_folder({"part-0.parquet": shard(x=[1]), "part-1.parquet": shard(x=[0.5])}),
        {AGREEMENT + "type_of_two": lambda first, second, *, untyped: None},
        reads={"x": [1.0, 0.5]},
    ),
    Case(
        "tables: a shard without a value",
        in_folder({"part-0.parquet": shard(x=pa.nulls(1)), "part-1.parquet": shard(x=[5])}),
        {AGREEMENT + "has_value": lambda column: True},
        reads={"x": [None, 5]},
    ),
    Case(
        "tables: a shard without rows",
        in_folder({"part-0.parquet": shard(x=pa.array([], pa.int64())), "part-1.parquet": shard(x=[5])}),
        {TABLES + "has_rows": lambda path: True},
        reads={"x": [5]},
    ),
    Case(
        "tables: shards of Spark",
        in_folder(
            {f"part-0000{k}-1f0c5a1e-0a0b-4c0d-8e0f-{'ab'[k]}23456789abc-c000.parquet": shard(x=[k]) for k in (0, 1)}
        ),
        {TABLES + "NUMBERING": re.compile("[0-9]+")},
        reads={"x": [0, 1]},
    ),
    Case(
        "tables: words in one shard, numbers in another",
        in_folder({"part-0.parquet": shard(x=[1]), "part-1.parquet": shard(x=["a"])}),
        {AGREEMENT + "type_of_two": lambda first, second, *, untyped: pa.string()},
        refused=r"column 'x' holds int64 in part-0\.parquet \(1\) and string in part-1\.parquet \('a'\)$",
    ),
    Case(
        "tables: codes that are numbers in test alone",
        in_folder({"train.csv": "x,y\nA1,1\nA2,2\n", "test.csv": "x,y\n17,1\n"}),
        {TABLES + "UNTYPED": "none"},
        reads={"x": ["A1", "A2"]},
        notes="column 'x' is text, as it holds words in train.csv",
    ),
    Case(
        "tables: decimals in train, words in test",
        in_folder({"train.csv": "x,y\n0.5,1\n1.5,2\n", "test.csv": "x,y\nlow,1\n"}),
        {AGREEMENT + "type_of_two": lambda first, second, *, untyped: pa.string()},
        refused=r"double in train\.csv \(0\.5\) and string in test\.csv \('low'\); text=\('x',\) reads it as text",
    ),
    Case(
        "tables: test without the target",
        in_folder({"train.csv": XY, "test.csv": "x\n3\n"}),
        {AGREEMENT + "leaves_target_out": never},
        reads={"x": [1, 2]},
        notes=r"test\.csv is left out: it lacks y",
    ),
    Case(
        "tables: test without several columns",
        in_folder({"train.csv": "x,y,z\n1,2,3\n", "test.csv": "x\n3\n"}),
        {AGREEMENT + "leaves_target_out": lambda lacking, surplus: True},
        refused=r"test\.csv lacks columns that train\.csv has: y, z",
    ),
    Case(
        "tables: test with more columns",
        in_folder({"train.csv": XY, "test.csv": "x,y,z\n3,a,4\n"}),
        {AGREEMENT + "in_this_order": lambda table, names: table},
        reads={"x": [1, 2]},
        notes=r"columns of test\.csv that train\.csv lacks are left out: z",
    ),
    Case(
        "tables: several that do not belong together",
        in_folder({"cats.csv": XY, "dogs.csv": XY}),
        {TABLES + "check_shards": nothing},
        refused=r"2 tables that neither say train.*name one of them: cats\.csv, dogs\.csv",
    ),
    Case(
        "tables: several formats",
        in_folder({"train.csv": XY, "test.parquet": shard(x=[1], y=["a"])}),
        {TABLES + "check_one_format": nothing},
        refused="several formats; name one of them: test.parquet, train.csv",
    ),
    Case(
        "tables: what describes one",
        in_folder({"data.csv": XY, "dataset_info.json": '{"a": 1}', "README.txt": "words"}),
        {TABLES + "BESIDE_TABLES": ("\0",)},
        reads={"x": [1, 2]},
    ),
    Case(
        "tables: folders of shards",
        in_folder({f"{part}/part-{k}.csv": f"x\n{k}\n" for part in ("train", "test") for k in (0, 1)}),
        {TABLES + "holds_shards": never},
        reads={"x": [0, 1]},
        notes="train 2 rows, test 2 rows",
    ),
    Case(
        "tables: shards that carry splits",
        in_folder({f"part-{k}.npz": npz(x_train=[1, 2], x_test=[3]) for k in (0, 1)}),
        {TABLES + "check_no_own_split": nothing},
        refused=r"part-0\.npz: carries a split of its own, train, test; name it alone",
    ),
    Case(
        "tables: one in a folder in a folder",
        in_folder({"a/b/data.csv": XY}),
        {"fathom.data.inside.only_folder_in": untouched},
        reads={"x": [1, 2]},
    ),
]

CASES = [*IMAGES, *FOLDERS]
