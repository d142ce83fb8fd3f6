"""Which uncertainty and which prediction sets a request asks for."""

from typing import TypeVar, get_args

from rcmvae.calibration import Coverage
from rcmvae.errors import InvalidInput
from rcmvae.sampled import SampledChannel, Sampling
from service.json_body import kind_of
from service.problem import quoted

_Name = TypeVar("_Name", bound=str)

MOST_DRAWS = 64
_SEED_BITS = 63
MOST_SEED = 2**_SEED_BITS - 1
_DRAWS = f"a whole number from 2 to {MOST_DRAWS}"
_SEED = f"a whole number from 0 to 2^{_SEED_BITS} - 1"
SAMPLED_CHANNELS: tuple[SampledChannel, ...] = get_args(SampledChannel)
COVERAGES: tuple[Coverage, ...] = get_args(Coverage)


def parse_sampling(
    samples: object, seed: object, channel: object, *, rows: int, max_rows: int
) -> Sampling | None:
    """The members ``samples``, ``seed`` and ``sample_channel``; None where no samples are asked.

    Args:
        samples: a number or None.
        seed: likewise.
        channel: a name or None.
        rows: inputs of the request.
        max_rows: most inputs times samples.

    Raises:
        InvalidInput: one does not fit, or goes with no samples.
    """
    if samples is None:
        for name, value in (("seed", seed), ("sample_channel", channel)):
            if value is not None:
                raise InvalidInput(name, "nothing, as no samples are asked for", _shown(value))
        return None
    draws = _whole("samples", samples, 2, MOST_DRAWS, _DRAWS)
    if rows * draws > max_rows:
        expected = f"at most {max_rows} inputs times samples"
        raise InvalidInput("samples", expected, f"{rows} times {draws}")
    return Sampling(
        draws,
        parse_seed(seed),
        "best" if channel is None else _one_of("sample_channel", channel, SAMPLED_CHANNELS),
    )


def parse_seed(seed: object) -> int:
    """The member ``seed``; 0 where there is none.

    Raises:
        InvalidInput: it is no seed.
    """
    return 0 if seed is None else _whole("seed", seed, 0, MOST_SEED, _SEED)


def parse_coverage(coverage: object) -> Coverage | None:
    """The member ``coverage``; None for the bundle's own.

    Raises:
        InvalidInput: it is no coverage.
    """
    return None if coverage is None else _one_of("coverage", coverage, COVERAGES)


def _whole(field: str, value: object, low: int, high: int, expected: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(field, expected, _shown(value))
    return value


def digits(text: str | None) -> int | str | None:
    """A query parameter as the number that it spells; as it is where it spells none."""
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) < _SEED_BITS
    return int(text) if text is not None and is_number else text


def _one_of(field: str, value: object, names: tuple[_Name, ...]) -> _Name:
    for name in names:
        if name == value:
            return name
    raise InvalidInput(field, f"one of {', '.join(names)}", _shown(value))


def _shown(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number else kind_of(value)
