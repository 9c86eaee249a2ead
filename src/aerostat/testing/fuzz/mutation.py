"""Making cases without anybody's guidance: seeded, and the same for the same seed. Pure."""

from collections.abc import Iterable, Iterator
from random import Random

from aerostat.testing.fuzz.target import Target

# So many cases at least are remembered, to be mutated.
_POOL = 64
_NUMBERS = (b"0", b"-1", b"1e999", b"18446744073709551616", b"9007199254740993", b"0.1", b"NaN")


def cases(target: Target, seed: int, known: Iterable[bytes] = ()) -> Iterator[bytes]:
    """Yield cases for ever: the target's seeds, those `known`, then mutations and fresh ones."""
    # A generator of numbers for fuzzing, not for secrets.
    random = Random(f"{target.name} {seed}")  # noqa: S311
    pool = [*target.seeds(), *known]
    yield from pool
    fresh = 0.05 if target.text and pool else 0.5
    while True:
        if not pool or random.random() < fresh:
            # As many short ones as long ones, by order of magnitude.
            size = min(int(2 ** random.uniform(0, target.longest.bit_length())), target.longest)
            case = random.randbytes(size)
        else:
            case = mutate(random, random.choice(pool), pool, target)
        if random.random() < 0.05:
            if len(pool) < _POOL:
                pool.append(case)
            else:
                pool[random.randrange(len(pool))] = case
        yield case


def mutate(random: Random, case: bytes, pool: list[bytes], target: Target) -> bytes:
    """Return `case` with a few things changed."""
    data = bytearray(case)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        _change(random, data, pool, target.words)
    return bytes(data[: target.longest])


def _change(random: Random, data: bytearray, pool: list[bytes], words: tuple[bytes, ...]) -> None:
    at = random.randrange(len(data) + 1)
    end = min(at + int(2 ** random.uniform(0, 6)), len(data))
    match random.randrange(8):
        case 0:
            data[at:end] = b""
        case 1:
            data[at:at] = data[at:end]
        case 2:
            data[at:end] = random.randbytes(end - at)
        case 3:
            data[at:at] = random.randbytes(1 + random.randrange(8))
        case 4:
            other = random.choice(pool)
            start = random.randrange(len(other) + 1)
            data[at:end] = other[start : start + int(2 ** random.uniform(0, 8))]
        case 5 if words:
            data[at : random.choice((at, end))] = random.choice(words)
        case 6 if words:
            data[at:end] = random.choice(_NUMBERS)
        case _ if data:
            place = random.randrange(len(data))
            data[place] ^= 1 << random.randrange(8)
