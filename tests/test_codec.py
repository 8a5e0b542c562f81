"""Values of the user <-> JSON trees."""

from __future__ import annotations

import asyncio
import collections
import copy
import dataclasses
import enum
import functools
import inspect
import io
import json
import math
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.db import connection
from django.http import QueryDict
from django.utils.functional import SimpleLazyObject, cached_property, lazy
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy, override
from hypothesis import example, given
from hypothesis import strategies as st

from django_durable import codec
from django_durable.codec.encoding import MAX_DIGITS
from django_durable.codec.refusals import MAX_DEPTH
from django_durable.exceptions import InstanceGone, NotStorable


class Color(enum.Enum):
    RED = "r"
    GREEN = "g"
    ROT = "r"


class Level(enum.IntEnum):
    LOW = 1


class Status(enum.StrEnum):
    OPEN = "open"


class Rights(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Odd(enum.Enum):
    OBJECT = object()


class Shop:
    class Size(enum.Enum):
        BIG = 1


@dataclasses.dataclass
class Line:
    sku: str
    price: Decimal
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass
class Invoice:
    net: Decimal
    rate: dataclasses.InitVar[Decimal]
    gross: Decimal = dataclasses.field(init=False)
    number: int = dataclasses.field(init=False)
    calls = 0

    def __post_init__(self, rate: Decimal) -> None:
        type(self).calls += 1
        self.gross = self.net * rate
        self.printed = False

    @cached_property
    def half(self) -> Decimal:
        return self.gross / 2

    @functools.cached_property
    def third(self) -> Decimal:
        return self.gross / 3


@dataclasses.dataclass
class TextWithLanguage(str):
    language: str = "en"


class Pair(NamedTuple):
    left: Any
    right: Any = None


def function() -> None: ...


def stored(value: Any) -> Any:
    """What comes back after the way through the text of a JSON column."""
    return codec.decode(json.loads(codec.dumps(codec.encode(value))))


def kinds(value: Any) -> Any:
    """The types at all levels: `==` takes 1, 1.0 and True for the same."""
    if isinstance(value, dict):
        return dict, {key: kinds(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [kinds(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), {(repr(kinds(item)), item) for item in value}
    return type(value)


# --- round trips ----------------------------------------------------------------------

NAIVE = datetime(2024, 10, 27, 2, 30, fold=1)  # noqa: DTZ001
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
zones = st.sampled_from([None, UTC, timezone(timedelta(hours=-3, minutes=-30))])
hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    text,
    st.datetimes(timezones=zones),
    st.datetimes(),
    st.dates(),
    st.times(timezones=zones),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.binary(),
    st.sampled_from([*Color, *Level, *Status, *Rights, Rights.READ | Rights.WRITE]),
    st.builds(Point, x=st.integers(), y=st.integers()),
)
keys = text | st.sampled_from(["$type", "$$type", "$$$type", "$typed", "type"])
values = st.recursive(
    hashables
    | st.sets(st.integers() | st.tuples(text, st.uuids()))
    | st.frozensets(st.dates() | st.decimals(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=4),
        st.builds(Line, sku=text, price=st.just(Decimal(1)), tags=st.lists(text)),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=12,
)


@given(values)
@example({"$type": "datetime", "value": "no date"})
@example({"$$type": {"$type": 1}, "$type": 2})
@example([True, 1, 1.0, Decimal(1), Level.LOW])
@example(NAIVE)
@example(time(2, 30, fold=1))
def test_a_value_comes_back_equal_and_of_the_same_type(value):
    back = stored(value)

    assert back == value
    assert kinds(back) == kinds(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e16)
@example(1e-7)
@example(-0.0)
@example(sys.float_info.max)
@example(5e-324)
def test_a_float_is_stored_so_that_jsonb_keeps_it(value):
    tree = codec.encode(value)

    # What is stored as a number has neither exponent nor negative zero.
    assert isinstance(tree, dict) or (
        "e" not in repr(tree) and tree.hex() != "-0x0.0p+0"
    )
    back = stored(value)
    assert type(back) is float
    assert back.hex() == value.hex()


@pytest.mark.parametrize(
    "value",
    [
        0,
        2**63 - 1,
        -(2**63),
        2**63,
        -(2**63) - 1,
        10**MAX_DIGITS - 1,
        1 - 10**MAX_DIGITS,
    ],
)
def test_an_int_keeps_all_its_digits(value):
    tree = codec.encode(value)

    assert (type(tree) is int) == (-(2**63) <= value < 2**63)
    assert stored(value) == value


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(1890, 1, 1, tzinfo=ZoneInfo("Europe/Paris")),
    ],
)
def test_a_moment_in_a_named_zone_keeps_its_instant_and_its_offset(moment):
    back = stored(moment)

    assert back.timestamp() == moment.timestamp()
    assert back.utcoffset() == moment.utcoffset()
    assert back.fold == moment.fold


def test_fold_of_a_time_on_the_wall_is_kept():
    assert stored(NAIVE).fold == 1
    assert stored(time(2, 30, fold=1)).fold == 1


def test_what_json_has_is_stored_as_it_is():
    value = {"a": [1, 2.5, None, True, "ü"], "b": {"c": []}}

    assert codec.encode(value) == value


def test_the_tree_and_the_value_share_nothing_with_what_was_given():
    value = {"items": [{"tags": ["a"]}]}

    tree = codec.encode(value)
    first, second = codec.decode(tree), codec.decode(tree)
    first["items"][0]["tags"].append("b")

    assert value == tree == second == {"items": [{"tags": ["a"]}]}


def test_trees_merged_key_by_key_are_the_tree_of_the_merged_values():
    old, new = {"$type": 1, "a": (1,)}, {"$type": {"$$type": 2}, "b": {3}}

    tree = {**codec.encode(old), **codec.encode(new)}

    assert tree == codec.encode({**old, **new})
    assert codec.decode(tree) == {**old, **new}


def test_equal_sets_make_equal_trees():
    names = [f"name {number}" for number in range(50)]

    assert codec.encode(set(names)) == codec.encode({*names[::-1]})


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (mark_safe("<b>"), "<b>"),
        (type("Name", (str,), {})("Ada"), "Ada"),
        (type("Count", (int,), {})(3), 3),
        (type("Weight", (float,), {})(-0.0), -0.0),
        (type("Moment", (datetime,), {})(2024, 1, 2, 3, tzinfo=UTC),
         datetime(2024, 1, 2, 3, tzinfo=UTC)),
        (type("Price", (Decimal,), {})("1.10"), Decimal("1.10")),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (type("Items", (list,), {})([1]), [1]),
        ({SafeString("key"): 1, Status.OPEN: 2}, {"key": 1, "open": 2}),
    ],
)  # fmt: skip
def test_a_subclass_comes_back_as_the_built_in_type(value, base):
    back = stored(value)

    assert back == base
    assert kinds(back) == kinds(base)
    assert repr(back) == repr(base)


def test_a_lazy_translation_is_stored_as_its_text():
    with override("de"):
        assert stored({"text": gettext_lazy("Yes")}) == {"text": "Ja"}


# --- classes --------------------------------------------------------------------------


def test_an_enum_member_is_found_by_its_name():
    tree = codec.encode(Color.ROT)

    assert tree == {"$type": "enum", "class": "tests.test_codec:Color", "name": "RED"}
    assert codec.decode({**tree, "name": "ROT"}) is Color.RED
    assert stored(Shop.Size.BIG) is Shop.Size.BIG
    assert stored(Odd.OBJECT) is Odd.OBJECT


def test_a_dataclass_comes_back_without_its_constructor_being_called():
    invoice = Invoice(Decimal(10), Decimal("1.5"))
    invoice.printed = True
    assert (invoice.half, invoice.third) == (Decimal("7.5"), Decimal(5))
    calls = Invoice.calls

    tree = codec.encode(invoice)
    back = codec.decode(tree)

    assert Invoice.calls == calls
    assert (back.net, back.gross, back.printed) == (Decimal(10), Decimal(15), True)
    assert not hasattr(back, "number")
    assert tree["state"] == {"printed": True}
    assert back.half == Decimal("7.5")


def test_a_dataclass_that_changed_since_is_still_read():
    tree = codec.encode(Line("a", Decimal(1), ["x"]))
    fields = tree["fields"]

    without_tags = {name: fields[name] for name in ("sku", "price")}
    assert codec.decode({**tree, "fields": without_tags}) == Line("a", Decimal(1), [])
    with_another = {**fields, "removed": 1}
    assert codec.decode({**tree, "fields": with_another}) == Line(
        "a", Decimal(1), ["x"]
    )

    with pytest.raises(NotStorable, match=r"data\['l'\]: .* new field 'sku'.* default"):
        codec.decode({"l": {**tree, "fields": {"price": 1}}})


def test_a_named_tuple_that_changed_since_is_still_read():
    tree = codec.encode(Pair(1, 2))

    assert codec.decode({**tree, "fields": {"left": 1}}) == Pair(1, None)
    with pytest.raises(NotStorable, match="new field 'left'"):
        codec.decode({**tree, "fields": {}})


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"$type": "enum", "class": "tests.gone:Color", "name": "RED"}, "any more"),
        (
            {"$type": "enum", "class": "tests.test_codec:Gone", "name": "RED"},
            "any more",
        ),
        ({"$type": "enum", "class": "tests.test_codec:Color", "name": "BLUE"}, "BLUE"),
        ({"$type": "enum", "class": "tests.test_codec:Shop", "name": "a"}, "kind"),
        ({"$type": "enum", "class": "os:system", "name": "true"}, "any more"),
        ({"$type": "enum", "class": "os:environ.clear", "name": "true"}, "any more"),
        ({"$type": "enum", "class": "", "name": "a"}, "any more"),
        ({"$type": "enum", "class": ".:a", "name": "a"}, "any more"),
        ({"$type": "dataclass", "class": "subprocess:Popen", "fields": {}}, "kind"),
        ({"$type": "dataclass", "class": "tests.test_codec:Point"}, "damaged"),
        ({"$type": "namedtuple", "class": "builtins:list", "fields": {}}, "kind"),
        ({"$type": "namedtuple", "class": "ast:AST", "fields": {}}, "kind"),
        ({"$type": "namedtuple", "class": "builtins:print", "fields": {}}, "any more"),
        ({"$type": "nonsense"}, "does not know"),
        ({"$type": ["enum"]}, "does not know"),
        ({"$type": "datetime", "value": "yesterday"}, "damaged"),
        ({"$type": "datetime"}, "damaged"),
        ({"$type": "decimal", "value": "1,5"}, "damaged"),
        ({"$type": "timedelta", "value": [1]}, "damaged"),
        ({"$type": "timedelta", "value": [10**10, 0, 0]}, "damaged"),
        ({"$type": "bytes", "value": "§"}, "damaged"),
        ({"$type": "set", "items": [[]]}, "damaged"),
        ({"$type": "tuple", "items": None}, "damaged"),
        ({"$type": "uuid", "value": 5}, "damaged"),
        (
            {"$type": "model", "model": "auth.gone", "pk": 1, "using": "default"},
            "model",
        ),
    ],
)
def test_a_tree_that_cannot_be_read_says_where_and_why(tree, reason):
    with pytest.raises(NotStorable, match=reason) as caught:
        codec.decode({"a": [0, tree]}, instances=codec.fetch_instance, name="input")

    assert caught.value.path == "input['a'][1]"


def test_reading_runs_nothing_of_a_forged_class(monkeypatch):
    called = []
    monkeypatch.setattr(Invoice, "__init__", lambda *_, **__: called.append("init"))
    monkeypatch.setattr(Invoice, "__post_init__", lambda *_: called.append("post"))
    path = "tests.test_codec:Invoice"

    codec.decode({"$type": "dataclass", "class": path, "fields": {"net": 1}})

    assert called == []


class Trap:
    touched = False

    @property
    def color(self) -> type[Color]:
        Trap.touched = True
        return Color


TRAP = Trap()


def test_a_forged_path_leads_through_modules_and_classes_only():
    tree = {"$type": "enum", "class": "tests.test_codec:TRAP.color", "name": "RED"}

    with pytest.raises(NotStorable, match="any more"):
        codec.decode(tree)
    assert not Trap.touched


# --- refusals -------------------------------------------------------------------------


class Hostile:
    """Whoever asks this for text or for anything else gets an error."""

    def __repr__(self) -> str:
        raise AssertionError("repr() was called")

    __str__ = __format__ = __repr__  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")

    @property
    def __class__(self) -> Any:
        raise AssertionError("__class__ was asked for")


class HostileKey(Hostile):
    def __hash__(self) -> int:
        return 1


def local_class() -> type:
    class Local(enum.Enum):
        A = 1

    return Local


def local_dataclass() -> Any:
    @dataclasses.dataclass
    class Local:
        a: int = 1

    return Local()


def local_named_tuple() -> Any:
    return collections.namedtuple("Elsewhere", "a")(1)


def of_main() -> Any:
    cls = enum.Enum("OfMain", "A")
    cls.__module__ = "__main__"
    return cls["A"]


def shadowed() -> Any:
    cls = enum.Enum("Color", "A")
    cls.__module__, cls.__qualname__ = __name__, "Color"
    return cls["A"]


def coroutine() -> Any:
    async def body() -> None: ...

    started = body()
    started.close()
    return started


def with_attributes() -> Any:
    money = type("Money", (int,), {})(5)
    money.currency = "EUR"
    return money


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: function, "a function cannot be stored. Store its name or the values"),
        (lambda: lambda: 1, "a function cannot be stored"),
        (lambda: print, "a function cannot be stored"),
        (lambda: [].append, "a function cannot be stored"),
        (lambda: functools.partial(print), "a function cannot be stored"),
        (lambda: Point, "a class cannot be stored. Store its name"),
        (lambda: Color, "a class cannot be stored"),
        (lambda: User, "a class cannot be stored"),
        (lambda: json, "a module cannot be stored"),
        (lambda: math.nan, "NaN and Infinity are no JSON numbers"),
        (lambda: math.inf, "NaN and Infinity"),
        (lambda: -math.inf, "NaN and Infinity"),
        (lambda: Decimal("NaN"), "NaN and Infinity"),
        (lambda: Decimal("sNaN"), "NaN and Infinity"),
        (lambda: Decimal("-Infinity"), "NaN and Infinity"),
        (lambda: "a\0b", r"contains \u0000"),
        (lambda: "ü\0b", r"contains \u0000"),
        (lambda: "\ud800", "half a surrogate pair"),
        (lambda: SafeString("\udfff"), "half a surrogate pair"),
        (lambda: 10**MAX_DIGITS, "more than 4,000 digits"),
        (lambda: -(10**MAX_DIGITS), "more than 4,000 digits"),
        (lambda: 10**5000, "more than 4,000 digits"),
        (
            lambda: (number for number in [1]),
            "a generator cannot be stored. Store list(",
        ),
        (lambda: map(str, [1]), "a map cannot be stored. Store list("),
        (lambda: range(3), "a range cannot be stored. Store list("),
        (lambda: {}.keys(), "a dict_keys cannot be stored. Store list("),
        (lambda: MappingProxyType({}), "a mappingproxy cannot be stored. Store dict("),
        (lambda: QueryDict("a=1&a=2"), "Store its .dict()"),
        (lambda: io.StringIO("text"), "an open file cannot be stored"),
        (lambda: ContentFile(b"text", "name"), "an open file cannot be stored"),
        (coroutine, "a coroutine cannot be stored. Await it"),
        (lambda: bytearray(b"1"), "Store bytes("),
        (lambda: memoryview(b"1"), "Store bytes("),
        (lambda: ValueError("x"), "an exception cannot be stored"),
        (lambda: object(), "an object cannot be stored. Store the plain values"),
        (lambda: 1j, "a complex cannot be stored"),
        (Hostile, "a Hostile cannot be stored"),
        (lambda: User.objects, "a manager cannot be stored. Store its .all()"),
        (
            lambda: User(username="new"),
            "an unsaved auth.User cannot be stored. Save it",
        ),
        (lambda: User(pk=5), "an unsaved auth.User"),
        (lambda: SimpleLazyObject(User), "an unsaved auth.User"),
        (lambda: local_class().A, "Local is defined inside a function"),
        (local_dataclass, "Local is defined inside a function"),
        (local_named_tuple, "Elsewhere is not what"),
        (of_main, "OfMain is defined in the program that was started"),
        (shadowed, "Color is not what 'tests.test_codec:Color' leads to"),
        (lambda: TextWithLanguage("a"), "also extends a built-in type"),
        (with_attributes, "the attributes that Money adds"),
        (lambda: lazy(lambda: 5, int)(), "only lazy text"),
        (
            lambda: time(12, tzinfo=ZoneInfo("Europe/Berlin")),
            "no offset without its date",
        ),
        (lambda: {3: 1}, "it has an int as a key, and keys are str. Use '3'."),
        (lambda: {None: 1}, "it has a NoneType as a key, and keys are str. Use a str."),
        (lambda: {Level.LOW: 1}, "it has a Level as a key"),
        (lambda: {HostileKey(): 1}, "it has a HostileKey as a key"),
        (lambda: {"a\0": 1}, r"its key 'a\x00' contains \u0000"),
        (lambda: {"\ud800": 1}, "half a surrogate pair"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_path_and_a_remedy(make, reason):
    with pytest.raises(NotStorable) as caught:
        codec.encode({"items": [0, {"x": (make(),)}]}, name="input")

    assert reason in caught.value.reason
    assert caught.value.path == "input['items'][1]['x'][0]"
    assert str(caught.value) == f"{caught.value.path}: {caught.value.reason}"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (function, "data"),
        ({"items": [1, 2, 3, function]}, "data['items'][3]"),
        ({"it's": {"\n": function}}, "data[\"it's\"]['\\n']"),
        ({"line": Line("a", Decimal(1), [function])}, "data['line'].tags[0]"),
        ([Pair(function)], "data[0].left"),
        ({"s": {("a", function)}}, "data['s'][*][1]"),
        ({"a": [{1: 2}]}, "data['a'][0]"),
        ({"x" * 100: function}, "data['" + "x" * 59 + "…]"),
    ],
)
def test_the_path_reads_like_python(value, path):
    with pytest.raises(NotStorable) as caught:
        codec.encode(value)

    assert caught.value.path == path


def test_an_attribute_beside_the_fields_has_a_path_too():
    invoice = Invoice(Decimal(1), Decimal(1))
    invoice.printed = function  # type: ignore[assignment]

    with pytest.raises(NotStorable) as caught:
        codec.encode([invoice])

    assert caught.value.path == "data[0].printed"


def test_keys_that_become_the_same_text_are_refused():
    class Key(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return self is other

    with pytest.raises(NotStorable, match="two of its keys are the same text"):
        codec.encode({Key("a"): 1, Key("a"): 2})


def test_a_cycle_is_told_from_deep_nesting():
    data: dict[str, Any] = {"order": {"lines": []}}
    data["order"]["lines"].append(data["order"])

    with pytest.raises(NotStorable) as caught:
        codec.encode(data)

    assert caught.value.path == "data['order']['lines'][0]"
    assert "contains itself" in caught.value.reason


@pytest.mark.parametrize(
    ("wrap", "levels"),
    [
        (lambda inner: [inner], MAX_DEPTH),
        (lambda inner: {"a": inner}, MAX_DEPTH),
        (lambda inner: {"$type": inner}, MAX_DEPTH),
        (lambda inner: (inner,), MAX_DEPTH // 2),
        (lambda inner: frozenset([inner]), MAX_DEPTH // 2),
        (lambda inner: Pair(inner), MAX_DEPTH // 2),
        (lambda inner: Line("a", Decimal(1), inner), MAX_DEPTH // 2),
    ],
)
def test_what_can_be_stored_can_be_read_however_deep(wrap, levels):
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)

    # Below a deep stack, as in a view of a large project.
    assert at_depth(300, lambda: stored(value) == value)

    with pytest.raises(NotStorable, match="nested more than 96 levels") as caught:
        codec.encode(wrap(value))
    assert caught.value.path.endswith("…")
    assert len(caught.value.path) < 80


def at_depth(frames: int, call: Callable[[], Any]) -> Any:
    return at_depth(frames - 1, call) if frames else call()


def test_no_tree_ends_in_a_recursion_error():
    tree: Any = []
    for _ in range(100_000):
        tree = [tree]

    with pytest.raises(NotStorable, match="nested"):
        codec.decode(tree)
    with pytest.raises(NotStorable, match="nested"):
        codec.encode(tree)

    room = sys.getrecursionlimit() - len(inspect.stack(0)) - 20
    with pytest.raises(NotStorable, match="nested"):
        at_depth(
            room,
            lambda: codec.encode(
                [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
            ),
        )
    while tree:
        tree = tree.pop()


# --- sizes ----------------------------------------------------------------------------


def test_text_is_compact_and_readable():
    assert codec.dumps({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'
    with pytest.raises(ValueError, match="JSON compliant"):
        codec.dumps(math.nan)


def test_size_counts_bytes_up_to_and_including_the_limit():
    tree = {"a": "ü"}

    codec.check_size(tree, 10)
    codec.check_size(codec.dumps(tree), 10)
    for too_large in (tree, codec.dumps(tree)):
        with pytest.raises(NotStorable, match=r"10 bytes .* allows 9"):
            codec.check_size(too_large, 9, "input")


def test_what_is_too_large_names_its_largest_part():
    tree = {"small": 1, "rows": ["x"] * 100, "other": "y"}

    with pytest.raises(NotStorable, match=r"input takes \d+ bytes") as caught:
        codec.check_size(tree, 50, "input")

    assert caught.value.path == "input['rows']"
    for whole in (["x" * 100], "x" * 100):
        with pytest.raises(NotStorable) as caught:
            codec.check_size(whole, 50)
        assert caught.value.path == "data"


# --- model instances ------------------------------------------------------------------


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create(username="ada")


def test_a_saved_instance_is_stored_as_a_reference(user):
    assert codec.encode(user) == {
        "$type": "model",
        "model": "auth.user",
        "pk": user.pk,
        "using": "default",
    }


def test_an_instance_is_fetched_on_first_use(user, django_assert_num_queries):
    tree = codec.encode({"user": user})
    User.objects.update(username="grace")

    with django_assert_num_queries(0):
        back = codec.decode(tree)["user"]
        assert isinstance(repr(back), str)
    with django_assert_num_queries(1):
        assert back.username == "grace"
        assert isinstance(back, User)
        assert back == user


def test_an_instance_can_be_fetched_at_once(user, django_assert_num_queries):
    tree = codec.encode([user])

    with django_assert_num_queries(1):
        [back] = codec.decode(tree, instances=codec.fetch_instance)

    assert type(back) is User
    assert back == user


def test_an_instance_that_was_not_fetched_is_stored_again_without_a_query(
    user, django_assert_num_queries
):
    tree = codec.encode({"user": user})

    with django_assert_num_queries(0):
        back = codec.decode(tree)
        assert codec.encode(back) == tree
        assert codec.encode(copy.copy(back["user"])) == tree["user"]
        assert codec.encode(copy.deepcopy(back)) == tree


def test_copies_of_a_fetched_instance_stand_alone(user):
    back = codec.decode(codec.encode(user))
    assert back.username == "ada"

    for other in (copy.copy(back), copy.deepcopy(back)):
        other.username = "grace"
        assert back.username == "ada"


def test_a_lazy_object_is_stored_as_what_it_stands_for(user):
    lazy_user = SimpleLazyObject(lambda: user)

    assert codec.encode(lazy_user) == codec.encode(user)
    assert codec.encode(codec.decode(codec.encode(user))) == codec.encode(user)
    assert stored(SimpleLazyObject(lambda: [1])) == [1]


def test_a_fetched_instance_that_was_deleted_is_unsaved(user):
    back = codec.decode(codec.encode(user))
    back.delete()

    with pytest.raises(NotStorable, match="unsaved"):
        codec.encode(back)


def test_an_instance_that_is_gone_is_named(user):
    tree = codec.encode({"who": [user]})
    pk = user.pk
    user.delete()

    with pytest.raises(
        InstanceGone, match=rf"auth.user {pk}.*no longer exists"
    ) as caught:
        codec.decode(tree, instances=codec.fetch_instance)
    assert caught.value.path == "data['who'][0]"

    lazy_user = codec.decode(tree)["who"][0]
    with pytest.raises(InstanceGone, match=f"auth.user {pk}: it no longer exists"):
        assert lazy_user.username


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (codec.Reference("auth.gone", 1, "default"), "no longer part of the project"),
        (codec.Reference("nonsense", 1, "default"), "no primary key|no longer part"),
        (codec.Reference("auth.user", 1, "gone"), "settings.DATABASES has no 'gone'"),
        (codec.Reference("auth.user", "x", "default"), "no primary key of the model"),
        (codec.Reference("auth.user", [1], "default"), "no primary key of the model"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(db, reference, reason):
    with pytest.raises(NotStorable, match=reason) as caught:
        codec.fetch_instance(reference)

    assert not isinstance(caught.value, InstanceGone)


def test_a_default_manager_that_hides_rows_does_not_hide_them_here(user, monkeypatch):
    tree = codec.encode(user)
    monkeypatch.setattr(User._meta, "default_manager", User.objects.none())

    assert codec.decode(tree).username == "ada"


def test_a_queryset_comes_back_as_a_list(user):
    group = Group.objects.create(name="finance")

    assert stored({"groups": Group.objects.all()}) == {"groups": [group]}
    assert stored(User.objects.values_list("username", flat=True)) == ["ada"]
    assert stored(User.objects.values("username")) == [{"username": "ada"}]
    with pytest.raises(NotStorable, match="Row"):
        codec.encode(User.objects.values_list("username", named=True))


def test_a_set_of_instances_comes_back_as_one(user):
    assert stored({user}) == {user}


# --- through a database ---------------------------------------------------------------


def through_json_column(value: Any) -> Any:
    """The way through a column of the type that a JSONField has on this database."""
    kind = "jsonb" if connection.vendor == "postgresql" else "text"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE trees (tree {kind})")
        cursor.execute(
            "INSERT INTO trees VALUES (%s)", [codec.dumps(codec.encode(value))]
        )
        cursor.execute("SELECT CAST(tree AS text) FROM trees")
        [text] = cursor.fetchone()
        cursor.execute("DROP TABLE trees")
    return codec.decode(json.loads(text))


def test_the_database_keeps_numbers_and_texts_exactly(db):
    value = {
        "floats": [1e16, -1e300, 1e-7, 5e-324, -0.0, 0.0, 1.0, 0.1, 123456789012345.6],
        "ints": [2**53 + 1, 2**63, -(10**MAX_DIGITS) + 1],
        "decimals": [Decimal("1.10"), Decimal("1E+500"), Decimal("-0")],
        "texts": ["\u0001\x7f", "😀", "\\u0000", "$type", '"'],
        "$type": {"$$type": None},
        "id": uuid4(),
    }

    back = through_json_column(value)

    assert back == value
    assert repr(back["floats"]) == repr(value["floats"])
    assert repr(back["decimals"]) == repr(value["decimals"])
    assert isinstance(back["id"], UUID)


# --- exceptions as text ---------------------------------------------------------------


def raised(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301
    except BaseException as caught:
        return caught


def test_an_exception_is_told_by_class_message_and_traceback():
    described = codec.describe_exception(raised(LookupError("no such order")))

    assert described["type"] == "LookupError"
    assert described["message"] == "no such order"
    assert described["traceback"].startswith("Traceback (most recent call last)")
    assert "in raised" in described["traceback"]
    assert described["traceback"].endswith("LookupError: no such order\n")


def test_causes_are_part_of_the_traceback():
    try:
        try:
            raise KeyError("inner")  # noqa: TRY301
        except KeyError as error:
            raise ValueError("outer") from error
    except ValueError as error:
        described = codec.describe_exception(error)

    assert "KeyError: 'inner'" in described["traceback"]
    assert "direct cause" in described["traceback"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\0b", "a\\x00b"),
        ("a\ud800b", "a\\ud800b"),
        ("x" * 5000, "x" * 2000),
        pytest.param(type("Text", (str,), {"encode": None})("a"), "a", id="a str"),
        (5, "(the exception has no message: its __str__ failed)"),
        (None, "(the exception has no message: its __str__ failed)"),
    ],
)
def test_any_message_is_made_storable(text, message):
    error = type("Odd", (Exception,), {"__str__": lambda _: text})()

    described = codec.describe_exception(raised(error))

    assert described["message"] == message
    assert type(described["message"]) is str
    assert codec.encode(described) == described


def test_an_exception_whose_text_fails_is_described_all_the_same():
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    described = codec.describe_exception(raised(Broken()))

    assert described["type"] == "Broken"
    assert "its __str__ failed" in described["message"]
    assert "in raised" in described["traceback"]


def test_a_traceback_that_cannot_be_written_is_left_out(monkeypatch):
    monkeypatch.setattr("traceback.format_exception", lambda *_: 1 / 0)

    described = codec.describe_exception(raised(ValueError("x")))

    assert described["message"] == "x"
    assert "could not be written" in described["traceback"]


def test_a_long_traceback_keeps_its_end():
    described = codec.describe_exception(raised(ValueError("y" * 30_000)))

    assert len(described["traceback"]) == 20_000
    assert described["traceback"].endswith("y\n")


def test_frames_of_the_engine_above_the_body_are_left_out():
    body: dict[str, Any] = {"__name__": "shop.workflows"}
    engine: dict[str, Any] = {"__name__": "django_durable.runtime", "body": body}
    exec("def inner():\n raise ValueError('x')", engine)  # noqa: S102
    body["inner"] = engine["inner"]
    exec("def charge():\n inner()", body)  # noqa: S102
    exec("def run_step():\n body['charge']()", engine)  # noqa: S102

    def frames(function: Callable[[], Any]) -> list[str]:
        try:
            function()
        except ValueError as error:
            error.__traceback__ = error.__traceback__.tb_next  # type: ignore[union-attr]
            told = codec.describe_exception(error)["traceback"]
            return [line.split()[-1] for line in told.splitlines() if " in " in line]
        return []

    assert frames(engine["run_step"]) == ["charge", "inner"]
    assert frames(engine["inner"]) == ["inner"]


def test_groups_are_described():
    group = ExceptionGroup("two", [ValueError("a"), TypeError("b")])

    assert "TypeError: b" in codec.describe_exception(raised(group))["traceback"]


def test_cancellation_is_described_too():
    assert (
        codec.describe_exception(asyncio.CancelledError())["type"] == "CancelledError"
    )


def test_dates_are_not_taken_for_moments():
    assert type(stored(date(2024, 1, 2))) is date
