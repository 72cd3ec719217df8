"""Trust: rewards for the thinking that count as far as they agree with the outcome."""

from __future__ import annotations

from guerdon.expr import Expr, all, any, exp, gate, mean, where
from guerdon.expr.anneal import exponential

__all__ = ["trust_grpo"]


def trust_grpo(
    outcome: Expr, thinking: Expr, *, weight: float = 0.3, steps: float = 500, threshold: float = 0.5
) -> Expr:
    """Add a judge's score of the thinking, trusted as far as it prefers the correct responses of the group.

        r = outcome + weight · e^(−t/steps) · g · thinking
        g = 1 if μ_c ≥ μ_w, else e^(μ_c − μ_w)     μ: mean thinking score of correct and of wrong responses of the group

    Args:
        outcome: per sample, in [0, 1]; correct means ≥ `threshold`.
        thinking: quality of the reasoning per sample, in [0, 1]. It is asked only in groups where it can matter.
        weight: weight of the thinking score at step 0.
        steps: training steps after which its weight has fallen to 1/e (`t` is a column or `evaluate(..., t=...)`).
        threshold: outcome from which a response counts as correct.

    Returns:
        Reward per sample. Unscored where `outcome` is or where the judge failed (`fill(judge, 0)` follows the paper, which
        counts an unreadable judgement as 0). The term is dropped where all outcomes of the group are ≥ 0.9 or all ≤ 0.1,
        and g is 1 in a group without a correct response, both as in the released code.

    Example:
        >>> from guerdon.expr import col
        >>> print(trust_grpo(col("outcome"), col("thinking")).level)
        sample

    Note:
        The released code does not send responses with outcome < 0.2 to the judge and takes 0 for them, so that g is
        nearly always 1; the paper scores every response, and so does this. For the code's way pass
        `gate(outcome >= 0.2, judge)`.

    Command: guerdon score FILE --reward "recipes.trust_grpo(verify.Math(), col('thinking'))" --column t=step

    Source: Fan et al. (2025), arXiv:2505.17018.
    """
    correct = outcome >= threshold
    mixed = ~all(outcome >= 0.9, over="group") & ~all(outcome <= 0.1, over="group")
    think = gate(mixed.named("mixed"), thinking)
    right, wrong = (mean(think, over="group", where=who, empty=0) for who in (correct, ~correct))
    trust = where((right >= wrong) | ~any(correct, over="group"), 1, exp(right - wrong)).named("trust")
    return outcome + exponential(weight, steps) * trust * think
