"""Options of networks: every kind refuses the same things in the same words."""

from __future__ import annotations

import pytest

from osler.errors import OptionError
from osler.models.neural.options import Training
from osler.models.neural.segmentation.options import UNetOptions


@pytest.mark.parametrize(
    ("made", "given", "says"),
    [
        (Training, {"schedule": "cosin"}, "option 'schedule' of a network must be one of constant, cosine, geometric, one_cycle, was 'cosin'"),
        (UNetOptions, {"schedule": "cosin"}, "option 'schedule' of a drawing network must be one of one_cycle, cosine, poly, was 'cosin'"),
        (Training, {"epochs": 0}, "option 'epochs' of a network must be at least 1, was 0"),
        (UNetOptions, {"members": 0}, "option 'members' of a drawing network must be at least 1, was 0"),
        (Training, {"weight_decay": -1.0}, "option 'weight_decay' of a network must not be negative, was -1.0"),
        (UNetOptions, {"steps": -3}, "option 'steps' of a drawing network must not be negative, was -3"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_network(made: type, given: dict, says: str):
    with pytest.raises(OptionError) as refused:
        made(**given)
    assert says in refused.value.message
    assert "schedule" not in given or "did you mean 'cosine'" in refused.value.message


def test_the_least_values_are_allowed():
    assert Training(width=1, epochs=1, batch_size=0, huber=0.0).members_for(10) == 8
    assert UNetOptions(width=0, steps=0, members=1).numbers("patch") == ()
