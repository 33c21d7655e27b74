"""Guessing the token: the time of a refusal says nothing about how near the guess was, and few guesses are heard."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("fastapi")

from osler.service.tokens import MOST_FAILURES, WINDOW_SECONDS, Doorkeeper, digest, new_token

#: |t| beyond which a difference in time counts as a leak (Reparaz, Balasch & Verbauwhede 2017, "Dude, is my code
#: constant time?").
LEAK = 4.5

#: Measurements that may be repeated: another process on the machine disturbs one, a leak shows in all.
TRIES = 6


def times_apart(answer: Callable[[str], bool], near: str, far: str, n: int, rng: np.random.Generator) -> float:
    """Welch's t of n calls with each guess in random order, without the slowest tenth (interrupts).

    Every call is given a text of its own: one object per guess would let where the two happen to lie in memory, which makes a steady
    difference, pass for a leak.
    """
    which = rng.permutation(np.repeat([0, 1], n))
    spent = np.empty(2 * n)
    for i, guess in enumerate(["".join(tuple((near, far)[k])) for k in which]):
        start = time.perf_counter_ns()
        answer(guess)
        spent[i] = time.perf_counter_ns() - start
    kept = spent <= np.quantile(spent, 0.9)
    return float(stats.ttest_ind(spent[kept & (which == 0)], spent[kept & (which == 1)], equal_var=False).statistic)


def smallest(answer: Callable[[str], bool], near: str, far: str) -> float:
    """The smallest |t| of up to `TRIES` measurements of 4,000 calls each; ends at the first one without a leak."""
    least, rng = np.inf, np.random.default_rng(17)
    gc.disable()
    try:
        for _ in range(TRIES):
            least = min(least, abs(times_apart(answer, near, far, 2000, rng)))
            if least < LEAK:
                break
    finally:
        gc.enable()
    return least


def changed(token: str, at: int) -> str:
    other = "A" if token[at] != "A" else "B"
    return token[:at] + other + token[at + 1 :]


def test_a_near_guess_takes_no_longer_than_a_far_one():
    token = new_token()
    door = Doorkeeper(digest(token))
    assert not door.accepts(changed(token, len(token) - 1), "a")
    assert smallest(lambda guess: door.accepts(guess, "a"), changed(token, len(token) - 1), changed(token, 0)) < LEAK


def test_form_keys_are_compared_as_blindly():
    door = Doorkeeper(digest(new_token()))
    session = door.open_session()
    right = door.form_key(session)
    near, far = changed(right, len(right) - 1), changed(right, 0)
    assert smallest(lambda guess: door.is_form_key(session, guess), near, far) < LEAK


def test_the_measurement_sees_a_comparison_that_leaks():
    """A comparison that stops at the first wrong character is found in every try, so silence above means something."""
    token = new_token()

    def naive(guess: str) -> bool:
        return all(mine == given for mine, given in zip(token, guess, strict=True))

    assert smallest(naive, changed(token, len(token) - 1), changed(token, 0)) > LEAK


@pytest.mark.parametrize("seconds", [0.0, 59.0, 3600.0])
def test_of_a_hundred_thousand_guesses_ten_a_minute_are_heard(seconds: float):
    """At once, within a minute, or over an hour from one address; the holder at another address is heard throughout."""
    guesses, now, heard = 100_000, [0.0], 0
    token = new_token()
    door = Doorkeeper(digest(token), lambda: now[0])
    for i in range(guesses):
        now[0] = seconds * i / guesses
        if not door.throttled("stranger"):
            heard += 1
            assert not door.accepts(f"guess {i}", "stranger")
    assert heard == MOST_FAILURES * max(1, round(seconds / WINDOW_SECONDS))
    assert not door.throttled("holder")
    assert door.accepts(token, "holder")
    assert len(door._failures) == 1
