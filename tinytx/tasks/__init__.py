"""Tasks: what is asked of a body, which turns ids into vectors. A head, a loss, its count, and measures."""

from tinytx.tasks.next_token import NextToken

TASKS = {  # name in a checkpoint -> task
    "next_token": NextToken,
}

__all__ = ["NextToken", "TASKS"]
