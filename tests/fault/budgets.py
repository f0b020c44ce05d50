"""Budgets of the workspaces of the load: wide ones that everything fits, and one that the poor workspace uses up. At the end each counter is what the
ledger says, by sums that do not read the marks which Millrace itself reads, and none has exceeded its limit."""

POOR_LIMIT = 200  # credits: fewer than the workspace has, so that the budget refuses first


class Budgets:
    def __init__(self, stack, book, rich, poor, caller_of):
        self.stack, self.book, self.made = stack, book, []
        caller = caller_of(rich)
        key = stack.sql_one(f"SELECT id FROM api_keys WHERE workspace_id = '{rich.id}' ORDER BY id LIMIT 1")
        for scope, target, period in (("workspace", None, "day"), ("key", key, "month"), ("tag", "nobody has it", "total")):
            self.make(caller, rich, scope, target, period, 1000000)
        self.make(caller_of(poor), poor, "workspace", None, "total", POOR_LIMIT)
        # each run of the load holds credits for what it uses, which its end settles
        stack.cli("price", "set", "--workspace", rich.id, "--credits", "1", "--seconds", "0.001,10", "--bytes", "0.1,1000000")
        for alerted in (caller, caller_of(poor)):  # the audit proves what was told
            lines = [{"percent": p} for p in (25, 50, 75, 99)] + [{"credits": 0}]
            answer = alerted.call("PUT", "/credits/alerts", {"balance": lines, "spend": {"percent": 200, "at_least": 1}})
            assert answer.status == 200, str(answer)

    def make(self, caller, workspace, scope, target, period, limit):
        answer = caller.call("POST", "/budgets", {"scope": scope, "target": target, "period": period, "limit": limit, "soft_percent": 50})
        assert answer.status == 201, str(answer)
        self.made.append((workspace, answer.json))

    def check(self):
        """All debits came after the budgets, except those of runs that a day's end separates: the periods of a budget are summed."""
        for workspace, budget in self.made:
            scope, target = budget["scope"], budget["target"]
            of = {"workspace": "TRUE", "key": f"key_id = '{target}'", "tag": "FALSE"}[scope]
            spent = int(self.stack.sql_one(f"SELECT COALESCE(-SUM(amount), 0) FROM credit_ledger WHERE workspace_id = '{workspace.id}' "
                                           f"AND kind IN (2, 3, 6) AND {of}"))
            used = int(self.stack.sql_one(f"SELECT (SELECT used FROM budgets WHERE id = '{budget['id']}') + "
                                          f"COALESCE((SELECT SUM(used) FROM budget_periods WHERE budget_id = '{budget['id']}'), 0)"))
            if used != spent:
                self.book.complain(f"the budget {budget['id']} of a {scope} has counted {used}, but {spent} were spent")
            if used > budget["limit"] * 1000000:
                self.book.complain(f"the budget {budget['id']} of {budget['limit']} credits has let {used} micro-credits through")
            self.book.count("micro-credits counted by budgets", used)
