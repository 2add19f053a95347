"""What a plan may reach, against every index that it reaches, one by one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.weights.tensor_plan import StoragePlan, TensorPlan, fault, take

FLOAT = np.dtype(np.float32)
SMALL = st.integers(-2, 9)


def reached(plan):
    """The places in the storage of all elements, in order; by no formula but that of one element."""
    return [
        plan.offset + sum(step * place for step, place in zip(plan.strides, index, strict=True))
        for index in itertools.product(*(range(size) for size in plan.shape))
    ]


@given(
    count=st.integers(0, 30),
    offset=SMALL,
    axes=st.lists(st.tuples(st.integers(-1, 4), SMALL), max_size=4),
)
def test_a_plan_without_fault_reaches_nothing_but_its_storage(count, offset, axes):
    plan = TensorPlan(StoragePlan("0", FLOAT, count), offset, *(tuple(part) for part in _turned(axes)))
    numbers = np.arange(count, dtype=FLOAT)
    places = reached(plan)
    if fault(plan) is None:
        assert all(0 <= place < count for place in places)
        np.testing.assert_array_equal(take(plan, numbers.tobytes()).reshape(-1), places)
        return
    negative = any(number < 0 for number in (offset, *plan.shape, *plan.strides))
    beyond = any(not 0 <= place < count for place in places)
    assert negative or beyond  # so nothing sound is refused
    with pytest.raises(ValueError):
        take(plan, numbers.tobytes())


def _turned(axes):
    return zip(*axes, strict=True) if axes else ((), ())


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.text(max_size=3),
    st.integers(-(2**70), 2**70),
    st.tuples(st.integers(0, 3)),
    st.lists(st.integers(0, 3), max_size=2),
    st.just(StoragePlan("0", FLOAT, 8)),
)


@given(storage=ODD, offset=ODD, shape=st.tuples(ODD, ODD) | ODD, strides=st.tuples(ODD, ODD) | ODD)
def test_anything_else_in_a_plan_is_a_fault(storage, offset, shape, strides):
    plan = TensorPlan(storage, offset, shape, strides)
    if fault(plan) is not None:
        with pytest.raises((ValueError, AttributeError)):
            take(plan, bytes(32))
        return
    assert type(plan.storage) is StoragePlan
    assert all(type(number) is int for number in (offset, *shape, *strides))
    assert all(0 <= place < 8 for place in reached(plan)) or 0 in shape


def test_plans_cannot_be_changed():
    plan = TensorPlan(StoragePlan("0", FLOAT, 2), 0, (2,), (1,))
    for changed, field in ((plan, "offset"), (plan, "fault"), (plan.storage, "count")):
        with pytest.raises((AttributeError, TypeError)):
            setattr(changed, field, 9)
        assert not hasattr(changed, "__dict__")


def test_nothing_outside_is_reached_even_if_a_plan_were_not_checked(monkeypatch):
    """NumPy's own constructor with strides takes the last but one and ends the process."""
    monkeypatch.setattr("fakedetect_jax.weights.tensor_plan.fault", lambda _: None)
    for offset, shape, strides in (
        (1, (2,), (1,)),
        (0, (4,), (-1,)),
        (-3, (1,), (1,)),
        (0, (2,), (2**61 - 1,)),
        (10**9, (1,), (0,)),
    ):
        with pytest.raises((ValueError, IndexError)):
            take(TensorPlan(StoragePlan("0", FLOAT, 2), offset, shape, strides), bytes(8))


def test_a_storage_cut_short_is_refused():
    with pytest.raises(ValueError, match="the data has 1 numbers, the storage 2"):
        take(TensorPlan(StoragePlan("0", FLOAT, 2), 0, (2,), (1,)), bytes(4))
