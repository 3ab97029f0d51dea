"""Scoring on measured depth a second time, written as plainly as it can be: whole arrays, boolean masks, float64.

Nothing of da2k's arithmetic is used here; a protocol's record is only read. Facts are those of the sources that the
records name: crops by Garg et al. and Eigen et al. as public code has them, torch's bilinear positions.
"""

import numpy as np


def score(values, kind, depth, valid, protocol, rules):
    """(metrics, scale, shift, pixels, clamped, nonpositive) of one map on one frame, as the record says."""
    full = resized(values, depth.shape, rules.align_corners)
    g, p, kept = counted(full, depth, valid, rules)
    in_disparity = protocol.alignment.space == "disparity"
    if in_disparity and kind != "affine_disparity":
        p = 1 / p
    target = 1 / g if in_disparity else g
    fitted = np.ones(p.shape, bool)
    if rules.fit_side is not None and max(depth.shape) > rules.fit_side:
        fitted &= subsample(depth.shape, rules.fit_side)[kept]
    if protocol.alignment.support == "valid pixels with a positive prediction":
        fitted &= p > 0
    scale, shift = fit(p[fitted], target[fitted], protocol.alignment.solver)
    aligned = scale * p + shift
    if protocol.metrics_in == "disparity":
        d, g, clamped = aligned, 1 / g, np.zeros(p.shape, bool)
    else:
        d, clamped = limited(aligned, in_disparity, floor_of(protocol, rules, g), rules.clamp)
    found = {name: FORMULAS[name](d, g) for name in protocol.metrics}
    return found, scale, shift, p.size, clamped.mean(), (aligned <= 0).mean()


def counted(full, depth, valid, rules):
    """Measured depth and map at the pixels that count, and which these are, [H, W]."""
    kept = valid & crop(depth.shape, rules.metric_crop)
    # A limit is compared at the precision of the file's depth, as array code does.
    kept &= np.nan_to_num(depth, nan=-1) > np.float32(rules.range.low)
    kept &= np.nan_to_num(depth, nan=np.inf) < (np.inf if rules.range.high is None else np.float32(rules.range.high))
    return depth[kept].astype(np.float64), full[kept], kept


def crop(size, name):
    """True inside the crop, [H, W]."""
    height, width = size
    inside = np.zeros(size, bool)
    if name == "none":
        inside[:] = True
    elif name == "garg":
        rows = np.array([0.40810811 * height, 0.99189189 * height]).astype(int)
        columns = np.array([0.03594771 * width, 0.96405229 * width]).astype(int)
        inside[rows[0] : rows[1], columns[0] : columns[1]] = True
    elif name == "eigen":
        rows = np.array([0.3324324 * height, 0.91351351 * height]).astype(int)
        columns = np.array([0.0359477 * width, 0.96405229 * width]).astype(int)
        inside[rows[0] : rows[1], columns[0] : columns[1]] = True
    elif name == "nyu-eigen":
        inside[45:471, 41:601] = True
    return inside


def kb_crop(array):
    """The 352 x 1216 at the bottom, in the middle."""
    top, left = array.shape[0] - 352, int((array.shape[1] - 1216) / 2)
    return array[top : top + 352, left : left + 1216]


def resized(values, size, align_corners):
    """The whole map, bilinearly resized, float64."""
    values = np.asarray(values, np.float64)
    if values.shape == tuple(size):
        return values
    upper, lower, down = _positions(values.shape[0], size[0], align_corners)
    left, right, across = _positions(values.shape[1], size[1], align_corners)
    down = down[:, None]
    top = values[upper][:, left] * (1 - across) + values[upper][:, right] * across
    bottom = values[lower][:, left] * (1 - across) + values[lower][:, right] * across
    return top * (1 - down) + bottom * down


def _positions(before, after, align_corners):
    i = np.arange(after)
    if align_corners:
        at = i * (before - 1) / (after - 1) if after > 1 else i * 0.0
    else:
        at = np.maximum((i + 0.5) * before / after - 0.5, 0)
    low = np.minimum(np.floor(at).astype(int), before - 1)
    return low, np.minimum(low + 1, before - 1), np.clip(at - low, 0, 1)


def subsample(size, side):
    """True at the pixels of the nearest-neighbour copy whose longer side is `side`, [H, W]."""
    longest = max(size)
    rows = [i * longest // side for i in range(size[0] * side // longest)]
    columns = [i * longest // side for i in range(size[1] * side // longest)]
    taken = np.zeros(size, bool)
    taken[np.ix_(rows, columns)] = True
    return taken


def fit(p, target, solver):
    """(scale, shift)."""
    if solver == "none":
        return 1.0, 0.0
    if solver == "median":
        return np.median(target) / np.median(p), 0.0
    assert solver == "least squares"
    # A centred column has the same solution, and keeps lstsq itself accurate.
    centre = p.mean()
    (scale, level), *_ = np.linalg.lstsq(np.stack([p - centre, np.ones_like(p)], axis=1), target, rcond=None)
    return scale, level - scale * centre


def floor_of(protocol, rules, g):
    """The least disparity, or None."""
    floor = protocol.alignment.floor
    return {"1/cap": 1 / (rules.clamp.high or np.inf), "1/max truth": 1 / g.max()}.get(floor, floor)


def limited(aligned, in_disparity, floor, clamp):
    """(depth after floor and clamp, where they changed it)."""
    if in_disparity:
        raised = aligned < floor
        depth = 1 / np.where(raised, floor, aligned)
    else:
        raised, depth = np.zeros(aligned.shape, bool), aligned
    d = depth
    if clamp.low is not None:
        d = np.maximum(d, clamp.low)
    if clamp.high is not None:
        d = np.minimum(d, clamp.high)
    return d, raised | (d != depth)


def within(d, g, k):
    """Whether prediction and truth are within a factor of 1.25^k; what is not positive is not."""
    positive = d > 0
    d = np.where(positive, d, 1)
    return positive & (np.maximum(d / g, g / d) < 1.25**k)


FORMULAS = {
    "absrel@depth": lambda d, g: np.mean(np.abs(d - g) / g),
    "absrel@disparity": lambda d, g: np.mean(np.abs(d - g) / g),
    "sqrel@depth": lambda d, g: np.mean((d - g) ** 2 / g),
    "rmse@depth": lambda d, g: np.sqrt(np.mean((d - g) ** 2)),
    "rmse_log_e": lambda d, g: np.sqrt(np.mean((np.log(d) - np.log(g)) ** 2)),
    "mae_log_10": lambda d, g: np.mean(np.abs(np.log10(d) - np.log10(g))),
    "silog100": lambda d, g: 100 * np.std(np.log(d) - np.log(g)),
    "delta1": lambda d, g: np.mean(within(d, g, 1)),
    "delta2": lambda d, g: np.mean(within(d, g, 2)),
    "delta3": lambda d, g: np.mean(within(d, g, 3)),
    "delta1_exceeded_percent": lambda d, g: 100 * np.mean(~within(d, g, 1)),
}
