"""Descriptors have one owner, who closes them once."""

import os
from collections.abc import Iterator

import pytest

from aerostat.errors import UsageError
from aerostat.vhost_user.descriptors import OwnedDescriptor


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@pytest.fixture
def number() -> Iterator[int]:
    number = os.memfd_create("test")
    yield number
    if is_open(number):
        os.close(number)


def test_closing_closes_once(number: int) -> None:
    descriptor = OwnedDescriptor(number)
    assert descriptor.fileno() == number
    descriptor.close()
    assert not is_open(number)
    replacement = os.memfd_create("somebody else's")
    assert replacement == number
    descriptor.close()
    assert is_open(replacement)


def test_a_released_descriptor_is_the_callers(number: int) -> None:
    descriptor = OwnedDescriptor(number)
    assert descriptor.release() == number
    descriptor.close()
    assert is_open(number)
    with pytest.raises(UsageError):
        descriptor.fileno()


def test_a_dropped_descriptor_is_closed_and_told_of(number: int) -> None:
    with pytest.warns(ResourceWarning, match="never closed"):
        OwnedDescriptor(number)
    assert not is_open(number)


def test_a_descriptor_is_not_negative() -> None:
    with pytest.raises(UsageError):
        OwnedDescriptor(-1)


def test_an_error_of_close_is_nobodys_concern(number: int) -> None:
    descriptor = OwnedDescriptor(number)
    os.close(number)  # so that closing it again reports EBADF
    descriptor.close()
    assert "closed" in repr(descriptor)
