"""Are there enough people to develop a prediction model: the criteria of Riley and colleagues, for planning
and for judging.

Sources: Riley et al., Statistics in Medicine 2019;38:1262-1275 (numbers), 1276-1296 (binary, survival); BMJ
2020;368:m441; Riley, Van Calster and Collins, Statistics in Medicine 2021;40:859-864 (R2 from a C-statistic).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from osler.errors import OptionError

#: Wanted shrinkage, allowed optimism in R2, allowed error of the overall risk, allowed relative error of the
#: residual spread.
SHRINKAGE, OPTIMISM, RISK_ERROR, SPREAD_ERROR = 0.9, 0.05, 0.05, 1.1


def max_r2(prevalence: float) -> float:
    """The largest Cox-Snell R2 that a binary outcome of this prevalence allows (Riley 2019, equation 23)."""
    log_null = prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence)
    return 1 - math.exp(2 * log_null)


def max_r2_survival(events_per_person: float) -> float:
    """The same for survival with this many events per person over the mean follow-up."""
    return 1 - math.exp(2 * (events_per_person * math.log(events_per_person) - events_per_person))


def for_shrinkage(parameters: int, r2: float, shrinkage: float = SHRINKAGE) -> float:
    """People needed so that the expected uniform shrinkage is at least this (Riley 2019, equation 11); not
    rounded.
    """
    if not 0 < r2 < shrinkage:
        raise OptionError(f"expected R2 must lie between 0 and the wanted shrinkage {shrinkage}, was {r2}")
    return parameters / ((shrinkage - 1) * math.log(1 - r2 / shrinkage))


def expected_shrinkage(n: int, parameters: int, r2: float) -> float:
    """The shrinkage that n people give (the inverse of `for_shrinkage`), by bisection; never below R2."""
    low, high = r2 + 1e-9, 1 - 1e-9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if for_shrinkage(parameters, r2, middle) <= n else (low, middle)
    return low


def binary(parameters: int, prevalence: float, r2: float) -> dict[str, Any]:
    """People needed for a binary outcome.

    Args:
        parameters: candidate predictor parameters (a category of k levels has k - 1, a spline its terms).
        prevalence: expected share of events.
        r2: expected Cox-Snell R2 (`r2_from_auroc`, or 15 % of `max_r2` if nothing is known).

    Returns:
        JSON values: criteria (name → n), n (the largest), events, events_per_parameter, max_r2.
    """
    _check(parameters, prevalence)
    limit = max_r2(prevalence)
    small_optimism = r2 / (r2 + OPTIMISM * limit)
    criteria = {
        "shrinkage": math.ceil(for_shrinkage(parameters, r2)),
        "optimism": math.ceil(for_shrinkage(parameters, r2, small_optimism)),
        "overall_risk": math.ceil((1.96 / RISK_ERROR) ** 2 * prevalence * (1 - prevalence)),
    }
    return _answer(criteria, parameters, prevalence, limit)


def survival(
    parameters: int, rate: float, mean_follow_up: float, horizon: float, r2: float
) -> dict[str, Any]:
    """People needed for a survival outcome.

    Args:
        parameters: candidate predictor parameters.
        rate: events per person and unit of time.
        mean_follow_up: mean time under observation.
        horizon: the time at which risk is predicted.
        r2: expected Cox-Snell R2.

    Returns:
        As `binary`; `overall_risk` is the n for which the 95 % interval of the overall risk at the horizon
        (constant hazard) is within 0.05.
    """
    _check_parameters(parameters)
    if not (rate > 0 and mean_follow_up > 0 and horizon > 0):
        raise OptionError("rate, mean follow-up and horizon must be above 0")
    limit = max_r2_survival(rate * mean_follow_up)
    small_optimism = r2 / (r2 + OPTIMISM * limit)
    need = -math.log(max(math.exp(-rate * horizon) - RISK_ERROR, 1e-12)) / horizon - rate
    criteria = {
        "shrinkage": math.ceil(for_shrinkage(parameters, r2)),
        "optimism": math.ceil(for_shrinkage(parameters, r2, small_optimism)),
        "overall_risk": math.ceil(rate * (1.96 / need) ** 2 / mean_follow_up),
    }
    return _answer(criteria, parameters, rate * mean_follow_up, limit)


def number(parameters: int, r2: float, mean: float | None = None, sd: float | None = None) -> dict[str, Any]:
    """People needed for a number: shrinkage, optimism in R2, residual spread within 10 %, mean within 10 %
    (if mean and sd are given).
    """
    _check_parameters(parameters)
    if not 0 < r2 < 1:
        raise OptionError(f"expected R2 must lie between 0 and 1, was {r2}")
    shrunk = next(
        n for n in range(parameters + 2, 100_000_000) if _shrinkage_number(n, parameters, r2) >= SHRINKAGE
    )
    criteria = {
        "shrinkage": shrunk,
        "optimism": math.ceil(1 + parameters * (1 - r2) / OPTIMISM - 1e-9),
        "residual_spread": _for_spread(parameters),
    }
    if mean is not None and sd is not None and mean != 0:
        criteria["mean"] = max(
            parameters + 2, math.ceil((1.96 * sd * math.sqrt(1 - r2) / (0.1 * abs(mean))) ** 2)
        )
    n = max(criteria.values())
    return {"criteria": criteria, "n": n, "people_per_parameter": n / parameters, "parameters": parameters}


def _shrinkage_number(n: int, parameters: int, r2: float) -> float:
    """Expected shrinkage of a linear model (Riley 2019 part I, equation 8, from Copas and Harrell)."""
    apparent = (r2 * (n - parameters - 1) + parameters) / (n - 1)
    return 1 + (parameters - 2) / (n * math.log(1 - apparent)) if apparent < 1 else -math.inf


def _for_spread(parameters: int) -> int:
    """People needed so that the residual standard deviation is known within 10 % (Riley 2019 part I,
    criterion iii).
    """
    from scipy.stats import chi2

    def error(n: int) -> float:
        df = n - parameters - 1
        return math.sqrt(max(df / chi2.ppf(0.025, df), chi2.ppf(0.975, df) / df))

    n = parameters + 3
    while error(n) > SPREAD_ERROR:
        n += 1
    return n


def _check_parameters(parameters: int) -> None:
    if parameters < 1:
        raise OptionError(f"number of parameters must be at least 1, was {parameters}")


def _check(parameters: int, prevalence: float) -> None:
    _check_parameters(parameters)
    if not 0 < prevalence < 1:
        raise OptionError(f"prevalence must lie between 0 and 1, was {prevalence}")


def _answer(criteria: dict[str, int], parameters: int, per_person: float, limit: float) -> dict[str, Any]:
    n = max(criteria.values())
    return {
        "criteria": criteria, "n": n, "events": n * per_person,
        "events_per_parameter": n * per_person / parameters, "max_r2": limit, "parameters": parameters,
    }  # fmt: skip


def r2_from_auroc(auroc: float, prevalence: float) -> float:
    """The Cox-Snell R2 that goes with an AUROC when the linear predictor is normal with equal spread in both
    classes.

    Source: Riley, Van Calster and Collins 2021. They simulate; here the integral is worked out by Gauss-
    Hermite quadrature.
    """
    from scipy.special import ndtri

    _check(1, prevalence)
    if not 0.5 <= auroc < 1:
        raise OptionError(f"AUROC must be at least 0.5 and below 1, was {auroc}")
    distance = math.sqrt(2) * float(ndtri(auroc))
    nodes, mass = np.polynomial.hermite_e.hermegauss(80)
    mass = mass / mass.sum()
    base = math.log(prevalence / (1 - prevalence))
    gain = 0.0
    for share, centre, sign in ((prevalence, distance, 1), (1 - prevalence, 0.0, -1)):
        linear = base + distance * (nodes + centre) - distance**2 / 2
        gain += share * float(mass @ -np.logaddexp(0, -sign * linear))
    null = prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence)
    return 1 - math.exp(-2 * (gain - null))


def judge(n: int, needed: dict[str, Any]) -> str:
    """One sentence: whether n people are enough for what was worked out."""
    worst = max(needed["criteria"], key=lambda k: needed["criteria"][k])
    if n >= needed["n"]:
        return (
            f"{n} people are enough for {needed['parameters']} candidate parameters (needed: "
            f"{needed['n']}, set by {worst.replace('_', ' ')})."
        )
    return (
        f"{n} people are too few for {needed['parameters']} candidate parameters: {needed['n']} are needed "
        f"(set by {worst.replace('_', ' ')}); "
        "use fewer candidates, more people or a penalised model, and read the calibration slope."
    )
