"""Generated from docs/openapi.json by scripts/clients. Do not edit."""
from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

CODES = ('invalid_request', 'invalid_json', 'invalid_cursor', 'invalid_idempotency_key', 'execution_terminal', 'unauthenticated', 'wrong_cell', 'insufficient_credits', 'budget_exceeded', 'budget_exists', 'budget_limit', 'budget_target_unknown', 'statement_too_large', 'insufficient_scope', 'foreign_origin', 'cross_site', 'not_found', 'method_not_allowed', 'idempotency_in_flight', 'tool_call_exists', 'execution_not_terminal', 'execution_not_delayed', 'too_many_signals', 'too_many_tickets', 'ticket_gone', 'execution_purged', 'webhook_disabled', 'reference_used', 'balance_limit', 'body_too_large', 'uri_too_long', 'unsupported_media_type', 'invalid_inputs', 'invalid_program', 'invalid_schedule', 'schedule_overlap', 'schedule_key_revoked', 'backfill_in_progress', 'tool_name_taken', 'bulk_job_ended', 'bulk_job_not_paused', 'model_not_allowed', 'idempotency_key_reused', 'rate_limited', 'concurrency_limited', 'quota_exceeded', 'internal', 'outcome_unknown', 'unavailable')


class WorkspaceLoad(TypedDict):
    id: str
    name: str
    created_at: str
    balance: float  # In credits.
    queued: int  # Executions that an executor could take.
    running: int  # Executions that executors have in memory.
    waiting: int  # Executions that are parked, or wait for their start.
    oldest_queued_seconds: float | None  # How long ago the first of the queued ones was accepted.
    accepted_per_minute: int  # Executions that were accepted within the last minute.
    ended_per_minute: int  # Of these
    failed_per_minute: int  # Of these
    limits: WorkspaceLimits


class WorkspaceLimits(TypedDict):
    rate_limit_per_minute: NotRequired[int | None]  # Requests a minute. null: the setting applies.
    max_concurrent: NotRequired[int | None]  # Executions that have not ended. null: no limit.


class SessionWorkspace(TypedDict):
    """The key's workspace. An operator names one in `X-Millrace-Workspace`."""

    id: str
    name: str


class Session(TypedDict):
    kind: Literal['key', 'operator']
    name: str  # The displayed beginning of the API key, or the operator's name.
    role: Literal['viewer', 'operator', 'billing', 'admin', None]  # Of an operator.
    scopes: list[str]  # What the session may do.
    workspace: SessionWorkspace | None  # The key's workspace. An operator names one in `X-Millrace-Workspace`.
    created_at: str
    expires_at: str  # When the session ends however much it is used.
    idle_expires_at: str  # When the session ends if no further request comes.


class Budget(TypedDict):
    id: str
    scope: BudgetScope
    target: str | None  # Null for `workspace`.
    period: BudgetPeriod
    limit: Credits
    soft_percent: int | None
    used: Credits
    remaining: Credits
    level: Literal['ok', 'soft', 'exceeded']  # `soft`: soft_percent of the limit is reached. `exceeded`: the limit is reached.
    started_at: TimeOffset
    reset_at: TimeOffset | None  # Null for `total`.
    created_at: TimeOffset
    updated_at: TimeOffset


class Price(TypedDict):
    responder_id: str
    kind: Literal['workflow', 'skill']
    credits: Credits  # What is debited when a run is accepted, what is held included.
    held: Credits  # The part of `credits` that is held for what the run uses. At the end of the run, what it did not use is released.
    source: Literal['default', 'workspace', 'responder', 'program', 'price_list']  # What sets the price: the operator's price of the workflow or skill (`responder`) or of the workspace, the program or manifest, which asks for more, a dated price (`price_list`), or nothing (`default`, 1 credit).
    price_list_id: str | None  # The dated price that is in force for a run which names no model; null: none.


class PriceListUse(TypedDict):
    """What is charged for what a run uses. A unit without a price is absent."""

    input_tokens: NotRequired[UnitPrice]
    output_tokens: NotRequired[UnitPrice]
    cached_tokens: NotRequired[UnitPrice]
    seconds: NotRequired[UnitPrice]
    bytes: NotRequired[UnitPrice]


class PriceList(TypedDict):
    id: str
    responder_id: str | None  # The workflow or skill; null: all.
    model: str | None  # The alias of a model; null: all runs, also those without a model.
    effective_from: str
    in_force: bool  # False: it is to come.
    ended: bool  # From then on there is no dated price for this workflow, skill and model; less specific ones count.
    held: Credits  # The most that a run's use can cost.
    use: PriceListUse  # What is charged for what a run uses. A unit without a price is absent.
    credits: Credits | None  # The fixed part; null: the prices without a date.


class UnitPrice(TypedDict):
    credits: Credits  # For a million tokens, a second, or a million bytes.
    max: int  # The most that is charged: tokens, seconds or bytes.


class Estimate(TypedDict):
    credits: Credits  # What is debited when the run is accepted, what is held included.
    held: Credits  # The part of `credits` that is held for what the run uses.
    price_list_id: str | None  # The dated price; null: none is in force for this run.
    balance: Credits
    covered: bool  # The balance covers the price. Budgets and limits are not looked at.


class CreditAlertsBalanceItem(TypedDict):
    credits: float | None  # Null for a percentage.
    percent: int | None  # Of the last top-up; null for an amount.
    line: float | None  # The balance at which it is told; null: there was no top-up yet.
    low: bool  # The balance is at the line or below.


class CreditAlertsSpend(TypedDict):
    percent: int
    at_least: Credits
    usual: float | None  # The median of up to seven days before; null: fewer than three are known.
    line: float | None  # Spending more is told; null while `usual` is.
    spent: Credits
    high: bool  # It was told in this day.
    reset_at: TimeOffset


class CreditAlerts(TypedDict):
    balance: list[CreditAlertsBalanceItem]
    spend: CreditAlertsSpend | None
    last_top_up: float | None  # The paid grant that started last; null: there was none.


class ChatObject(TypedDict):
    """The chat, message and tool call that started the run."""

    thread_id: NotRequired[str | None]
    message_id: NotRequired[str | None]
    tool_call_id: NotRequired[str | None]  # Unique in the workspace.


class ProblemErrorsItem(TypedDict):
    pointer: str
    message: str


class Problem(TypedDict):
    """Problem details (RFC 9457). `error` equals `detail`. `code` is stable."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    code: Literal['invalid_request', 'invalid_json', 'invalid_cursor', 'invalid_idempotency_key', 'execution_terminal', 'unauthenticated', 'wrong_cell', 'insufficient_credits', 'budget_exceeded', 'budget_exists', 'budget_limit', 'budget_target_unknown', 'statement_too_large', 'insufficient_scope', 'foreign_origin', 'cross_site', 'not_found', 'method_not_allowed', 'idempotency_in_flight', 'tool_call_exists', 'execution_not_terminal', 'execution_not_delayed', 'too_many_signals', 'too_many_tickets', 'ticket_gone', 'execution_purged', 'webhook_disabled', 'reference_used', 'balance_limit', 'body_too_large', 'uri_too_long', 'unsupported_media_type', 'invalid_inputs', 'invalid_program', 'invalid_schedule', 'schedule_overlap', 'schedule_key_revoked', 'backfill_in_progress', 'tool_name_taken', 'bulk_job_ended', 'bulk_job_not_paused', 'model_not_allowed', 'idempotency_key_reused', 'rate_limited', 'concurrency_limited', 'quota_exceeded', 'internal', 'outcome_unknown', 'unavailable']
    errors: NotRequired[list[ProblemErrorsItem]]
    execution_id: NotRequired[str]  # The existing execution that conflicts with the request.
    budget_id: NotRequired[str | None]  # Of `budget_exceeded`: the budget that does not allow the run; null if the run matches more than 8.
    reset_at: NotRequired[TimeOffset | None]  # Of `budget_exceeded`: when the budget's next period begins; null: never.
    request_id: str


class McpMessageError(TypedDict):
    code: int
    message: str


class McpMessage(TypedDict):
    """A message of JSON-RPC 2.0. The specification of the Model Context Protocol describes `params` and `result`."""

    jsonrpc: Literal['2.0']
    id: NotRequired[str | int]
    method: NotRequired[str]
    params: NotRequired[dict[str, Any]]
    result: NotRequired[dict[str, Any]]
    error: NotRequired[McpMessageError]


class WorkflowItem(TypedDict):
    id: str
    name: str
    description: str
    created_by: str  # Id of the principal.
    created_at: TimeOffset
    updated_at: TimeOffset
    last_run_at: TimeOffset | None
    version: int
    expose: bool  # Whether agents see the workflow as a tool.
    tool: str | None  # The name of the tool.


class BulkFilter(TypedDict):
    """The filters of the list of executions; all of them must match. At most 16,384 bytes as sent."""

    state: NotRequired[State]
    status: NotRequired[Status]
    workflow_id: NotRequired[str]  # Executions of this workflow.
    skill: NotRequired[str]  # Executions of the installed skill with this slug. It is one more of `responderIds`.
    responderIds: NotRequired[list[str]]  # Ids of workflows or skills.
    tag: NotRequired[str]
    parentId: NotRequired[str]  # Direct children of this execution.
    batch_id: NotRequired[str]  # Executions that this batch has started.
    created_after: NotRequired[Moment]
    created_before: NotRequired[Moment]
    error: NotRequired[str]  # Failed executions with this text in their error, of the newest 10,000. Not to stop.
    error_hash: NotRequired[str]  # Failed executions of this group of `GET /executions/errors`, of the newest 10,000. Not to stop.


BulkNew = TypedDict('BulkNew', {
    'action': "BulkAction",
    'filter': "BulkFilter",
    'dry_run': "NotRequired[bool]",
    'from': "NotRequired[str]",
    'version': "NotRequired[Literal['same', 'current']]",
})


class BulkPreview(TypedDict):
    dry_run: Literal[True]
    action: BulkAction
    matched: int  # How many executions match; 10000 for more. A lower bound if `matched_text` ends with `+`.
    matched_text: str  # The same as text: `10,000+` if there are more than 10000; with `+` also if only the newest 20,000 executions were looked at.
    sample: list[str]  # The newest ones.


class BulkJobProgressReasons(TypedDict):
    skipped: dict[str, int]
    failed: dict[str, int]


class BulkJobProgress(TypedDict):
    matched: int  # Executions of the job that were collected so far.
    pending: int
    done: int
    skipped: int
    failed: int
    reasons: BulkJobProgressReasons


BulkJob = TypedDict('BulkJob', {
    'id': "str",
    'action': "BulkAction",
    'state': "Literal['collecting', 'running', 'paused', 'completed', 'cancelled']",
    'reason': "str | None",
    'filter': "BulkFilter",
    'from': "str | None",
    'version': "str | None",
    'progress': "BulkJobProgress",
    'truncated': "bool",
    'created_at': "TimeOffset",
    'updated_at': "TimeOffset",
    'ended_at': "TimeOffset | None",
})


class BulkItem(TypedDict):
    execution_id: str
    outcome: BulkOutcome
    reason: Literal['state_changed', 'removed', 'purged', 'child', 'scope', 'archived', 'invalid_inputs', 'model_not_allowed', 'from_not_possible', 'not_for_skills', 'internal', None]  # Why it was skipped or failed.
    new_execution_id: str | None  # The execution that a retry has started.
    decided_at: TimeOffset | None


class Schedule(TypedDict):
    id: str
    workflow_id: str | None
    skill: str | None  # The slug of the skill.
    inputs: dict[str, Any] | None
    tags: list[str] | None
    metadata: dict[str, Any] | None
    cron: str | None
    every_seconds: int | None
    at: TimeOffset | None
    timezone: str
    jitter_seconds: int
    overlap: Literal['skip', 'queue_one', 'allow', 'stop_previous']
    catch_up_seconds: int
    start_at: TimeOffset | None
    end_at: TimeOffset | None
    paused: bool
    pause_reason: Literal['caller', 'key_revoked', None]
    state: Literal['active', 'paused', 'finished']
    next_at: TimeOffset | None
    note: str
    principal_id: str  # For whom the runs act: the creator, or whoever wrote `inputs` last or resumed the schedule after its key was revoked.
    created_at: TimeOffset
    updated_at: TimeOffset


class Occurrence(TypedDict):
    scheduled_for: TimeOffset
    origin: Literal['schedule', 'trigger', 'backfill']
    state: Literal['started', 'waiting', 'skipped', 'missed', 'refused']
    reason: Literal['overlap', 'late', 'insufficient_credits', 'concurrency_limited', 'archived', 'invalid_inputs', 'budget_exceeded', None]
    execution_id: str | None
    decided_at: TimeOffset


class Workflow(TypedDict):
    id: str
    name: str
    description: str
    created_by: str  # Id of the principal.
    created_at: TimeOffset
    updated_at: TimeOffset
    last_run_at: TimeOffset | None
    version: int
    expose: bool  # Whether agents see the workflow as a tool.
    tool: str | None  # The name of the tool.
    program: dict[str, Any]
    warnings: NotRequired[list[str]]  # Only in the response that stores the program: what it refers to and the workspace does not have yet.


class BatchCounts(TypedDict):
    """These runs by state."""

    queued: int
    running: int
    succeeded: int
    failed: int
    stopped: int


class Batch(TypedDict):
    batch_id: str
    workflow_id: str
    created_at: str
    status: Literal['accepting', 'running', 'finished']  # accepting: the request is in progress, or was cut off and can be repeated with its key. running: runs have not ended. finished: all have.
    items: int | None  # Items of the request; null if it had no Idempotency-Key or is older than 24 hours.
    accepted: int  # Runs that the batch has started and that retention has not removed.
    counts: BatchCounts  # These runs by state.


class BatchResultsResultsItem(TypedDict):
    status: Literal[202]
    execution_id: str
    replayed: NotRequired[Literal[True]]  # The key of the item was known; it started no run.


class BatchResultsResultsItem1(TypedDict):
    status: int
    code: str
    detail: str
    errors: NotRequired[list[Any]]  # The first violation.


class BatchResults(TypedDict):
    batch_id: str
    accepted: int  # Runs that this batch has started.
    results: list[BatchResultsResultsItem | BatchResultsResultsItem1]


class Accepted(TypedDict):
    execution_id: str
    workflow_id: str | None  # Null for the retry of a skill.
    status: Literal['running']
    created_at: TimeOffset
    retry_of: NotRequired[str]
    start_at: NotRequired[TimeOffset]
    expires_at: NotRequired[TimeOffset]


class ExecutionFields(TypedDict):
    id: str
    execution_id: str  # Equals `id`.
    workspaceId: str
    status: Status  # The same as `state` in fewer words; `running` includes queued.
    state: State
    responderId: str  # Id of the workflow or skill.
    workflow_id: str | None  # Equals `responderId`; null for a skill.
    workflow_name: str | None
    parentId: str | None
    createdAt: TimeZ  # The same moment as `created_at`.
    created_at: TimeOffset
    updatedAt: TimeZ
    startedAt: TimeZ  # The same moment as `started_at`.
    started_at: TimeOffset
    endedAt: TimeZ | None  # The same moment as `completed_at`.
    completed_at: TimeOffset | None
    isAgentic: bool  # True if the responder is a skill that calls a model.
    isPurged: bool
    creditsUsed: Credits
    error: str | None
    failure_reason: FailureReason
    retry_of: str | None
    trace_id: str  # The trace of the execution, as in the header `traceparent`.
    tags: list[str]
    metadata: dict[str, Any]
    detail: Detail
    start_at: TimeOffset | None  # When the execution starts, or was to start, at the earliest; null if that was at once.
    expires_at: TimeOffset | None  # The execution fails with `expired` if it is not started before; null for never.


class WorkflowDetail(TypedDict):
    type: Literal['workflow']
    version: int  # Version of the program.
    source: Source
    total_credits_used: NotRequired[Credits]
    input: NotRequired[Any]  # The inputs as sent. Absent in lists and in children; null after a purge.
    output: NotRequired[Any]  # The output. Absent in lists and in children; null after a purge.


class SkillDetail(TypedDict):
    type: Literal['skill']
    version: int  # Number of the installed version: 1, 2, 3 …
    source: Source
    slug: str | None
    skill_version: str | None  # Version in the manifest.
    model: str | None
    file_source_ids: list[str] | None
    total_credits_used: NotRequired[Credits]
    input: NotRequired[Any]  # The inputs as sent. Absent in lists and in children; null after a purge.
    output: NotRequired[Any]  # The output. Absent in lists and in children; null after a purge.


Retry = TypedDict('Retry', {
    'from': "NotRequired[str]",
    'inputs': "NotRequired[Any]",
    'version': "NotRequired[Literal['same', 'current']]",
})


class Step(TypedDict):
    index: int
    name: str | None
    type: Literal['http', 'transform', 'delay', 'fail', 'workflow', 'skill', 'wait', None]
    status: Literal['pending', 'running', 'completed', 'failed', 'skipped']
    result: Any  # The result; null until the step is completed. A failed http step keeps {status, headers, body} here if a response has come.
    error: str | None
    attempts: int
    adopted_from: str | None  # The execution from which a retry has adopted the step; its result, times and attempts are of there.
    started_at: TimeOffset | None
    completed_at: TimeOffset | None


class ExecutionFilesMissing(TypedDict):
    """The names of file_source_ids under which the key had no file when the skill began; null if none is missing. Absent in lists, and of workflows."""

    count: int
    names: list[str]  # The first 20.


class ExecutionLogs(TypedDict):
    """Where the log of a skill's run is; null if it has none. Absent in lists, and of workflows."""

    url: str
    size_bytes: int | None  # Null while the run lasts.


class Execution(TypedDict):
    id: str
    execution_id: str  # Equals `id`.
    workspaceId: str
    status: Status  # The same as `state` in fewer words; `running` includes queued.
    state: State
    responderId: str  # Id of the workflow or skill.
    workflow_id: str | None  # Equals `responderId`; null for a skill.
    workflow_name: str | None
    parentId: str | None
    createdAt: TimeZ  # The same moment as `created_at`.
    created_at: TimeOffset
    updatedAt: TimeZ
    startedAt: TimeZ  # The same moment as `started_at`.
    started_at: TimeOffset
    endedAt: TimeZ | None  # The same moment as `completed_at`.
    completed_at: TimeOffset | None
    isAgentic: bool  # True if the responder is a skill that calls a model.
    isPurged: bool
    creditsUsed: Credits
    error: str | None
    failure_reason: FailureReason
    retry_of: str | None
    trace_id: str  # The trace of the execution, as in the header `traceparent`.
    tags: list[str]
    metadata: dict[str, Any]
    detail: Detail
    start_at: TimeOffset | None  # When the execution starts, or was to start, at the earliest; null if that was at once.
    expires_at: TimeOffset | None  # The execution fails with `expired` if it is not started before; null for never.
    steps: NotRequired[list[Step]]
    retried_by: NotRequired[list[str]]  # The retries of this execution, newest first, at most 100. Absent in lists.
    artifacts: NotRequired[list[Artifact]]  # What a skill left in outputs/. Absent in lists, and of workflows.
    files_missing: NotRequired[ExecutionFilesMissing | None]  # The names of file_source_ids under which the key had no file when the skill began; null if none is missing. Absent in lists, and of workflows.
    logs: NotRequired[ExecutionLogs | None]  # Where the log of a skill's run is; null if it has none. Absent in lists, and of workflows.


class Nesting(TypedDict):
    id: str
    execution_id: str  # Equals `id`.
    workspaceId: str
    status: Status  # The same as `state` in fewer words; `running` includes queued.
    state: State
    responderId: str  # Id of the workflow or skill.
    workflow_id: str | None  # Equals `responderId`; null for a skill.
    workflow_name: str | None
    parentId: str | None
    createdAt: TimeZ  # The same moment as `created_at`.
    created_at: TimeOffset
    updatedAt: TimeZ
    startedAt: TimeZ  # The same moment as `started_at`.
    started_at: TimeOffset
    endedAt: TimeZ | None  # The same moment as `completed_at`.
    completed_at: TimeOffset | None
    isAgentic: bool  # True if the responder is a skill that calls a model.
    isPurged: bool
    creditsUsed: Credits
    error: str | None
    failure_reason: FailureReason
    retry_of: str | None
    trace_id: str  # The trace of the execution, as in the header `traceparent`.
    tags: list[str]
    metadata: dict[str, Any]
    detail: Detail
    start_at: TimeOffset | None  # When the execution starts, or was to start, at the earliest; null if that was at once.
    expires_at: TimeOffset | None  # The execution fails with `expired` if it is not started before; null for never.
    children: list[Nesting]
    children_truncated: bool  # True if some children are missing.


class ExecutionPage(TypedDict):
    executions: list[Execution]
    has_more: bool
    next_cursor: NotRequired[str | None]  # Present in pages by cursor.
    pageNumber: NotRequired[int]  # Present in pages by number.
    pageSize: NotRequired[int]  # Present in pages by number.


class ErrorGroups(TypedDict):
    groups: list[ErrorGroup]
    has_more: bool  # There are smaller groups.
    considered: int  # How many failed executions were grouped.


class ErrorGroupRespondersItem(TypedDict):
    type: Literal['workflow', 'skill']
    id: str
    name: str | None


class ErrorGroup(TypedDict):
    hash: ErrorHash
    reason: FailureReason
    step: str | None  # Name of the step that failed; null if none did.
    error: str | None  # The error of the execution `execution_id`, as an example.
    count: int
    first_at: str  # When the first of them ended.
    last_at: str  # When the last of them ended.
    execution_id: str  # The execution that was accepted last.
    responder_id: str  # Its workflow or skill.
    responder_count: int  # How many workflows and skills have this error.
    responders: list[ErrorGroupRespondersItem]  # At most five of them.


class Event(TypedDict):
    """One event of an execution, as it is sent in the stream."""

    execution_id: str
    seq: int
    type: Literal['execution.queued', 'execution.started', 'step.started', 'step.succeeded', 'step.failed', 'step.skipped', 'log', 'progress', 'artifact.created', 'execution.child_started', 'execution.requeued', 'execution.succeeded', 'execution.failed', 'execution.stopped', 'step.retrying', 'artifacts.refused', 'files.missing', 'execution.moved', 'step.adopted', 'step.waiting', 'signal.rejected']
    at: str
    data: dict[str, Any]


class ExecutorLogLine(TypedDict):
    """A line of the executors' log. The other members are the fields of the line, such as `execution` and `workspace`."""

    host: str  # The host of the executor.
    at: str
    level: Literal['debug', 'info', 'warn', 'error']
    process: str  # Program and process id, for example `executor[812]`.
    event: str  # What happened, for example `run.claimed`.
    cut: NotRequired[Literal[True]]  # The line was too long.


class LogGap(TypedDict):
    """Lines are missing here, because they are not kept any more."""

    type: Literal['log.gap']


class FeedEventEnded(TypedDict):
    """How many executions that match have ended since the `feed.summary` before this one."""

    succeeded: int
    failed: int
    stopped: int


class FeedEvent(TypedDict):
    """The end of an execution, as it is sent in the workspace's feed; or `feed.gap`, which has no other members than `type` and `resumed_after`; or `feed.summary`, which has no others than `type` and `ended`."""

    execution_id: NotRequired[str]
    seq: NotRequired[int]  # The number of the event in the stream of the execution.
    type: Literal['execution.succeeded', 'execution.failed', 'execution.stopped', 'feed.gap', 'feed.summary']
    at: NotRequired[str]
    data: NotRequired[dict[str, Any]]  # `failure_reason` of an execution that failed.
    responder_id: NotRequired[str]
    kind: NotRequired[Literal['workflow', 'skill']]
    parent_id: NotRequired[str | None]
    tags: NotRequired[list[str]]
    resumed_after: NotRequired[int]  # Events up to this id are not kept any more.
    ended: NotRequired[FeedEventEnded]  # How many executions that match have ended since the `feed.summary` before this one.


class SkillVersionsItem(TypedDict):
    version: str
    is_current: bool
    created_at: TimeZ


class Skill(TypedDict):
    id: str
    space_id: str
    slug: str
    name: str
    description: str
    version: str  # The current version.
    is_agentic: bool
    created_at: TimeZ
    updated_at: TimeZ
    versions: list[SkillVersionsItem]
    manifest: dict[str, Any]  # See docs/skills.md.


class SkillExecutionFieldsResourceUsage(TypedDict):
    input_tokens: int
    output_tokens: int
    cost_usd: str
    wallclock_ms: int | None
    iteration_count: int


class SkillExecutionFields(TypedDict):
    id: str
    tenant_id: str
    space_id: str
    principal_id: str
    skill_slug: str
    skill_version: str | None
    source: Source
    state: State
    parent_execution_id: str | None
    created_at: TimeZ
    started_at: TimeZ | None
    finished_at: TimeZ | None
    failure_reason: FailureReason
    resource_usage: SkillExecutionFieldsResourceUsage


class SkillChildResourceUsage(TypedDict):
    input_tokens: int
    output_tokens: int
    cost_usd: str
    wallclock_ms: int | None
    iteration_count: int


class SkillChild(TypedDict):
    id: str
    tenant_id: str
    space_id: str
    principal_id: str
    skill_slug: str
    skill_version: str | None
    source: Source
    state: State
    parent_execution_id: str | None
    created_at: TimeZ
    started_at: TimeZ | None
    finished_at: TimeZ | None
    failure_reason: FailureReason
    resource_usage: SkillChildResourceUsage


class Artifact(TypedDict):
    artifact_id: str
    relpath_in_workspace: str | None
    document_type: str | None
    download_url: str
    size_bytes: int | None


class SkillExecutionResourceUsage(TypedDict):
    input_tokens: int
    output_tokens: int
    cost_usd: str
    wallclock_ms: int | None
    iteration_count: int


class SkillExecution(TypedDict):
    id: str
    tenant_id: str
    space_id: str
    principal_id: str
    skill_slug: str
    skill_version: str | None
    source: Source
    state: State
    parent_execution_id: str | None
    created_at: TimeZ
    started_at: TimeZ | None
    finished_at: TimeZ | None
    failure_reason: FailureReason
    resource_usage: SkillExecutionResourceUsage
    inputs: dict[str, Any] | None
    outputs: dict[str, Any] | None
    error: str | None
    artifacts: list[Artifact]
    sub_executions: list[SkillChild]
    chat_thread_id: str | None
    chat_message_id: str | None
    chat_tool_call_id: str | None
    workspace_archive_id: None
    langfuse_trace_id: str | None
    idempotency_key: str | None


class File(TypedDict):
    name: str
    size_bytes: int
    media_type: str
    created_at: TimeZ


class WebhookFilterObject(TypedDict):
    """Executions that match all given members. Null removes a member."""

    workflow_id: NotRequired[str | None]  # The id of a workflow or skill.
    tags: NotRequired[list[str] | None]  # Executions that have all of these tags.


class OwnWebhookObject(TypedDict):
    """A webhook of this execution alone, signed with the secret of `GET /webhooks/secret`."""

    url: WebhookUrl
    events: NotRequired[list[Literal['execution.started', 'execution.waiting', 'execution.succeeded', 'execution.failed', 'execution.stopped']] | None]  # Absent or null selects the end of the execution.


class WebhookFilter(TypedDict):
    workflow_id: str | None
    tags: list[str] | None


class Webhook(TypedDict):
    id: str
    url: str
    events: list[WebhookEvent]
    filter: WebhookFilter
    description: str | None
    enabled: bool
    disabled_reason: Literal['by_request', 'gone', 'failing', None]  # `gone`: it answered 410. `failing`: no try succeeded for five days.
    disabled_at: TimeOffset | None
    failing_since: TimeOffset | None  # No try has succeeded since.
    created_at: TimeOffset
    updated_at: TimeOffset
    secret: NotRequired[str]  # Only in the response that makes it.


class WebhookDelivery(TypedDict):
    id: str
    message_id: str  # The header `webhook-id` of all tries.
    event: WebhookEvent
    execution_id: str | None
    state: Literal['pending', 'delivered', 'failed', 'dropped']  # `dropped`: the execution was purged before the delivery.
    tries: int
    status: int | None  # HTTP status of the last answer.
    error: str | None  # Why the last try failed.
    response: str | None  # The beginning of the last answer, at most 1 KiB; bytes that are not printable ASCII are shown as `?`.
    created_at: TimeOffset
    tried_at: TimeOffset | None
    next_try_at: TimeOffset | None  # Of a pending delivery.


class UsageSums(TypedDict):
    runs: int
    debited: Credits
    refunded: Credits
    used: Credits  # Debited minus refunded.


class UsageUsageItem(TypedDict):
    runs: int
    debited: Credits
    refunded: Credits
    used: Credits  # Debited minus refunded.
    day: NotRequired[str]
    responder_id: NotRequired[str | None]
    key_id: NotRequired[str | None]


Usage = TypedDict('Usage', {
    'from': "TimeOffset",
    'to': "TimeOffset",
    'group_by': "Literal['day', 'responder', 'key']",
    'usage': "list[UsageUsageItem]",
    'total': "UsageSums",
})


class StatementLinesItem(TypedDict):
    runs: int
    debited: Credits
    refunded: Credits
    used: Credits  # Debited minus refunded.
    responder_id: str | None
    responder: str | None  # Name of the workflow, or slug of the skill.
    key_id: str | None
    key_prefix: str | None


class StatementGrantLinesItem(TypedDict):
    grant_id: str | None
    category: Literal['paid', 'promotional', None]
    reference: str | None
    note: str | None
    grants: Credits
    expired: Credits
    voided: Credits


Statement = TypedDict('Statement', {
    'workspace_id': "str",
    'workspace': "str",
    'month': "str",
    'timezone': "str",
    'from': "TimeOffset",
    'to': "TimeOffset",
    'opening': "Credits",
    'grants': "Credits",
    'usage': "Credits",
    'refunds': "Credits",
    'releases': "Credits",
    'expired': "Credits",
    'voided': "Credits",
    'other': "NotRequired[Credits]",
    'closing': "Credits",
    'runs': "int",
    'lines': "list[StatementLinesItem]",
    'grant_lines': "list[StatementGrantLinesItem]",
})


class LedgerEntryGrantsItem(TypedDict):
    grant_id: str
    amount: Credits


class LedgerEntry(TypedDict):
    id: str  # Id of the entry; the id of a debit is the id of its execution.
    kind: Literal['grant', 'debit', 'refund', 'expiry', 'void', 'release']
    amount: Credits
    created_at: TimeOffset
    execution_id: str | None
    responder_id: str | None
    key_id: str | None
    reason: str | None
    grants: list[LedgerEntryGrantsItem]  # The grants that the amount came from or went to. Their amounts add up to `amount`; empty if that is 0.


class NewGrant(TypedDict):
    credits: float  # At most six decimal places.
    category: NotRequired[Literal['paid', 'promotional']]
    priority: NotRequired[int]  # Grants with the lowest number are used first.
    effective_from: NotRequired[str | None]  # Start; before it, the credits are not in the balance. Default: now.
    expires_at: NotRequired[str | None]  # What is left then is taken out of the balance. Default: never.
    reference: NotRequired[str | None]  # Makes the grant idempotent in its workspace.
    note: NotRequired[str | None]


class Grant(TypedDict):
    id: str
    status: Literal['scheduled', 'active', 'used', 'expired', 'voided']
    credits: Credits
    remaining: Credits
    category: Literal['paid', 'promotional']
    priority: int
    effective_from: TimeOffset
    expires_at: TimeOffset | None
    created_at: TimeOffset
    ended_at: TimeOffset | None  # When it expired or was voided.
    refund_of: str | None  # The expired grant whose refunds this one takes.
    reference: str | None
    note: str | None


class ListWorkflowsResponse(TypedDict):
    workflows: list[WorkflowItem]
    has_more: bool
    next_cursor: str | None


class CreateWorkflowBody(TypedDict):
    name: str
    description: NotRequired[str | None]
    expose: NotRequired[bool | None]  # Whether agents see the workflow as a tool.
    program: dict[str, Any]  # See docs/workflows.md.


class UpdateWorkflowBody(TypedDict):
    name: str
    description: NotRequired[str | None]
    expose: NotRequired[bool | None]  # Whether agents see the workflow as a tool.
    program: dict[str, Any]  # See docs/workflows.md.


class EstimateWorkflowBody(TypedDict):
    inputs: NotRequired[dict[str, Any] | None]
    tags: NotRequired[list[str] | None]
    metadata: NotRequired[dict[str, Any] | None]
    chat: NotRequired[Chat]
    webhook: NotRequired[OwnWebhook]
    start_at: NotRequired[StartAt]
    delay_seconds: NotRequired[DelaySeconds]
    expires_at: NotRequired[ExpiresAt]
    ttl_seconds: NotRequired[TtlSeconds]


class RunWorkflowBody(TypedDict):
    inputs: NotRequired[dict[str, Any] | None]
    tags: NotRequired[list[str] | None]
    metadata: NotRequired[dict[str, Any] | None]
    chat: NotRequired[Chat]
    webhook: NotRequired[OwnWebhook]
    start_at: NotRequired[StartAt]
    delay_seconds: NotRequired[DelaySeconds]
    expires_at: NotRequired[ExpiresAt]
    ttl_seconds: NotRequired[TtlSeconds]


class RunWorkflowBatchBodyItemsItem(TypedDict):
    inputs: NotRequired[dict[str, Any] | None]
    idempotency_key: NotRequired[str | None]
    tags: NotRequired[list[str] | None]
    metadata: NotRequired[dict[str, Any] | None]
    chat: NotRequired[Chat]
    webhook: NotRequired[OwnWebhook]
    start_at: NotRequired[StartAt]
    delay_seconds: NotRequired[DelaySeconds]
    expires_at: NotRequired[ExpiresAt]
    ttl_seconds: NotRequired[TtlSeconds]


class RunWorkflowBatchBody(TypedDict):
    items: list[RunWorkflowBatchBodyItemsItem]


class MoveExecutionBody(TypedDict):
    start_at: NotRequired[StartAt]
    delay_seconds: NotRequired[DelaySeconds]


class StopExecutionResponse(TypedDict):
    execution_id: str
    status: Literal['stopped']


class SendSignalResponse202(TypedDict):
    execution_id: str
    signal: str
    state: Literal['delivered', 'kept']


class CreateSignalTicketBodyChoicesItem1(TypedDict):
    label: str
    data: Any


class CreateSignalTicketBody(TypedDict):
    expires_seconds: NotRequired[int]
    question: NotRequired[str]  # Shown on the page instead of the `message` of the wait. At most 4096 bytes.
    recipient: NotRequired[str]  # Who gets the URL; stands in `by` of the signal. At most 256 bytes, without control characters.
    choices: NotRequired[list[str | CreateSignalTicketBodyChoicesItem1]]  # One button each, instead of a form. A text is its own data. Other data is refused. At most 16 KiB as JSON.


class CreateSignalTicketResponse201(TypedDict):
    ticket_id: str
    execution_id: str
    signal: str
    url: str  # Under the setting `api.public_url`, or else under the Host of this request.
    expires_at: str


class CreateTicketResponse201(TypedDict):
    url: str


class ListSkillsResponse(TypedDict):
    data: list[Skill]


class GetSkillResponse(TypedDict):
    data: Skill


class EstimateSkillBody(TypedDict):
    inputs: dict[str, Any]
    file_source_ids: NotRequired[list[str] | None]  # Names of the principal's files. A name without a file is ignored.
    model: NotRequired[str | None | dict[str, Any]]  # Alias of a model of the space. Absent, null or `{}` selects the default model.
    chat: NotRequired[Chat]
    webhook: NotRequired[OwnWebhook]
    start_at: NotRequired[StartAt]
    delay_seconds: NotRequired[DelaySeconds]
    expires_at: NotRequired[ExpiresAt]
    ttl_seconds: NotRequired[TtlSeconds]


class RunSkillBody(TypedDict):
    inputs: dict[str, Any]
    file_source_ids: NotRequired[list[str] | None]  # Names of the principal's files. A name without a file is ignored.
    model: NotRequired[str | None | dict[str, Any]]  # Alias of a model of the space. Absent, null or `{}` selects the default model.
    chat: NotRequired[Chat]
    webhook: NotRequired[OwnWebhook]
    start_at: NotRequired[StartAt]
    delay_seconds: NotRequired[DelaySeconds]
    expires_at: NotRequired[ExpiresAt]
    ttl_seconds: NotRequired[TtlSeconds]


class RunSkillResponse(TypedDict):
    data: SkillExecution


class RunSkillResponse201(TypedDict):
    data: SkillExecution


class FindSkillExecutionResponse(TypedDict):
    data: SkillExecution


class GetSkillExecutionResponse(TypedDict):
    data: SkillExecution


class CancelSkillExecutionResponse(TypedDict):
    data: SkillExecution


class CreateSkillTicketResponse201(TypedDict):
    url: str


class ListFilesResponse(TypedDict):
    files: list[File]
    has_more: bool
    next_cursor: str | None


class UploadFilesResponse201(TypedDict):
    source_ids: list[str]


class ListBulkJobsResponse(TypedDict):
    bulk_jobs: list[BulkJob]
    has_more: bool
    next_cursor: str | None


class ListBulkItemsResponse(TypedDict):
    items: list[BulkItem]
    has_more: bool
    next_cursor: str | None


class ListSchedulesResponse(TypedDict):
    schedules: list[Schedule]
    has_more: bool
    next_cursor: str | None


class CreateScheduleBody(TypedDict):
    workflow_id: NotRequired[str | None]  # Exactly one of `workflow_id` and `skill`.
    skill: NotRequired[str | None]  # The slug of a skill.
    inputs: NotRequired[dict[str, Any] | None]
    tags: NotRequired[list[str] | None]
    metadata: NotRequired[dict[str, Any] | None]
    cron: NotRequired[str | None]  # Five fields, see docs/schedules.md.
    every_seconds: NotRequired[int | None]
    at: NotRequired[str | None]
    timezone: NotRequired[str]  # A name of the IANA database.
    jitter_seconds: NotRequired[int]
    overlap: NotRequired[Literal['skip', 'queue_one', 'allow', 'stop_previous']]
    catch_up_seconds: NotRequired[int]
    start_at: NotRequired[str | None]
    end_at: NotRequired[str | None]
    paused: NotRequired[bool]
    note: NotRequired[str]


class PreviewUpcomingResponse(TypedDict):
    upcoming: list[str]


class ChangeScheduleBody(TypedDict):
    inputs: NotRequired[dict[str, Any] | None]
    tags: NotRequired[list[str] | None]
    metadata: NotRequired[dict[str, Any] | None]
    cron: NotRequired[str | None]  # Five fields, see docs/schedules.md.
    every_seconds: NotRequired[int | None]
    at: NotRequired[str | None]
    timezone: NotRequired[str]  # A name of the IANA database.
    jitter_seconds: NotRequired[int]
    overlap: NotRequired[Literal['skip', 'queue_one', 'allow', 'stop_previous']]
    catch_up_seconds: NotRequired[int]
    start_at: NotRequired[str | None]
    end_at: NotRequired[str | None]
    paused: NotRequired[bool]
    note: NotRequired[str]


BackfillScheduleBody = TypedDict('BackfillScheduleBody', {
    'from': "str",
    'to': "str",
})


class BackfillScheduleResponse202(TypedDict):
    occurrences: int  # How many will be started.
    existing: int  # How many times have an occurrence already.


class ListUpcomingResponse(TypedDict):
    upcoming: list[str]


class ListOccurrencesResponse(TypedDict):
    occurrences: list[Occurrence]
    has_more: bool
    next_cursor: str | None


class ListWebhooksResponse(TypedDict):
    webhooks: list[Webhook]
    has_more: bool
    next_cursor: str | None


class CreateWebhookBody(TypedDict):
    url: WebhookUrl
    events: NotRequired[WebhookEvents]
    filter: NotRequired[WebhookFilter]
    description: NotRequired[str | None]
    enabled: NotRequired[bool | None]
    secret: NotRequired[WebhookSecret]


class GetWebhookSecretResponse(TypedDict):
    secret: str


class ChangeWebhookBody(TypedDict):
    url: NotRequired[WebhookUrl]
    events: NotRequired[WebhookEvents]
    filter: NotRequired[WebhookFilter]
    description: NotRequired[str | None]
    enabled: NotRequired[bool | None]
    secret: NotRequired[WebhookSecret]
    rotate_secret: NotRequired[bool | None]  # True replaces the secret by a random one.


class TestWebhookResponse202(TypedDict):
    message_id: str


class ListWebhookDeliveriesResponse(TypedDict):
    deliveries: list[WebhookDelivery]
    has_more: bool
    next_cursor: str | None


class RedeliverWebhookFailuresBody(TypedDict):
    since: Moment


class RedeliverWebhookFailuresResponse202(TypedDict):
    redelivered: int
    has_more: bool


class ListBudgetsResponse(TypedDict):
    budgets: list[Budget]
    has_more: bool
    next_cursor: str | None


class CreateBudgetBody(TypedDict):
    scope: BudgetScope
    target: NotRequired[str | None]  # The id of the key, principal, workflow or skill, or the tag; absent for `workspace`.
    period: BudgetPeriod
    limit: float  # Credits, with at most six decimals and without an exponent.
    soft_percent: NotRequired[int | None]  # The share of the limit that counts as nearly used up.


class ChangeBudgetBody(TypedDict):
    limit: NotRequired[float]  # Credits, with at most six decimals and without an exponent.
    soft_percent: NotRequired[int | None]  # The share of the limit that counts as nearly used up.


class ListPricesResponse(TypedDict):
    prices: list[Price]
    price_lists: list[PriceList]  # On the first page: the dated prices that are in force or to come, by workflow or skill, model and time.
    has_more: bool
    next_cursor: str | None


class PutCreditAlertsBodyBalanceItem(TypedDict):
    credits: NotRequired[float]  # The balance is so much or less.
    percent: NotRequired[int]  # The balance is so much of the last top-up or less.


class PutCreditAlertsBodySpend(TypedDict):
    """Absent or null removes it."""

    percent: int  # More than so much of what is usual was spent in a day.
    at_least: float  # Spending that is not above it is never unusual, in credits.


class PutCreditAlertsBody(TypedDict):
    balance: NotRequired[list[PutCreditAlertsBodyBalanceItem] | None]  # Lines of the balance; absent or null removes them. Each has `credits` or `percent`.
    spend: NotRequired[PutCreditAlertsBodySpend | None]  # Absent or null removes it.


class GetCreditsResponse(TypedDict):
    balance: Credits


class ListGrantsResponse(TypedDict):
    grants: list[Grant]
    has_more: bool
    next_cursor: str | None


class GetLedgerResponse(TypedDict):
    entries: list[LedgerEntry]
    has_more: bool
    next_cursor: str | None
    rolled_up_before: str | None  # Entries from before this time are rolled up; null: none are.


class CreateSessionBody(TypedDict):
    token: str  # An API key or an operator's token.


class GetOverviewResponseExecutorsItem(TypedDict):
    id: int
    host: str
    pid: int
    alive: bool
    runs: int  # Executions that it has in memory.
    started_at: str
    beat_at: str | None  # Its last heartbeat.
    lease_seconds: float  # How long after a heartbeat it is lost.


class GetOverviewResponseHost(TypedDict):
    workers: int
    requests_in_progress: int
    refusals: dict[str, int]  # Rejected requests by status, and by some reasons.


class GetOverviewResponse(TypedDict):
    at: str
    last_minute: dict[str, int]  # Executions accepted within the last minute, by their present state.
    queue: dict[str, float]
    ended_total: dict[str, int]  # Executions that have ended since the installation, by their state.
    executors: list[GetOverviewResponseExecutorsItem]
    host: GetOverviewResponseHost


class ListWorkspacesResponse(TypedDict):
    workspaces: list[WorkspaceLoad]
    next: str | None


class AnswerSignalTicketResponse202(TypedDict):
    signal: str
    state: Literal['delivered', 'kept']


class IsAliveResponse(TypedDict):
    status: Literal['ok', 'degraded', 'unavailable']


class IsReadyResponse(TypedDict):
    status: Literal['ok', 'degraded', 'unavailable']


BudgetScope: TypeAlias = Literal['workspace', 'key', 'principal', 'responder', 'tag']
BudgetPeriod: TypeAlias = Literal['day', 'month', 'total']
Credits: TypeAlias = float
Moment: TypeAlias = str
TimeOffset: TypeAlias = str
TimeZ: TypeAlias = str
Status: TypeAlias = Literal['running', 'success', 'failed', 'stopped']
State: TypeAlias = Literal['queued', 'running', 'succeeded', 'failed', 'stopped']
StartAt: TypeAlias = str | None
DelaySeconds: TypeAlias = float | None
ExpiresAt: TypeAlias = str | None
TtlSeconds: TypeAlias = float | None
FailureReason: TypeAlias = Literal['timeout', 'stopped', 'executor_lost', 'step_failed', 'outputs_invalid', 'memory_limit', 'output_limit', 'insufficient_credits', 'model_error', 'internal', 'limit_exceeded', 'expired', 'budget_exceeded', None]
Source: TypeAlias = Literal['standalone', 'chat', 'workflow', 'skill']
Chat: TypeAlias = ChatObject | None
BulkAction: TypeAlias = Literal['stop', 'retry', 'purge']
BulkOutcome: TypeAlias = Literal['pending', 'done', 'skipped', 'failed']
Detail: TypeAlias = WorkflowDetail | SkillDetail
ErrorHash: TypeAlias = str
WebhookUrl: TypeAlias = str
WebhookEvent: TypeAlias = Literal['execution.started', 'execution.waiting', 'execution.succeeded', 'execution.failed', 'execution.stopped', 'webhook.disabled', 'webhook.test', 'budget.soft', 'budget.exceeded', 'credits.low', 'credits.spend_high']
WebhookEvents: TypeAlias = list[Literal['execution.started', 'execution.waiting', 'execution.succeeded', 'execution.failed', 'execution.stopped', 'webhook.disabled', 'budget.soft', 'budget.exceeded', 'credits.low', 'credits.spend_high']] | None
WebhookFilter: TypeAlias = WebhookFilterObject | None
WebhookSecret: TypeAlias = str | None
OwnWebhook: TypeAlias = OwnWebhookObject | None
CreateWorkflowResponse201: TypeAlias = Workflow
GetWorkflowResponse: TypeAlias = Workflow
UpdateWorkflowResponse: TypeAlias = Workflow
EstimateWorkflowResponse: TypeAlias = Estimate
RunWorkflowResponse: TypeAlias = Execution
RunWorkflowResponse202: TypeAlias = Accepted | Execution
RunWorkflowBatchResponse: TypeAlias = BatchResults
GetBatchResponse: TypeAlias = Batch
ListExecutionsResponse: TypeAlias = ExecutionPage
ListErrorsResponse: TypeAlias = ErrorGroups
StartBulkJobBody: TypeAlias = BulkNew
StartBulkJobResponse: TypeAlias = BulkPreview
StartBulkJobResponse202: TypeAlias = BulkJob
GetNestingsResponse: TypeAlias = Nesting
GetExecutionResponse: TypeAlias = Execution
MoveExecutionResponse: TypeAlias = Execution
StopExecutionBody: TypeAlias = dict[str, Any]
RetryExecutionBody: TypeAlias = Retry
RetryExecutionResponse: TypeAlias = Execution
RetryExecutionResponse202: TypeAlias = Accepted | Execution
EstimateSkillResponse: TypeAlias = Estimate
CancelSkillExecutionBody: TypeAlias = dict[str, Any]
GetBulkJobResponse: TypeAlias = BulkJob
CancelBulkJobResponse: TypeAlias = BulkJob
ResumeBulkJobResponse: TypeAlias = BulkJob
CreateScheduleResponse201: TypeAlias = Schedule
GetScheduleResponse: TypeAlias = Schedule
ChangeScheduleResponse: TypeAlias = Schedule
PauseScheduleResponse: TypeAlias = Schedule
ResumeScheduleResponse: TypeAlias = Schedule
TriggerScheduleBody: TypeAlias = dict[str, Any]
TriggerScheduleResponse: TypeAlias = Execution
TriggerScheduleResponse202: TypeAlias = Accepted | Execution
CreateWebhookResponse201: TypeAlias = Webhook
GetWebhookResponse: TypeAlias = Webhook
ChangeWebhookResponse: TypeAlias = Webhook
TestWebhookBody: TypeAlias = dict[str, Any]
RedeliverWebhookDeliveryBody: TypeAlias = dict[str, Any]
RedeliverWebhookDeliveryResponse202: TypeAlias = WebhookDelivery
CreateBudgetResponse201: TypeAlias = Budget
GetBudgetResponse: TypeAlias = Budget
ChangeBudgetResponse: TypeAlias = Budget
GetCreditAlertsResponse: TypeAlias = CreditAlerts
PutCreditAlertsResponse: TypeAlias = CreditAlerts
CreateGrantBody: TypeAlias = NewGrant
CreateGrantResponse: TypeAlias = Grant
CreateGrantResponse201: TypeAlias = Grant
GetUsageResponse: TypeAlias = Usage
GetStatementResponse: TypeAlias = Statement
CreateSessionResponse: TypeAlias = Session
GetSessionResponse: TypeAlias = Session
SendMcpMessageBody: TypeAlias = McpMessage
SendMcpMessageResponse: TypeAlias = McpMessage
LimitWorkspaceBody: TypeAlias = WorkspaceLimits
LimitWorkspaceResponse: TypeAlias = WorkspaceLoad
GetDocumentResponse: TypeAlias = dict[str, Any]
AnswerSignalTicketBody: TypeAlias = Any
