"""The contract every layer keeps: one list of cases, one suite."""

import numpy as np
import pytest

from tinygan import check_gradients, frozen
from tinygan.cases import LAYERS, LOSSES
from tinygan.layers import Flatten, Reshape
from tinygan.machine.parallel import get_num_threads, set_num_threads
from tinygan.summary import held_bytes

every_layer = pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.id)
every_loss = pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.id)


def upstream(y, seed=3):
    return np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)


def make(case, dtype=np.float64):
    return case.make().to(dtype=dtype)


def call(layer, x, seed=3, **options):
    """One call and its backward pass; returns y, dx and the parameters' gradients."""
    layer.zero_grad()
    y, backward = layer(x)
    dx = backward(upstream(y, seed), **options)
    return y, dx, {name: p.grad.copy() for name, p in layer.named_parameters().items()}


@every_layer
def test_gradients(case):
    check_gradients(case.make(), case.x())


@every_loss
def test_loss_gradients(case):
    check_gradients(case.loss, case.x())


@every_layer
def test_each_call_owns_its_backward(case):
    inputs = [case.x(seed=seed) for seed in range(3)]
    alone, layer = [], make(case)
    state = layer.state_dict()
    for i, x in enumerate(inputs):
        alone.append(call(layer, x, seed=i))
    layer.load_state_dict(state)
    layer.zero_grad()
    calls = [layer(x) for x in inputs]
    for i in (1, 2, 0):
        y, backward = calls[i]
        np.testing.assert_array_equal(y, alone[i][0])
        np.testing.assert_allclose(backward(upstream(y, i)), alone[i][1], rtol=0, atol=1e-12)
    for name, parameter in layer.named_parameters().items():
        together = sum(gradients[name] for _, _, gradients in alone)
        np.testing.assert_allclose(parameter.grad, together, rtol=1e-10, atol=1e-10)


@every_layer
def test_inputs_are_only_read(case):
    layer, x = make(case), case.x()
    before = x.copy()
    x.flags.writeable = False
    y, backward = layer(x)
    dy = upstream(y)
    dy_before = dy.copy()
    dy.flags.writeable = False
    backward(dy)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(dy, dy_before)


@every_layer
def test_memory_layout_does_not_matter(case):
    layer, x = make(case), case.x()
    state = layer.state_dict()
    y, dx, gradients = call(layer, x)
    layer.load_state_dict(state)
    layer.zero_grad()
    strided = np.zeros((*x.shape, 2))[..., 0]
    strided[...] = x
    y2, backward = layer(strided)
    dy = np.asfortranarray(upstream(y2))
    np.testing.assert_allclose(y2, y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(backward(dy), dx, rtol=0, atol=1e-12)
    for name, parameter in layer.named_parameters().items():
        np.testing.assert_allclose(parameter.grad, gradients[name], rtol=1e-10, atol=1e-10)


@every_layer
def test_float32_stays_float32_and_is_close_to_float64(case):
    exact, single = make(case), make(case, np.float32)
    y, dx, gradients = call(exact, case.x())
    y32, dx32, gradients32 = call(single, case.x(np.float32))
    for name, a, b in [("y", y32, y), ("dx", dx32, dx)] + [
        (name, gradients32[name], gradients[name]) for name in gradients
    ]:
        assert a.dtype == np.float32, name
        # a bias in front of a normalisation has a true gradient of zero: hence a floor
        scale = np.abs(b).max(initial=0.1)
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-4 * scale, err_msg=name)
    for name, array in single.buffers().items():
        assert array.dtype in (np.float32, np.uint64), name


@every_layer
def test_frozen_computes_and_remembers_less(case):
    layer, x = make(case), case.x()
    state = layer.state_dict()
    _, dx, _ = call(layer, x)
    layer.load_state_dict(state)
    y, learning = layer(x)
    layer.load_state_dict(state)
    layer.zero_grad()
    with frozen(layer):
        _, backward = layer(x)
    assert held_bytes(backward) <= held_bytes(learning)
    np.testing.assert_array_equal(backward(upstream(y)), dx)
    for name, parameter in layer.named_parameters().items():
        assert not parameter.grad.any(), name
        assert not parameter.frozen


@every_layer
def test_a_call_before_frozen_still_learns(case):
    layer, x = make(case), case.x()
    state = layer.state_dict()
    _, _, gradients = call(layer, x)
    layer.load_state_dict(state)
    layer.zero_grad()
    y, backward = layer(x)
    with frozen(layer):
        backward(upstream(y))
    for name, parameter in layer.named_parameters().items():
        np.testing.assert_array_equal(parameter.grad, gradients[name])


@every_layer
def test_the_input_gradient_can_be_skipped(case):
    layer, x = make(case), case.x()
    state = layer.state_dict()
    _, _, gradients = call(layer, x)
    layer.load_state_dict(state)
    _, dx, without = call(layer, x, input_gradient=False)
    assert dx is None
    for name in gradients:
        np.testing.assert_array_equal(without[name], gradients[name])


@every_layer
def test_a_backward_is_called_once_with_the_right_shape(case):
    layer, x = make(case), case.x()
    y, backward = layer(x)
    with pytest.raises(ValueError, match="expected dy of the output's shape"):
        backward(np.zeros((*y.shape, 1)))
    backward(upstream(y))
    assert held_bytes(backward) == 0
    with pytest.raises(RuntimeError, match="already called"):
        backward(upstream(y))


@every_layer
def test_state_round_trip(case):
    layer, x = make(case), case.x()
    call(layer, x)  # moves running statistics and random state
    other = make(case)
    for parameter in other.parameters():
        parameter.data += 1
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.predict(x), layer.predict(x))
    for a, b in zip(call(layer, x)[:2], call(other, x)[:2], strict=True):
        np.testing.assert_array_equal(a, b)


@every_layer
def test_predict_changes_nothing_and_is_independent_of_the_batch(case):
    layer, x = make(case), case.x()
    call(layer, x)
    before = layer.state_dict()
    y = layer.predict(x)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_allclose(layer.predict(x[:1]), y[:1], rtol=0, atol=1e-12)


@every_layer
def test_the_same_bits_at_every_thread_count(case):
    layer, x = make(case, np.float32), case.x(np.float32)
    state, results, threads = layer.state_dict(), [], get_num_threads()
    try:
        for count in (1, 2, 3):
            set_num_threads(count)
            layer.load_state_dict(state)
            results.append(call(layer, x))
    finally:
        set_num_threads(threads)
    for y, dx, gradients in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(dx, results[0][1])
        for name in gradients:
            np.testing.assert_array_equal(gradients[name], results[0][2][name])


@every_layer
@pytest.mark.parametrize("dtype", [int, np.uint8, bool, complex])
def test_images_of_no_real_numbers_are_refused(case, dtype):
    layer, x = case.make(), (9 * case.x()).astype(dtype)
    if type(layer) in (Reshape, Flatten):  # they move whatever there is
        np.testing.assert_array_equal(layer(x)[0].ravel(), x.ravel())
        return
    with pytest.raises(TypeError, match="expected x of a floating-point dtype, got"):
        layer(x)


@every_loss
@pytest.mark.parametrize("dtype", [int, np.uint8, bool, complex])
def test_losses_refuse_what_are_no_real_numbers(case, dtype):
    with pytest.raises(TypeError, match="floating-point dtype"):
        case.loss(case.x().astype(dtype))
