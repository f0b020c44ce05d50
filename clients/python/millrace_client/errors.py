"""Errors. Each `code` of the API has a class of its own: by_code["not_found"] is NotFound."""
from .types import CODES


class ApiError(Exception):
    """A response with an error. `code` is stable; a code that this client does not know yet is an ApiError, too."""

    def __init__(self, status, problem, retry_after=None):
        self.status = status
        self.problem = problem
        self.code = problem.get("code", "")
        self.detail = problem.get("detail", "")
        self.errors = problem.get("errors", [])  # [{"pointer", "message"}]
        self.execution_id = problem.get("execution_id")
        self.request_id = problem.get("request_id")
        self.retry_after = retry_after  # seconds, or None
        super().__init__(f"{status} {self.code}: {self.detail} (request {self.request_id})")


class ConnectionFailed(Exception):
    """No response came. A request that starts something was sent with an Idempotency-Key, so that it can be repeated."""

    retry_after: float | None = None  # seconds


by_code = {code: type("".join(word.capitalize() for word in code.split("_")), (ApiError,), {"__doc__": f"The API answered with `{code}`."})
           for code in CODES}
globals().update({c.__name__: c for c in by_code.values()})
