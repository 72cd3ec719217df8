"""Length: pay for short answers without teaching the policy to give up."""

from __future__ import annotations

import math

from guerdon.errors import ExpressionError
from guerdon.expr import (
    Expr,
    bucket,
    case,
    ceil,
    clip,
    cos,
    discounted,
    eq,
    hold,
    is_last,
    mean,
    quantile,
    rank,
    sigmoid,
    where,
    zscore,
)
from guerdon.expr.core import Value

__all__ = [
    "adaptive_target",
    "cosine_length",
    "grpo_lambda",
    "laser",
    "laser_d",
    "laser_de",
    "repetition_returns",
]


def grpo_lambda(correct: Expr, length: Expr, *, alpha: float, lam: float) -> Expr:
    """Let length count only in the groups of the batch that are answered best.

        r = correct · (1 − α σ(z))    in the ⌊λG⌋ of the G groups that have the highest share of correct responses
        r = correct                   in the others
        z = (length − mean) / std     over the correct responses of the group; 0 where std is 0

    Args:
        correct: 0 or 1 per sample.
        length: size of the response, in any unit (only its z-score counts).
        alpha: largest share of the reward that length can cost, in [0, 1). The paper's value is not confirmed: no default.
        lam: share of the groups in which length counts, in [0, 1]; the paper's example is 0.2.

    Returns:
        Reward per sample in [0, 1]. Unscored where `correct` is, or where `length` of a correct response is in a group that
        counts length. Groups without a scored response count neither among the G nor among the best.

    Example:
        >>> from guerdon.expr import col
        >>> print(grpo_lambda(col("correct"), col("length"), alpha=0.2, lam=0.2))
        easy = rank(-mean(col('correct'), to='group'), over='batch', ties='min', pct=True) <= 0.2
        brief = where(col('correct'), 1 - 0.2 * sigmoid(zscore(col('length'), over='group', where=col('correct'))), 0)
        where(easy, brief, col('correct'))

    Note:
        Groups tied at the border all count length, so that the order of the rows decides nothing; the paper sorts and
        cuts. `over="batch"` is the batch that `evaluate` gets: pass whole training batches.

    Command: guerdon score FILE --reward "recipes.grpo_lambda(verify.Math(), stats.Length(), alpha=0.2, lam=0.2)"

    Source: Dai, Liu and Si (2025), arXiv:2505.18086.
    """
    accuracy = mean(correct, to="group")
    easy = rank(-accuracy, over="batch", ties="min", pct=True) <= lam
    z = zscore(length, over="group", where=correct)
    brief = where(correct, 1 - alpha * sigmoid(z), 0).named("brief")
    return where(easy.named("easy"), brief, correct)


def laser(
    correct: Expr, length: Expr, *, target: Value, bonus: float = 0.5, right: float = 1.0, wrong: float = -0.5
) -> Expr:
    """A step bonus for correct responses no longer than a target (LASER).

        r = right + bonus · 1[length ≤ target]    if correct
        r = wrong                                 otherwise

    Args:
        correct: 0 or 1 per sample.
        length: tokens of the response, in the unit of `target`.
        target: length up to which the bonus is paid; the paper tries 2048, 4096 and 8192 tokens. May be an expression.

    Returns:
        Reward per sample. Unscored where `correct` is, or where `length` of a correct response is.

    Example:
        >>> from guerdon.expr import col
        >>> laser(col("correct"), col("length"), target=4096)
        where(col('correct'), 1, -0.5) + where(col('correct') & (col('length') <= 4096), 0.5, 0)

    Command: guerdon score FILE --reward "recipes.laser(verify.Math(), stats.Length(), target=400)"

    Source: Liu et al. (2025), arXiv:2505.15612.
    """
    return where(correct, right, wrong) + where(correct & (length <= target), bonus, 0)


def adaptive_target(
    correct: Expr,
    length: Expr,
    *,
    low: float = 1024,
    high: float = 16384,
    grid: float = 1024,
    every: int = 20,
    rollouts: int = 8,
) -> Expr:
    """Target length per difficulty, refreshed now and then from the batch at hand (LASER-D).

        difficulty of a prompt from its share of correct responses p: easy p ≥ 2/3, medium p ≥ 1/3, else hard
        target = smallest grid length l with  ⌊coverage(l) · n⌋ ≥ 1
        coverage(l) = share of the responses of that difficulty, right or wrong, with length ≤ l
        n = ⌊2·rollouts/3⌋ for easy, ⌊rollouts/3⌋ for medium, 1 for hard

    Args:
        correct: 0 or 1 per sample.
        length: tokens of the response.
        low, high, grid: candidates low, low + grid, ..., high.
        every: batches between two refreshes.
        rollouts: responses per prompt, 3 or more.

    Returns:
        Target per sample, with the parts `difficulty` (2 easy, 1 medium, 0 hard), `easy_target`, `medium_target` and
        `hard_target`. Unscored for a difficulty of which no response has been seen. The targets are state: pass
        `state=scores.state` on. The paper measures them on 500 held-out prompts; for that, evaluate on those first.

    Raises:
        ExpressionError: fewer than 3 rollouts, or candidates that are none.

    Example:
        >>> from guerdon.expr import col
        >>> adaptive_target(col("correct"), col("length")).level
        'sample'

    Note:
        Where p is exactly 1/3 or 2/3, which 8 rollouts never give, the released code measures the prompt as harder and
        pays it as easier; here it is the easier difficulty both times.

    Source: Liu et al. (2025), arXiv:2505.15612.
    """
    if rollouts < 3 or not (grid > 0 and low <= high):
        raise ExpressionError(
            f"adaptive_target needs rollouts ≥ 3, grid > 0 and low ≤ high, got {rollouts}, {grid}, {low}..{high}"
        )
    difficulty = bucket(mean(correct, over="group"), (1 / 3, 2 / 3)).named("difficulty")

    def target(name: str, kind: int, n: int) -> Expr:
        enough = quantile(length, 1 / n, to="batch", where=eq(difficulty, kind), method="inverted_cdf")
        return hold(clip(low + grid * ceil((enough - low) / grid), low, high), every).named(f"{name}_target")

    easy = target("easy", 2, rollouts * 2 // 3)
    medium, hard = target("medium", 1, rollouts // 3), target("hard", 0, 1)
    return case((eq(difficulty, 2), easy), (eq(difficulty, 1), medium), otherwise=hard).named("target")


def laser_d(correct: Expr, length: Expr, *, bonus: float = 0.5, **grid: float) -> Expr:
    """LASER with a target that adapts to the difficulty of the prompt (LASER-D).

        r = laser(correct, length, target = adaptive_target(correct, length))

    Args:
        correct: 0 or 1 per sample.
        length: tokens of the response.
        bonus: paid for a correct response within the target.
        grid: `low`, `high`, `grid`, `every`, `rollouts` of `adaptive_target`.

    Returns:
        Reward per sample; remembers the targets (state).

    Example:
        >>> from guerdon.expr import col
        >>> laser_d(col("correct"), col("length"), low=10, high=100, grid=10).level
        'sample'

    Command: guerdon score FILE --reward "recipes.laser_d(verify.Math(), stats.Length(), low=50, high=1000, grid=50)"

    Source: Liu et al. (2025), arXiv:2505.15612.
    """
    return laser(correct, length, target=_target(correct, length, grid), bonus=bonus)


def laser_de(correct: Expr, length: Expr, repetitive: Expr, *, bonus: float = 0.5, **grid: float) -> Expr:
    """LASER-D that also pays wrong responses for exploring beyond the target, unless they repeat themselves (LASER-DE).

        r = laser_d(correct, length) + bonus · 1[wrong and length > target and not repetitive]

    Args:
        correct: 0 or 1 per sample.
        length: tokens of the response.
        repetitive: 1 where the response repeats itself, e.g. `stats.Repetition(n=20) > 0.2`; no threshold of the paper
            is confirmed, so there is no default. The released code asks for a 4-gram of tokens that occurs three times,
            two of them within a third of the response, or any 8-gram that occurs twice.
        bonus: paid for a correct response within the target and for exploration.
        grid: `low`, `high`, `grid`, `every`, `rollouts` of `adaptive_target`.

    Returns:
        Reward per sample; remembers the targets (state).

    Example:
        >>> from guerdon.expr import col
        >>> laser_de(col("correct"), col("length"), col("loops") > 0.2, low=10, high=100, grid=10).level
        'sample'

    Note:
        In the released code a response without answer box or think tags scores −1 and never earns the bonus; for that,
        wrap the reward: `where(well_formed, laser_de(...), -1)`.

    Command: guerdon score FILE --reward "recipes.laser_de(verify.Math(), stats.Length(), stats.Repetition() > 0.2)"

    Source: Liu et al. (2025), arXiv:2505.15612.
    """
    target = _target(correct, length, grid)
    explores = ~correct & (length > target) & ~repetitive
    return laser(correct, length, target=target, bonus=bonus) + where(explores, bonus, 0)


def cosine_length(
    correct: Expr,
    length: Expr,
    *,
    max_length: float,
    right: tuple[float, float] = (2.0, 1.0),
    wrong: tuple[float, float] = (-10.0, 0.0),
    exceed: float = -10.0,
    margin: float = 16,
) -> Expr:
    """Cosine length reward: short when right, long when wrong.

        r = exceed                                               if length + margin ≥ max_length
        r = b + (a − b)/2 · (1 + cos(π · length / max_length))    otherwise, (a, b) = right if correct, else wrong

    Args:
        correct: 0 or 1 per sample.
        length: tokens of the response, in the unit of `max_length`.
        max_length: length of the window.
        right, wrong: reward at length 0 and at `max_length`.
        exceed: reward of a response that runs into the window.

    Returns:
        Reward per sample. Unscored where `length` is, or where `correct` is within the window.

    Example:
        >>> from guerdon.expr import col
        >>> cosine_length(col("correct"), col("length"), max_length=100).level
        'sample'

    Command: guerdon score FILE --reward "recipes.cosine_length(verify.Math(), stats.Length(), max_length=1000)"

    Source: Yeo et al. (2025), arXiv:2502.03373.
    """
    turn = 1 + cos(math.pi * length / max_length)
    curve = [end + (start - end) / 2 * turn for start, end in (right, wrong)]
    return where(length + margin >= max_length, exceed, where(correct, *curve))


def repetition_returns(
    reward: Expr,
    repeated: Expr,
    *,
    penalty: float = -0.05,
    gamma: float = 1.0,
    gamma_repetition: float = 0.99,
) -> Expr:
    """Returns per token of a final reward and a repetition penalty, each with a discount of its own.

        Gₖ = Σ_{s ≥ k} γ^(s−k) · reward · 1[s last]  +  Σ_{s ≥ k} γ_rep^(s−k) · penalty · repeatedₛ

    Args:
        reward: per sample, e.g. `cosine_length(...)`.
        repeated: 1 per token inside an n-gram seen before (`stats.RepeatedTokens(n=40)`).
        penalty: reward of a repeated token.

    Returns:
        Return per token. Unscored from the first token on where `reward` is.

    Example:
        >>> from guerdon.expr import col
        >>> repetition_returns(col("r"), col("token.repeated")).level
        'token'

    Command: guerdon score FILE --column token.id=token_ids --reward "recipes.repetition_returns(recipes.cosine_length(verify.Math(), stats.Length(), max_length=1000), stats.RepeatedTokens(n=40))"

    Source: Yeo et al. (2025), arXiv:2502.03373.
    """
    final = discounted(where(is_last("token"), reward, 0), gamma, along="token")
    return final + discounted(penalty * repeated, gamma_repetition, along="token")


def _target(correct: Expr, length: Expr, grid: dict[str, float]) -> Expr:
    whole = {name: int(value) if name in ("every", "rollouts") else value for name, value in grid.items()}
    return adaptive_target(correct, length, **whole)  # pyright: ignore[reportArgumentType]
