"""The asking end: negotiation, pairing by id, and servers that lie."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.errors import PeerError, UsageError
from aerostat.qmp.client import MAX_EVENTS, ClientSession, Event, Failure, Ready, Reply
from aerostat.qmp.framing import encode
from aerostat.qmp.server import ServerSession

GREETING = encode(
    {
        "QMP": {
            "version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"},
            "capabilities": ["oob"],
        }
    }
)


def sent(session: ClientSession) -> list[dict[str, Any]]:
    return [json.loads(line) for line in session.data_to_send().splitlines()]


@pytest.fixture
def session() -> ClientSession:
    """A session that is negotiated."""
    session = ClientSession(limit=10_000)
    assert session.receive(GREETING) == []
    assert sent(session) == [{"execute": "qmp_capabilities", "id": 0}]
    assert session.receive(encode({"return": {}, "id": 0})) == [Ready((7, 2, 22), "Debian")]
    return session


def test_nothing_is_asked_before_negotiation() -> None:
    session = ClientSession()
    with pytest.raises(UsageError, match="negotiation"):
        session.command("query-balloon")
    session.receive(GREETING)
    with pytest.raises(UsageError, match="negotiation"):
        session.command("query-balloon")


def test_replies_are_paired_by_id_in_any_order(session: ClientSession) -> None:
    first = session.command("balloon", {"value": 5})
    second = session.command("query-balloon")
    assert sent(session) == [
        {"execute": "balloon", "id": first, "arguments": {"value": 5}},
        {"execute": "query-balloon", "id": second},
    ]
    event = {"event": "BALLOON_CHANGE", "data": {"actual": 1}, "timestamp": {"seconds": 1}}
    error = {"error": {"class": "GenericError", "desc": "no"}, "id": first}
    answers = encode({"return": 7, "id": second}) + encode(event) + encode(error)
    assert session.receive(answers) == [
        Reply(second, 7),
        Event("BALLOON_CHANGE", {"actual": 1}),
        Failure(first, "GenericError", "no"),
    ]


LIES: list[dict[str, Any]] = [
    {"return": {}},
    {"return": {}, "id": 99},
    {"return": {}, "id": -1},
    {"return": {}, "id": True},
    {"return": {}, "id": "1"},
    {"return": {}, "id": [1]},
    {"return": {}, "id": 0},  # answered already
    {"id": 1},
    {"error": "no", "id": 1},
    {"error": {"class": 1, "desc": "no"}, "id": 1},
    {"error": {"class": "GenericError", "desc": "JSON parse error"}},
    {"event": 5},
    {"event": "STOP", "data": 5},
    {},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_lying_server_is_left(session: ClientSession, lie: dict[str, Any]) -> None:
    assert session.command("query-balloon") == 1
    with pytest.raises(PeerError):
        session.receive(encode(lie))


@pytest.mark.parametrize(
    "greeting",
    [
        b"220 mail.example.org ESMTP\r\n",
        b'{"return": {}}\n',
        b'{"QMP": {"version": {"qemu": {"major": "7"}}}}\n',
        b"[]\n",
    ],
)
def test_a_server_that_is_not_qmp_is_left(greeting: bytes) -> None:
    with pytest.raises(PeerError):
        ClientSession().receive(greeting)


def test_a_refused_negotiation_is_the_end() -> None:
    session = ClientSession()
    session.receive(GREETING)
    with pytest.raises(PeerError, match="refuses to negotiate: no"):
        session.receive(encode({"error": {"class": "GenericError", "desc": "no"}, "id": 0}))


def test_a_reply_without_end_is_refused(session: ClientSession) -> None:
    with pytest.raises(PeerError, match="more than 10000 bytes"):
        session.receive(b'{"return": "' + b"x" * 10_000)


def test_many_small_messages_are_bounded_too(session: ClientSession) -> None:
    event = encode({"event": "TICK", "data": {"padding": "x" * 1900}})
    for _ in range(5):
        session.receive(event)
    with pytest.raises(PeerError, match="more than 10000 bytes"):
        session.receive(event)


def test_a_flood_of_events_is_refused_until_something_is_asked() -> None:
    session = ClientSession()
    session.receive(GREETING)
    session.receive(encode({"return": {}, "id": 0}))
    event = encode({"event": "TICK"})
    for _ in range(3):
        session.command("query-balloon")
        assert len(session.receive(event * MAX_EVENTS)) == MAX_EVENTS
    with pytest.raises(PeerError, match="more than 1000 events"):
        session.receive(event)


def test_long_words_are_cut(session: ClientSession) -> None:
    command_id = session.command("query-balloon")
    error = {"error": {"class": "GenericError", "desc": "x" * 5000}, "id": command_id}
    (failure,) = session.receive(encode(error))
    assert isinstance(failure, Failure)
    assert len(failure.description) == 500


@given(
    st.lists(
        st.binary(max_size=30)
        | st.sampled_from(LIES).map(encode)
        | st.sampled_from([GREETING, encode({"return": {}, "id": 0}), b"{", b"}", b'"', b"\n"]),
        max_size=8,
    )
)
def test_arbitrary_bytes_raise_peer_errors_only(pieces: list[bytes]) -> None:
    session = ClientSession(limit=1000)
    try:
        for piece in pieces:
            session.receive(piece)
    except PeerError:
        pass
    assert all("execute" in message for message in sent(session))


@given(st.lists(st.sampled_from(["balloon", "query-balloon", "nope"]), max_size=6), st.data())
def test_the_two_ends_understand_each_other(names: list[str], data: st.DataObject) -> None:
    """Whatever the server's order of answers, each command gets its own."""
    client = ClientSession()
    server = ServerSession(["balloon", "query-balloon"], version=(0, 1, 0), package="aerostat")
    client.receive(server.data_to_send())
    assert server.receive(client.data_to_send()) == []
    assert client.receive(server.data_to_send()) == [Ready((0, 1, 0), "aerostat")]
    asked = {client.command(name): name for name in names}
    commands = server.receive(client.data_to_send())
    for command in data.draw(st.permutations(commands)):
        server.event("TICK", None, 1, 2)
        server.reply(command.id, command.name)
    answers = client.receive(server.data_to_send())
    known = {command_id: name for command_id, name in asked.items() if name != "nope"}
    assert {a.id: a.value for a in answers if isinstance(a, Reply)} == known
    assert sum(isinstance(answer, Failure) for answer in answers) == len(asked) - len(known)
    assert answers.count(Event("TICK", {})) == len(known)
