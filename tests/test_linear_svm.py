"""The linear SVM: the objectives of liblinear and libsvm, solved for every C at once, with a certificate that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from featx.errors import UsageError
from featx.linear_svc import LinearSVM
from featx.linear_svm import (
    Products,
    balanced,
    gradients,
    hinge,
    interior_point,
    leading,
    places,
    products,
    solve,
    squared_hinge,
)

PATH = [10.0**power for power in range(-3, 5)]


def made(n=90, d=200, *, seed=0, shift=0.4, positive=0.3):
    """Return unit rows that are not negative, as features of a network are, and labels."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < positive, 1.0, -1.0)
    y[:2] = 1, -1
    X = np.maximum(rng.normal(size=(n, d)) + shift * y[:, None] * (np.arange(d) < d // 5), 0)
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12), y


def squared_hinge_objective(w, b, X, y, weights, C):
    return 0.5 * (w @ w + b * b) + C * (weights * np.maximum(0, 1 - y * (X @ w + b)) ** 2).sum()


def hinge_objective(w, b, X, y, weights, C):
    return 0.5 * w @ w + C * (weights * np.maximum(0, 1 - y * (X @ w + b))).sum()


@pytest.mark.parametrize(("n", "d"), [(90, 200), (150, 30), (40, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_objective_is_liblinears(n, d, weighted):
    X, y = made(n, d)
    weights = balanced(y[:, None], np.ones((n, 1), dtype=bool)) if weighted else np.ones((n, 1))
    found = solve(Products(X, extra=1.0), y[:, None], weights=weights, Cs=PATH)
    assert found.converged.all()
    for at, C in enumerate(PATH[:7]):
        reference = LinearSVC(C=C, tol=1e-9, max_iter=1_000_000, dual=d > n).fit(X, y, sample_weight=weights[:, 0])
        best = squared_hinge_objective(reference.coef_[0], reference.intercept_[0], X, y, weights[:, 0], C)
        w, b = found.coef[at, :, 0] @ X, found.intercept[at, 0]
        assert squared_hinge_objective(w, b, X, y, weights[:, 0], C) == pytest.approx(found.objective[at, 0], rel=1e-9)
        assert found.objective[at, 0] <= best * (1 + 1e-4)
        if best > 1e-6:
            assert abs(roc_auc_score(y, X @ w + b) - roc_auc_score(y, reference.decision_function(X))) < 1e-3


@pytest.mark.parametrize(("n", "d"), [(90, 200), (150, 30)])
def test_the_hinge_is_libsvms(n, d):
    X, y = made(n, d)
    weights = balanced(y[:, None], np.ones((n, 1), dtype=bool))
    found = solve(Products(X), y[:, None], weights=weights, Cs=PATH, loss="hinge")
    for at, C in enumerate(PATH[:6]):
        reference = SVC(kernel="linear", C=C, tol=1e-7, class_weight="balanced").fit(X, y)
        best = hinge_objective(reference.coef_[0], reference.intercept_[0], X, y, weights[:, 0], C)
        w, b = found.coef[at, :, 0] @ X, found.intercept[at, 0]
        assert hinge_objective(w, b, X, y, weights[:, 0], C) == pytest.approx(best, rel=1e-4)
        np.testing.assert_allclose(found.margins[at, :, 0], X @ w + b, atol=1e-9)


def test_a_separating_solution_is_not_computed_again():
    X, y = made(60, 300, shift=1.0)
    weights = balanced(y[:, None], np.ones((60, 1), dtype=bool))
    found = solve(Products(X), y[:, None], weights=weights, Cs=PATH, loss="hinge")
    more = solve(Products(X), y[:, None], weights=weights, Cs=[*PATH, 1e5, 1e6], loss="hinge")
    assert found.work == more.work and found.work["interior points"] == 0
    assert (found.coef[-1] == found.coef[-2]).all() and found.converged.all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 70), st.integers(1, 90), st.floats(0, 1.5), st.floats(0.1, 0.9))
def test_no_hinge_is_worse_than_libsvms_and_every_gap_is_small(seed, n, d, shift, positive):
    X, y = made(n, d, seed=seed, shift=shift, positive=positive)
    weights = balanced(y[:, None], np.ones((n, 1), dtype=bool))
    found = solve(Products(X), y[:, None], weights=weights, Cs=PATH, loss="hinge")
    assert found.converged.all() and found.gap.min() >= -1e-9
    for at in (1, 3):
        reference = SVC(kernel="linear", C=PATH[at], class_weight="balanced").fit(X, y)
        best = hinge_objective(reference.coef_[0], reference.intercept_[0], X, y, weights[:, 0], PATH[at])
        assert found.objective[at, 0] <= best * (1 + 1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 70), st.integers(1, 90), st.floats(0, 1.5), st.sampled_from(PATH))
def test_the_interior_point_method_ends_at_any_c_and_rank(seed, n, d, shift, C):
    X, y = made(n, d, seed=seed, shift=shift)
    K, bound = X @ X.T, np.full(n, C)
    point = hinge._feasible(y, hinge._Point(*interior_point.minimise(K, y, bound)), bound)
    assert hinge._Problem(K, y, np.ones(n)).certified(point, C, tolerance=1e-7)


def test_where_active_sets_do_not_end_the_interior_point_method_answers(monkeypatch):
    X, y = made(90, 200)
    weights = balanced(y[:, None], np.ones((90, 1), dtype=bool))
    usual = solve(Products(X), y[:, None], weights=weights, Cs=PATH, loss="hinge")
    assert usual.work["interior points"] == 0 and usual.work["active sets"] > 0
    monkeypatch.setattr(hinge, "STRIDES", ())
    other = solve(Products(X), y[:, None], weights=weights, Cs=PATH, loss="hinge")
    assert other.work["interior points"] > 0
    np.testing.assert_allclose(other.objective, usual.objective, rtol=1e-5)


def test_weights_of_unequal_totals_have_no_start_in_closed_form():
    X, y = made(60, 40, positive=0.2)
    found = solve(Products(X), y[:, None], weights=np.ones((60, 1)), Cs=PATH[:4], loss="hinge")
    assert found.converged.all() and found.work["interior points"] > 0


def test_columns_do_not_disturb_each_other():
    X, y = made(80, 120)
    other = np.roll(y, 7)
    weights = np.ones((80, 2))
    weights[:20, 1] = 0
    both = solve(Products(X, extra=1.0), np.stack([y, other], axis=1), weights=weights, Cs=[0.1, 10.0])
    alone = solve(Products(X[20:], extra=1.0), other[20:, None], weights=np.ones((60, 1)), Cs=[0.1, 10.0])
    np.testing.assert_allclose(both.objective[:, 1], alone.objective[:, 0], rtol=1e-5)
    np.testing.assert_allclose(both.margins[:, 20:, 1], alone.margins[:, :, 0], atol=5e-3)
    assert (both.coef[:, :20, 1] == 0).all()


def test_margins_are_those_of_every_row_also_of_rows_left_out():
    X, y = made(50, 70)
    weights = np.ones((50, 1))
    weights[30:] = 0
    found = solve(Products(X, extra=1.0), y[:, None], weights=weights, Cs=[1.0])
    w, b = found.coef[0, :, 0] @ X, found.intercept[0, 0]
    np.testing.assert_allclose(found.margins[0, :, 0], X @ w + b, atol=1e-9)


def test_conjugate_gradients_and_rows_without_a_matrix_give_the_same(monkeypatch):
    X, y = made(120, 90)
    direct = solve(Products(X, extra=1.0), y[:, None], weights=np.ones((120, 1)), Cs=PATH[:4])
    monkeypatch.setattr(squared_hinge, "FACTORED", 5)
    steps = solve(Products(X, extra=1.0), y[:, None], weights=np.ones((120, 1)), Cs=PATH[:4])
    assert steps.work["factored"] == 0 and steps.converged.all()
    np.testing.assert_allclose(steps.objective, direct.objective, rtol=1e-4)
    monkeypatch.setattr(products, "MOST_ROWS", 10)
    monkeypatch.setattr(products, "DOUBLE_ROWS", 10)
    rows = Products(X, extra=1.0)
    assert rows._matrix is None
    single = solve(rows, y[:, None], weights=np.ones((120, 1)), Cs=PATH[:4])
    np.testing.assert_allclose(single.objective, direct.objective, rtol=1e-4)


def single(monkeypatch, X):
    """Return products in single precision."""
    monkeypatch.setattr(products, "DOUBLE_ROWS", 10)
    found = Products(X, extra=1.0)
    assert found.times(np.ones((len(X), 1))).dtype == np.float32
    return found


@pytest.mark.parametrize("factored", [5, 1000])
def test_single_precision_is_certified_in_double_and_does_not_step_on_the_spot(monkeypatch, factored):
    X, y = made(160, 60, shift=0.2)
    weights = balanced(y[:, None], np.ones((160, 1), dtype=bool))
    double = solve(Products(X, extra=1.0), y[:, None], weights=weights, Cs=PATH)
    monkeypatch.setattr(squared_hinge, "FACTORED", factored)
    rows = single(monkeypatch, X)
    anew = []
    monkeypatch.setattr(rows, "exactly", lambda B: anew.append(B.shape[1]) or Products.exactly(rows, B))
    found = solve(rows, y[:, None], weights=weights, Cs=PATH)
    assert found.converged.all() and found.gap.min() >= -1e-9
    np.testing.assert_allclose(found.objective, double.objective, rtol=1e-4)
    assert len(PATH) <= sum(anew) <= 6 * len(PATH)  # columns whose margins were computed anew
    assert found.work["steps"] <= 15 * len(PATH)


def test_small_c_are_columns_of_one_product(monkeypatch):
    X, y = made(160, 60, shift=0.2)
    monkeypatch.setattr(squared_hinge, "FACTORED", 5)
    rows, asked = Products(X, extra=1.0), []
    monkeypatch.setattr(rows, "times", lambda B: asked.append(B.shape[1]) or Products.times(rows, B))
    ones = np.ones((160, 1))
    small = [C for C in PATH if 0.5 / rows.leading.rest >= C]
    assert 3 <= len(small) < len(PATH)
    parts = [list(part) for part in squared_hinge._in_step(rows, ones, PATH)]
    assert parts == [list(range(len(small))), *([at] for at in range(len(small), len(PATH)))]
    asked.clear()
    solve(rows, y[:, None], weights=ones, Cs=small)
    together = len(asked)
    assert max(asked) == len(small)
    asked.clear()
    for C in small:
        solve(rows, y[:, None], weights=ones, Cs=[C])
    assert together < len(asked)


def test_problems_that_mirror_each_other_are_solved_once():
    X, y = made(80, 60)
    other, weights = np.roll(y, 7), np.ones((80, 4))
    weights[:20, 3] = 0
    Y = np.stack([y, -y, other, other], axis=1)
    Y[:20, 3] = -Y[:20, 3]  # what is left out of a problem does not make it another one
    for loss, extra in (("squared_hinge", 1.0), ("hinge", 0.0)):
        own = Products(X, extra=extra)
        once = solve(own, Y[:, [0, 2, 3]], weights=weights[:, 1:], Cs=PATH[:4], loss=loss)
        found = solve(own, Y, weights=weights, Cs=PATH[:4], loss=loss)
        assert found.work == once.work
        for name in ("coef", "intercept", "margins", "objective", "gap"):
            mine, its = getattr(found, name), getattr(once, name)
            np.testing.assert_array_equal(mine[..., [0, 2, 3]], its)
            np.testing.assert_array_equal(mine[..., 1], its[..., 0] * (1 if name in ("objective", "gap") else -1))


def low_rank(n=120, k=20, *, seed=0):
    """Return products of rows that vary in few directions, and a little in all."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, k)) * 2.0 ** -np.arange(k) @ rng.normal(size=(k, 300)) + 1e-3 * rng.normal(size=(n, 300))
    return X @ X.T


def test_leading_directions_are_the_products_but_for_a_small_rest():
    K = low_rank()
    found = leading.leading(lambda B: K @ B, len(K))
    assert (np.diff(found.strength) <= 0).all()
    np.testing.assert_allclose(found.strength, (found.along.astype(np.float64) ** 2).sum(0), rtol=1e-3, atol=1e-6)
    apart = np.linalg.eigvalsh(K - found.along.astype(np.float64) @ found.along.T)
    assert np.abs(apart).max() < 1e-5 * np.linalg.eigvalsh(K)[-1]
    again = leading.leading(lambda B: K @ B, len(K))
    np.testing.assert_array_equal(found.along, again.along)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 3))
def test_a_system_nearby_is_solved_also_after_its_rows_have_changed(seed, power):
    K, rng = low_rank(seed=seed), np.random.default_rng(seed)
    ridge = 10.0**power * rng.uniform(0.5, 2, size=(120, 2))
    known = leading.leading(lambda B: K @ B, 120)
    near = leading.Near(known, ridge, np.ones(ridge.shape, dtype=bool), place=places.place(None))
    product = known.along.astype(np.float64) @ known.along.T
    for share in (0.9, 0.7, 0.75, 0.2):  # rows that go, come, and mostly go
        held = rng.random((120, 2)) < share
        near.hold(held, np.array([0, 1]))
        R = rng.normal(size=(120, 2)) * held
        found = near.solved(R, np.array([0, 1]))
        for column in range(2):
            rows = np.flatnonzero(held[:, column])
            system = product[np.ix_(rows, rows)] + np.diag(ridge[rows, column] + known.rest)
            wanted = np.linalg.solve(system, R[rows, column])
            scale = np.abs(R[rows, column]).max() / (ridge[rows, column].min() + known.rest)
            # weak directions are left out by design, the others are right to single precision
            assert np.abs(found[rows, column] - wanted).max() < leading.WEAK * scale


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-2, 3), st.sampled_from([1e-1, 1e-3, 1e-5]))
def test_conjugate_gradients_end_where_they_were_told_to(seed, power, accuracy):
    K, rng = low_rank(seed=seed), np.random.default_rng(seed)
    ridge, held = 10.0**power * rng.uniform(0.5, 2, size=(120, 3)), rng.random((120, 3)) < 0.8
    start = rng.normal(size=(120, 3)) * held
    right = np.sign(rng.normal(size=(120, 3))) * held
    missing = (right - K @ start - ridge * start) * held
    near = leading.Near(leading.leading(lambda B: K @ B, 120), ridge, held, place=places.place(None))
    systems = gradients.Systems(held, ridge, start, missing)
    goal = gradients.Goal(np.full(3, accuracy), np.zeros(3))
    given_ = {"near": near, "columns": np.arange(3), "goal": goal}
    x, image = gradients.solved(systems, lambda B: K @ B, **given_)
    np.testing.assert_allclose(image, K @ x, atol=1e-8 * np.abs(image).max())
    left = (right - K @ (start + x) - ridge * (start + x)) * held
    at = start + x
    assert (x[~held] == 0).all()
    assert ((left**2 / ridge).sum(0) <= (1.01 * accuracy) ** 2 * (ridge * at**2).sum(0) + 1e-20).all()


@pytest.mark.parametrize("kind", ["float64", "float32", "no matrix", "narrow"])
@pytest.mark.parametrize("factored", [5, 1000])
def test_tensors_give_what_numpy_gives(monkeypatch, kind, factored):
    X, y = made(160, 60 if kind != "narrow" else 20)
    Y, weights = np.stack([y, np.roll(y, 7)], axis=1), np.ones((160, 2))
    monkeypatch.setattr(squared_hinge, "FACTORED", factored)
    monkeypatch.setattr(products, "DOUBLE_ROWS", 3000 if kind == "float64" else 10)
    monkeypatch.setattr(products, "MOST_ROWS", 10 if kind == "no matrix" else 12_000)
    host = solve(Products(X, extra=1.0), Y, weights=weights, Cs=PATH)
    rows = Products(X, extra=1.0, device="cpu")
    assert type(rows._X).__module__ == "torch" and rows.narrow == (kind == "narrow")
    found = solve(rows, Y, weights=weights, Cs=PATH)
    assert found.converged.all() and found.gap.min() >= -1e-9
    np.testing.assert_allclose(found.objective, host.objective, rtol=2e-5)
    for at, C in enumerate(PATH):  # the certificate is of the weights, whoever multiplied
        w, b = found.coef[at, :, 0] @ X, found.intercept[at, 0]
        assert squared_hinge_objective(w, b, X, y, np.ones(160), C) == pytest.approx(found.objective[at, 0], rel=1e-5)


def test_the_hinge_takes_its_products_from_a_device_too():
    X, y = made(90, 200)
    weights = balanced(y[:, None], np.ones((90, 1), dtype=bool))
    host, found = (
        solve(Products(X, device=device), y[:, None], weights=weights, Cs=PATH, loss="hinge")
        for device in (None, "cpu")
    )
    assert found.converged.all()
    np.testing.assert_allclose(found.objective, host.objective, rtol=1e-9)


@pytest.mark.parametrize("device", ["cuda:99", "meta", "nonsense"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(UsageError, match=f"^device '{device}': torch .* take cpu"):
        Products(np.eye(3), device=device)


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 40, 300])
def test_a_system_is_solved_block_by_block(monkeypatch, device, dtype, n):
    monkeypatch.setattr(places, "BLOCK", 64)
    rng = np.random.default_rng(n)
    A, right = rng.normal(size=(n, n)), rng.normal(size=n)
    system = A @ A.T / n + np.eye(n)
    held = places.place(device)
    found = held.solved(held.put(system.copy(), dtype), right.astype(dtype))
    np.testing.assert_allclose(found, np.linalg.solve(system, right), atol=1e3 * np.finfo(dtype).eps)
    system[-1, -1] = -1
    assert held.solved(held.put(system, dtype), right.astype(dtype)) is None


def test_few_features_keep_a_great_c_exact_in_many_rows(monkeypatch):
    X, y = made(400, 12, shift=0.1)
    weights = balanced(y[:, None], np.ones((400, 1), dtype=bool))
    double = solve(Products(X, extra=1.0), y[:, None], weights=weights, Cs=PATH)
    monkeypatch.setattr(products, "DOUBLE_ROWS", 100)
    rows = Products(X, extra=1.0)
    assert rows.narrow and rows._matrix is None
    found = solve(rows, y[:, None], weights=weights, Cs=PATH)
    assert found.gap.max() < 1e-9
    np.testing.assert_allclose(found.objective, double.objective, rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_there_twice_with_other_labels_are_certified_at_any_c(seed):
    X, y = made(300, 200, seed=seed, shift=0.1)
    X[-100:] = X[:100]
    weights = balanced(y[:, None], np.ones((300, 1), dtype=bool))
    assert solve(Products(X, extra=1.0), y[:, None], weights=weights, Cs=PATH).converged.all()


@pytest.mark.parametrize("C", [1e-6, 1e-4, 1e-2])
def test_where_the_loss_hardly_falls_margins_are_right_beside_how_far_they_are_apart(monkeypatch, C):
    X, y = made(160, 60, shift=0.2)
    weights = balanced(y[:, None], np.ones((160, 1), dtype=bool))
    reference = LinearSVC(C=C, tol=1e-12, max_iter=1_000_000, dual=False).fit(X, y, sample_weight=weights[:, 0])
    monkeypatch.setattr(squared_hinge, "FACTORED", 5)
    found = solve(single(monkeypatch, X), y[:, None], weights=weights, Cs=[C]).margins[0, :, 0]
    wanted = reference.decision_function(X)
    assert np.abs(found - wanted).max() < 0.05 * wanted.std()
    assert abs(roc_auc_score(y, found) - roc_auc_score(y, wanted)) < 1e-3


@pytest.mark.parametrize("narrow", [False, True])
def test_norms_are_those_of_the_weights(monkeypatch, narrow):
    monkeypatch.setattr(products, "DOUBLE_ROWS", 10)
    X, _ = made(150, 30 if narrow else 60)
    rows, B = Products(X, extra=0.7), np.random.default_rng(0).normal(size=(150, 3))
    B[40:] = 0
    assert rows.narrow == narrow
    stored = X.astype(rows.precision).astype(np.float64)
    wanted = np.einsum("ip,ij,jp->p", B, stored @ stored.T + 0.7, B)
    np.testing.assert_allclose(rows.norms(B), wanted, rtol=1e-12)
    np.testing.assert_allclose(rows.norms(B), (B * rows.exactly(B)).sum(0), rtol=1e-12)


def test_a_false_certificate_is_seen(monkeypatch):
    X, y = made(60, 80)
    monkeypatch.setattr(squared_hinge, "STEPS", 1)
    monkeypatch.setattr(squared_hinge, "ROUNDS", 1)
    found = solve(Products(X, extra=1.0), y[:, None], weights=np.ones((60, 1)), Cs=[100.0])
    best = solve_fully(X, y)
    assert not found.converged.any()
    assert (found.objective[0, 0] - best) / found.objective[0, 0] <= found.gap[0, 0] + 1e-12


def solve_fully(X, y):
    reference = LinearSVC(C=100.0, tol=1e-10, max_iter=1_000_000).fit(X, y)
    return squared_hinge_objective(reference.coef_[0], reference.intercept_[0], X, y, np.ones(len(y)), 100.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 4), st.integers(5, 60), st.integers(1, 80), st.floats(0, 1.5))
def test_the_gap_bounds_the_distance_from_the_best(seed, power, n, d, shift):
    X, y = made(n, d, seed=seed, shift=shift)
    found = solve(Products(X, extra=1.0), y[:, None], weights=np.ones((n, 1)), Cs=[10.0**power])
    assert found.gap[0, 0] >= -1e-9
    assert found.converged.all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_mirrored_labels_mirror_the_margins(seed):
    X, y = made(40, 30, seed=seed)
    found = solve(Products(X, extra=1.0), np.stack([y, -y], axis=1), weights=np.ones((40, 2)), Cs=[1.0])
    np.testing.assert_allclose(found.margins[0, :, 0], -found.margins[0, :, 1], atol=1e-9)


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_sample_weight

    _, y = made(50)
    used = np.ones((50, 1), dtype=bool)
    used[40:] = False
    weights = balanced(y[:, None], used)
    np.testing.assert_allclose(weights[:40, 0], compute_sample_weight("balanced", y[:40]))
    assert (weights[40:] == 0).all()


@parametrize_with_checks([LinearSVM(), LinearSVM(C=0.1, class_weight="balanced"), LinearSVM(device="cpu")])
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("device", [None, "cpu"])
def test_it_drops_in_for_linear_svc(device):
    X, y = made(100, 60)
    codes = np.where(y > 0, "mel", np.where(np.arange(100) % 2, "nv", "bcc"))
    own, reference = (
        LinearSVM(C=0.5, device=device).fit(X, codes),
        LinearSVC(C=0.5, tol=1e-9, max_iter=1_000_000).fit(X, codes),
    )
    np.testing.assert_allclose(own.coef_, reference.coef_, atol=1e-3)
    np.testing.assert_allclose(own.intercept_, reference.intercept_, atol=1e-3)
    assert (own.predict(X) == reference.predict(X)).all()
    assert (own.gap_ < 1e-5).all()
