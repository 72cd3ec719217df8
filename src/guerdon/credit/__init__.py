"""From rewards to advantages: pure functions of arrays. They know no expression, no batch and no torch."""

from guerdon.credit.group import dr_grpo, grpo, leave_one_out

__all__ = ["dr_grpo", "grpo", "leave_one_out"]
