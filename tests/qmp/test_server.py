"""The answering end: negotiation, errors in QEMU's words, and hostile clients."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.qmp.framing import encode
from aerostat.qmp.server import (
    MAX_COMMAND_BYTES,
    MAX_UNSENT,
    NO_ID,
    Command,
    CommandError,
    ServerSession,
    check_arguments,
)


def new_session() -> ServerSession:
    return ServerSession(["balloon", "query-balloon"], version=(0, 1, 0), package="aerostat")


def sent(session: ServerSession) -> list[dict[str, Any]]:
    return [json.loads(line) for line in session.data_to_send().splitlines()]


@pytest.fixture
def session() -> ServerSession:
    """A session that is greeted and negotiated."""
    session = new_session()
    assert session.receive(b'{"execute": "qmp_capabilities"}') == []
    session.data_to_send()
    return session


def test_it_greets_before_anything_is_asked() -> None:
    assert sent(new_session()) == [
        {
            "QMP": {
                "version": {"qemu": {"major": 0, "minor": 1, "micro": 0}, "package": "aerostat"},
                "capabilities": [],
            }
        }
    ]


# What QEMU 7.2 was seen to answer, word for word.
BEFORE = [
    (
        {"execute": "query-balloon", "id": 3},
        ("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'"),
    ),
    ({"foo": 1}, ("GenericError", "QMP input member 'foo' is unexpected")),
    (
        {"execute": "qmp_capabilities", "arguments": {"x": 1}},
        ("GenericError", "Parameter 'x' is unexpected"),
    ),
]
AFTER = [
    (
        {"execute": "qmp_capabilities"},
        (
            "CommandNotFound",
            "Capabilities negotiation is already complete, command ignored",
        ),
    ),
    ({"execute": "nope"}, ("CommandNotFound", "The command nope has not been found")),
    ({"execute": 3}, ("GenericError", "QMP input member 'execute' must be a string")),
    ({}, ("GenericError", "QMP input lacks member 'execute'")),
    (
        {"execute": "query-balloon", "zz": 7},
        ("GenericError", "QMP input member 'zz' is unexpected"),
    ),
    (
        {"execute": "query-balloon", "arguments": 7},
        ("GenericError", "QMP input member 'arguments' must be an object"),
    ),
]


def error_of(session: ServerSession, message: dict[str, Any]) -> tuple[str, str]:
    assert session.receive(encode(message)) == []
    (answer,) = sent(session)
    assert answer.get("id", NO_ID) == message.get("id", NO_ID)
    return answer["error"]["class"], answer["error"]["desc"]


@pytest.mark.parametrize(("message", "error"), BEFORE)
def test_errors_before_negotiation(message: dict[str, Any], error: tuple[str, str]) -> None:
    session = new_session()
    session.data_to_send()
    assert error_of(session, message) == error


@pytest.mark.parametrize(("message", "error"), AFTER)
@pytest.mark.parametrize("command_id", [{}, {"id": 7}, {"id": None}, {"id": {"a": ["b"]}}])
def test_errors_after_negotiation(
    session: ServerSession,
    message: dict[str, Any],
    error: tuple[str, str],
    command_id: dict[str, Any],
) -> None:
    assert error_of(session, message | command_id) == error


def test_capabilities_that_are_not_offered_are_refused() -> None:
    session = new_session()
    session.data_to_send()
    wanted = {"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}
    assert error_of(session, wanted) == ("GenericError", "Capability oob not available")
    assert session.receive(encode({"execute": "qmp_capabilities", "id": 1})) == []
    assert sent(session) == [{"return": {}, "id": 1}]


def test_commands_are_answered_later_and_out_of_order(session: ServerSession) -> None:
    first, second = session.receive(
        b'{"execute": "balloon", "arguments": {"value": 5}, "id": "a"}{"execute": "query-balloon"}'
    )
    assert first == Command("balloon", {"value": 5}, "a")
    assert second == Command("query-balloon", {}, NO_ID)
    session.reply(second.id, {"actual": 5})
    session.fail(first.id, "GenericError", "no")
    assert sent(session) == [
        {"return": {"actual": 5}},
        {"error": {"class": "GenericError", "desc": "no"}, "id": "a"},
    ]


def test_what_concerns_the_protocol_is_answered_by_the_session(session: ServerSession) -> None:
    assert session.receive(b'{"execute": "query-commands"}{"execute": "query-version"}') == []
    commands, version = sent(session)
    assert {"name": "balloon"} in commands["return"]
    assert {"name": "query-commands"} in commands["return"]
    assert version["return"]["package"] == "aerostat"


def test_events_wait_for_negotiation(session: ServerSession) -> None:
    early = new_session()
    early.data_to_send()
    early.event("BALLOON_CHANGE", {"actual": 1}, 10, 20)
    assert sent(early) == []
    session.event("BALLOON_CHANGE", {"actual": 1}, 10, 20)
    session.event("STOP", None, 10, 20)
    stamp = {"seconds": 10, "microseconds": 20}
    assert sent(session) == [
        {"timestamp": stamp, "event": "BALLOON_CHANGE", "data": {"actual": 1}},
        {"timestamp": stamp, "event": "STOP"},
    ]


def test_a_command_without_end_closes_the_session(session: ServerSession) -> None:
    assert session.receive(b'{"execute": "' + b"x" * MAX_COMMAND_BYTES) == []
    assert session.closed
    assert "exceeds" in sent(session)[0]["error"]["desc"]
    assert session.receive(b'{"execute": "balloon"}') == []
    session.reply(1, {})
    assert session.data_to_send() == b""


def test_a_client_that_never_reads_is_given_up(session: ServerSession) -> None:
    for _ in range(10_000):
        session.event("BALLOON_CHANGE", {"actual": 1}, 10, 20)
    session.receive(b'{"execute": "query-version"}')  # answered still
    for _ in range(MAX_UNSENT // 50):
        session.receive(b"}")
    assert session.closed
    unsent = session.data_to_send()
    assert b'"package"' in unsent
    assert len(unsent) < MAX_UNSENT + 1000


@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from(
            [
                b'{"execute":"',
                b'balloon","arguments":',
                b'query-balloon"',
                b',"id":1e999',
                b"}",
                b"{",
                b"\n",
                b'{"execute":"balloon"}\n',
                b'{"execute":"qmp_capabilities"}\n',
                b'"\\ud800"',
            ]
        ),
        max_size=12,
    )
)
def test_arbitrary_bytes_are_answered_and_never_raise(pieces: list[bytes]) -> None:
    session = new_session()
    for piece in pieces:
        for command in session.receive(piece):
            session.reply(command.id, {})
    for answer in sent(session)[1:]:
        assert answer.keys() <= {"return", "error", "id"}


def test_arguments_are_checked_in_qemus_words() -> None:
    value = {"value": int}
    assert check_arguments({"value": 3}, value) == {"value": 3}
    assert check_arguments({"timeout": 3}, optional={"timeout": float}) == {"timeout": 3}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "Parameter 'value' is missing"),
        ({"value": 1, "x": 1}, "Parameter 'x' is unexpected"),
        ({"value": "x"}, "Invalid parameter type for 'value', expected: integer"),
        ({"value": True}, "Invalid parameter type for 'value', expected: integer"),
    ]
    for arguments, description in wrong:
        with pytest.raises(CommandError) as caught:
            check_arguments(arguments, value)
        assert caught.value.description == description
        assert caught.value.error_class == "GenericError"
