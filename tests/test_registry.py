"""Registry and Choice: what is found, what is checked, and what a mistake is told."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import Annotated, Literal

import numpy as np
import pytest

from fathom import registry as registry_module
from fathom.errors import ConfigError
from fathom.heads import HEADS, METRICS
from fathom.kinds import KINDS
from fathom.nets import ACTIVATIONS, INITIALIZATIONS, NETS, NORMS
from fathom.registry import Choice, Range, Registry, check_options, options_of
from fathom.training import OPTIMIZERS, SCHEDULES

ALL = [NETS, HEADS, KINDS, METRICS, ACTIVATIONS, NORMS, INITIALIZATIONS, OPTIMIZERS, SCHEDULES]
COLOURS = Registry("colour", "fathom.nets")


@COLOURS.register("red")
def red(*, shade: Annotated[float, Range(0, 1)] = 0.5) -> None:
    """A colour."""


@COLOURS.register("mixed")
def mixed(*, first: Annotated[Choice, COLOURS] = Choice("red"), parts: int = 2) -> None:
    """Of two colours."""


def thing(
    data: object,
    *,
    depth: Annotated[int, Range(1, 8)] = 2,
    rate: Annotated[float, Range(0, 1)] = 0.5,
    name: str = "plain",
    fast: bool = False,
    widths: Annotated[tuple[int, ...], Range(1, 64)] = (4, 4),
    mode: Literal["max", "mean"] = "max",
    level: Literal[1, 2] = 1,
    limit: float | None = None,
    size: Annotated[int | Literal["auto"], Range(1, 100)] = "auto",
    colour: Annotated[Choice, COLOURS] = Choice("red"),
) -> None:
    """A thing with every sort of option."""


def checked(**given: object) -> dict[str, object]:
    return check_options("thing", options_of(thing), given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"depth": 3}, 3),
        ({"depth": np.int64(3)}, 3),
        ({"rate": 1}, 1.0),
        ({"rate": np.float32(0.25)}, 0.25),
        ({"name": "fancy"}, "fancy"),
        ({"fast": True}, True),
        ({"widths": [8, 16]}, (8, 16)),
        ({"widths": 8}, (8,)),
        ({"widths": []}, ()),
        ({"mode": "mean"}, "mean"),
        ({"level": 2}, 2),
        ({"limit": None}, None),
        ({"limit": 3}, 3.0),
        ({"size": "auto"}, "auto"),
        ({"size": 50}, 50),
        ({"colour": "red"}, Choice("red", {})),
        ({"colour": {"name": "red", "shade": 1}}, Choice("red", {"shade": 1.0})),
    ],
)
def test_a_value_is_converted_to_what_its_annotation_says(given, expected):
    (found,) = checked(**given).values()
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": True}, r"thing\.depth = True is not allowed \(expected int\)"),
        ({"depth": 2.0}, r"thing\.depth = 2\.0 is not allowed \(expected int\)"),
        ({"depth": "2"}, r"thing\.depth = '2' is not allowed \(expected int\)"),
        ({"depth": None}, r"thing\.depth = None is not allowed"),
        ({"depth": 9}, r"thing\.depth = 9 is out of range \(allowed: 1 to 8\)"),
        ({"rate": True}, r"thing\.rate = True is not allowed \(expected float\)"),
        ({"rate": "0.1"}, r"thing\.rate = '0\.1' is not allowed \(expected float\)"),
        ({"rate": float("nan")}, r"thing\.rate = nan is not allowed"),
        ({"rate": float("inf")}, r"thing\.rate = inf is not allowed"),
        ({"rate": -0.1}, r"out of range \(allowed: 0 to 1\)"),
        ({"name": 3}, r"thing\.name = 3 is not allowed \(expected str\)"),
        ({"fast": 1}, r"thing\.fast = 1 is not allowed \(expected bool\)"),
        ({"widths": [4, 65]}, r"thing\.widths = 65 is out of range"),
        ({"widths": [4, "8"]}, r"thing\.widths = '8' is not allowed \(expected int\)"),
        ({"widths": "48"}, r"thing\.widths = '48' is not allowed"),
        ({"mode": "maxx"}, r"unknown value for thing\.mode: 'maxx'; did you mean 'max'\? \(allowed: max, mean\)"),
        ({"level": True}, r"unknown value for thing\.level: 'True' \(allowed: 1, 2\)"),
        ({"limit": "none"}, r"thing\.limit = 'none' is not allowed \(expected float \| none\)"),
        ({"size": 101}, r"out of range"),
        ({"size": "automatic"}, r"thing\.size = 'automatic' is not allowed \(expected int \| 'auto'\)"),
        ({"colour": "rad"}, r"unknown colour 'rad'; did you mean 'red'\?"),
        ({"colour": {"name": "red", "shade": 2}}, r"colour red\.shade = 2\.0 is out of range"),
        ({"colour": {"name": "red", "shode": 1}}, r"unknown option of colour red 'shode'; did you mean 'shade'\?"),
        ({"colour": 7}, r"expected a name or a table with a name"),
        ({"dept": 3}, r"unknown option of thing 'dept'; did you mean 'depth'\?"),
    ],
)
def test_a_wrong_value_is_told_what_was_allowed(given, message):
    with pytest.raises(ConfigError, match=message):
        checked(**given)


def test_options_are_the_keyword_only_parameters():
    options = options_of(thing)
    assert "data" not in options
    assert options["depth"].range == Range(1, 8)
    assert options["colour"].registry is COLOURS
    assert str(options["widths"]) == "widths: list of int = [4, 4] (1 to 64)"


def test_an_option_without_a_default_or_an_annotation_is_a_mistake():
    with pytest.raises(TypeError, match="'depth'"):
        options_of(lambda *, depth: depth)


def test_a_choice_is_explicit_with_the_defaults_of_the_choices_in_it():
    assert COLOURS.explicit("mixed") == {"name": "mixed", "first": {"name": "red", "shade": 0.5}, "parts": 2}
    given = {"name": "mixed", "first": {"name": "mixed", "first": {"name": "red", "shade": 1.0}}}
    explicit = COLOURS.explicit(given)
    assert explicit["first"] == {"name": "mixed", "first": {"name": "red", "shade": 1.0}, "parts": 2}
    assert COLOURS.explicit(explicit) == explicit


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.what)
def test_every_default_is_allowed_by_its_own_option(registry):
    for entry in registry:
        for option in entry.options.values():
            assert option.check(option.default, entry.name) == option.default


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.what)
def test_every_registered_thing_is_described_and_can_be_written_out(registry):
    for entry in registry:
        assert entry.summary
        explicit = registry.explicit(entry.name)
        assert registry.explicit(explicit) == explicit


def test_an_unknown_name_is_told_what_is_near_and_what_is_allowed():
    with pytest.raises(ConfigError, match=r"unknown net 'convnt'; did you mean 'convnet'\? \(allowed: .*mlp"):
        NETS.get("convnt")


def test_two_things_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two colours are called 'red'"):
        COLOURS.register("red")(lambda: None)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package whose modules register things, and return how to write one."""
    monkeypatch.syspath_prepend(tmp_path)
    place = tmp_path / "made_up_room"
    place.mkdir()
    (place / "__init__.py").write_text("from fathom.registry import Registry\nTHINGS = Registry('thing', __name__)\n")
    yield place
    for name in [name for name in sys.modules if name.startswith("made_up_room")]:
        del sys.modules[name]


def things() -> Registry:
    from importlib import import_module

    found: Registry = import_module("made_up_room").THINGS
    return found


REGISTERS = "from {package} import THINGS\n@THINGS.register('{name}')\ndef made():\n    '''Made.'''\n"


def test_a_new_file_is_all_it_takes(package):
    (package / "one.py").write_text(REGISTERS.format(package="made_up_room", name="one"))
    (package / "two.py").write_text(REGISTERS.format(package="made_up_room", name="two"))
    assert "made_up_room.one" not in sys.modules
    assert things().names() == ["one", "two"]
    assert [entry.summary for entry in things()] == ["Made.", "Made."]


def test_a_module_that_fails_to_import_is_named_at_every_look_up(package):
    (package / "broken.py").write_text("import nothing_of_that_name\n")
    (package / "sound.py").write_text(REGISTERS.format(package="made_up_room", name="sound"))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"made_up_room\.broken, which may register a thing, fails to import"):
            things().get("sound")


@pytest.fixture
def points(monkeypatch):
    """Pretend that other packages are installed."""

    def pretend(*found: EntryPoint) -> None:
        monkeypatch.setattr(registry_module, "entry_points", lambda *, group: found if group == "fathom" else ())
        registry_module._load_entry_points.cache_clear()

    yield pretend
    registry_module._load_entry_points.cache_clear()


def test_another_package_registers_by_an_entry_point(package, points):
    (package.parent / "made_up_extension.py").write_text(REGISTERS.format(package="made_up_room", name="theirs"))
    points(EntryPoint("theirs", "made_up_extension", "fathom"))
    assert things().names() == ["theirs"]
    sys.modules.pop("made_up_extension")


def test_an_extension_that_fails_to_import_is_named(package, points):
    points(EntryPoint("theirs", "nothing_of_that_name:thing", "fathom"))
    with pytest.raises(ConfigError, match=r"the extension theirs \(nothing_of_that_name:thing\) fails to import"):
        things().names()


def test_a_choice_is_read_as_people_write_it():
    assert Choice.of("relu") == Choice("relu", {})
    assert Choice.of({"name": "relu", "slope": 1}) == Choice("relu", {"slope": 1})
    assert Choice.of({"name": "relu", "slope": 1}).plain() == {"name": "relu", "slope": 1}
    for wrong in (3, None, {"slope": 1}, {"name": 3}):
        with pytest.raises(ConfigError, match="expected a name or a table with a name"):
            Choice.of(wrong)
