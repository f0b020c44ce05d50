"""A workspace's account as docs/billing.md and docs/budgets.md describe it, without a look at the program. Amounts are whole micro-credits, times
whole milliseconds. A start or an expiry is made when something is done to the account after it (`at`)."""
import dataclasses
import datetime
import zoneinfo

NEVER = 1 << 62
DAY_MS = 86400000
LIMIT = 4611686018427 * 1000000
ORDER_OF_CATEGORIES = {"promotional": 0, "paid": 1}
PRICED_FOR = {"input_tokens": 1000000, "cached_tokens": 1000000, "output_tokens": 1000000, "seconds": 1000, "bytes": 1000000}
BUDGETS_OF_RUN = 8
BUDGETS_WITHOUT_TAG = 6


@dataclasses.dataclass
class Grant:
    id: str
    amount: int
    category: str
    priority: int
    effective: int
    expires: int = NEVER
    refund_of: str = None
    reference: str = None
    remaining: int = 0
    state: str = "scheduled"

    def order(self):
        return self.priority, self.expires, ORDER_OF_CATEGORIES[self.category], self.effective, self.id

    def status(self):
        return "used" if self.state == "active" and self.remaining == 0 else self.state


@dataclasses.dataclass
class PriceList:
    """The fixed part of a price, and of each unit its price and the most that is charged; seconds are counted in milliseconds."""
    fixed: int
    use: dict = dataclasses.field(default_factory=dict)

    def of(self, unit, amount):
        price, most = self.use.get(unit, (0, 0))
        return -(-price * min(amount, most) // PRICED_FOR[unit])

    def held(self):
        return sum(self.of(unit, most) for unit, (_, most) in self.use.items())

    def debit(self):
        return self.fixed + self.held()

    def used(self, amounts):
        """amounts: as the provider reports tokens, the cached ones among the input tokens."""
        cached = amounts.get("cached_tokens", 0) if "cached_tokens" in self.use else 0
        amounts = amounts | {"cached_tokens": cached, "input_tokens": amounts.get("input_tokens", 0) - cached}
        return sum(self.of(unit, amount) for unit, amount in amounts.items())


class Prices:
    """Dated lists by workflow or skill and model; None stands for all."""

    def __init__(self):
        self.lists = {}   # (responder, model): {from: PriceList, or None where the prices end}

    def set(self, responder, model, since, prices):
        self.lists.setdefault((responder, model), {})[since] = prices

    def of(self, now, responder, model, otherwise):
        for target in ((responder, model), (responder, None), (None, model), (None, None)):
            lists = self.lists.get(target, {})
            begun = sorted(since for since in lists if since <= now)
            for over in begun[:-1]:  # the clock is not set back
                del lists[over]
            if begun and lists[begun[-1]]:
                return lists[begun[-1]]
        return PriceList(otherwise)


def period_of(kind, zone, now):
    """(start, end) of the period of now."""
    if kind == "total":
        return 0, NEVER
    at = datetime.datetime.fromtimestamp(now // 1000, zoneinfo.ZoneInfo(zone))
    first = at.date().replace(day=1) if kind == "month" else at.date()
    after = (first + datetime.timedelta(days=32)).replace(day=1) if kind == "month" else first + datetime.timedelta(days=1)
    return tuple(int(datetime.datetime.combine(day, datetime.time(), at.tzinfo).timestamp() * 1000) for day in (first, after))


@dataclasses.dataclass
class Budget:
    id: str
    scope: str
    target: str
    period: str
    limit: int
    zone: str
    soft_percent: int = None
    used: dict = dataclasses.field(default_factory=dict)   # start of a period: micro-credits
    kept: tuple = None                                     # the period in which the time zone was changed

    def period_at(self, now):
        """(start, end): a period that has begun keeps its end when the time zone is changed, and the next one is that of the new zone."""
        if self.kept and now < self.kept[1]:
            return self.kept
        start, end = period_of(self.period, self.zone, now)
        return max(start, self.kept[1]) if self.kept else start, end

    def used_at(self, now):
        return self.used.get(self.period_at(now)[0], 0)

    def level(self, now):
        used = self.used_at(now)
        if used >= self.limit:
            return "exceeded"
        return "soft" if self.soft_percent and used * 100 >= self.limit * self.soft_percent else "ok"


@dataclasses.dataclass
class Debit:
    prices: PriceList
    parts: dict     # grant: amount, in the order in which the grants were used
    periods: list   # (budget, start of its period)


@dataclasses.dataclass
class Refusal:
    code: str
    budgets: set = dataclasses.field(default_factory=set)   # those that are reset last
    reset: int = None


class Account:
    def __init__(self, zone="UTC"):
        self.zone = zone
        self.prices = Prices()
        self.budgets = {}
        self.grants = {}
        self.open = {}       # those that are scheduled or have something left: nothing becomes due of the others
        self.extending = {}  # expired grant: those that took its refunds
        self.ledger = []     # (kind, amount, ((grant, amount), …))
        self.sum = 0         # of the ledger
        self.debits = {}     # run: Debit
        self.ended = {}      # run: what was returned

    def balance(self):
        return self.sum

    def set_zone(self, now, zone):
        self.zone = zone
        for budget in self.budgets.values():
            budget.kept, budget.zone = budget.period_at(now), zone

    def _enter(self, kind, parts):
        parts = {grant: amount for grant, amount in parts.items() if amount}
        self.ledger.append((kind, sum(parts.values()), tuple(parts.items())))
        self.sum += self.ledger[-1][1]
        return parts

    def _put(self, grant):
        self.grants[grant.id] = grant
        if grant.state == "scheduled" or grant.remaining:
            self.open[grant.id] = grant
        else:
            self.open.pop(grant.id, None)

    def at(self, now):
        for grant in list(self.open.values()):
            if grant.state == "scheduled" and grant.effective <= now:
                grant.state, grant.remaining = "active", grant.amount
                self._enter("grant", {grant.id: grant.amount})
            if grant.state == "active" and grant.expires <= now and grant.remaining:
                self._enter("expiry", {grant.id: -grant.remaining})
                grant.state, grant.remaining = "expired", 0
                self._put(grant)

    def grant(self, now, grant):
        self.at(now)
        self._put(grant)
        self.at(now)

    def spendable(self):
        return sum(g.remaining for g in self.open.values() if g.state == "active")

    def _take(self, amount):
        """None if the balance is lower."""
        if amount > self.spendable():
            return None
        parts = {}
        for grant in sorted((g for g in self.open.values() if g.state == "active"), key=Grant.order):
            part = min(amount, grant.remaining)
            if part:
                grant.remaining -= part
                amount -= part
                parts[grant.id] = -part
                self._put(grant)
        return parts

    def correct(self, now, amount):
        self.at(now)
        parts = self._take(amount)
        if parts is not None:
            self._enter("grant", parts)
        return parts is not None

    def debit(self, now, run, prices, subject=None):
        """None, or why the run is refused. subject: {"key": …, "principal": …, "responder": …, "tags": […]}."""
        self.at(now)
        amount = prices.debit()
        if amount > self.spendable():
            return Refusal("insufficient_credits")
        matching = [b for b in self.budgets.values() if self._matches(b, subject or {})]
        refusing = [b for b in matching if b.used_at(now) + amount > b.limit]
        if amount and len(matching) > BUDGETS_OF_RUN:
            return Refusal("budget_exceeded")
        if amount and refusing:
            reset = max(b.period_at(now)[1] for b in refusing)
            return Refusal("budget_exceeded", {b.id for b in refusing if b.period_at(now)[1] == reset}, reset)
        debit = Debit(prices, self._enter("debit", self._take(amount)), [])
        for budget in matching:
            start = budget.period_at(now)[0]
            budget.used[start] = budget.used.get(start, 0) + amount
            debit.periods.append((budget.id, start))
        self.debits[run] = debit
        return None

    @staticmethod
    def _matches(budget, subject):
        if budget.scope == "tag":
            return budget.target in subject.get("tags", ())
        return budget.scope == "workspace" or budget.target == subject.get(budget.scope)

    def refund(self, now, run, new_id):
        """The run ends before it was started. new_id(grant): the id of the grant that takes the refunds of an expired one, where there is none yet."""
        if run not in self.ended:
            self._give_back(now, "refund", run, {grant: -amount for grant, amount in self.debits[run].parts.items()}, new_id)

    def end(self, now, run, amounts, new_id):
        """The run ends after it was started, and has used so much: what was held and not used returns, to the grant that was used last first."""
        if run in self.ended:
            return
        debit = self.debits[run]
        left, shares = debit.prices.held() - debit.prices.used(amounts), {}
        for grant, amount in reversed(debit.parts.items()):
            shares[grant] = min(left, -amount)
            left -= shares[grant]
        self._give_back(now, "release", run, {grant: share for grant, share in shares.items() if share}, new_id)

    def _give_back(self, now, kind, run, shares, new_id):
        self.at(now)
        self.ended[run] = sum(shares.values())
        for budget, start in self.debits[run].periods:
            if budget in self.budgets:
                self.budgets[budget].used[start] -= self.ended[run]
        if kind == "release" and not shares:
            return
        parts, voided, expired = {}, [], []
        for grant, amount in shares.items():
            target = self.grants[grant]
            if target.state == "voided":
                voided.append((grant, -amount))
            elif target.expires <= now and target.refund_of:
                expired.append((grant, -amount))
            else:
                if target.expires <= now:
                    target = self._replacement(now, target, new_id)
                    target.amount += amount
                target.remaining += amount
                self._put(target)
            parts[target.id] = parts.get(target.id, 0) + amount
        self._enter(kind, parts)
        for grant, amount in voided:
            self._enter("void", {grant: amount})
        for grant, amount in expired:
            self._enter("expiry", {grant: amount})

    def _replacement(self, now, expired, new_id):
        for grant in self.extending.setdefault(expired.id, []):
            if grant.state == "active" and grant.expires > now:
                return grant
        made = Grant(new_id(expired.id), 0, expired.category, expired.priority, now, now + min(30 * DAY_MS, expired.expires - expired.effective),
                     refund_of=expired.id, state="active")
        self.extending[expired.id].append(made)
        return made

    def void(self, now, id):
        """False if it has expired."""
        self.at(now)
        grant = self.grants[id]
        if grant.state == "voided":
            return True
        if grant.expires <= now:
            return False
        if grant.remaining and grant.state == "active":
            self._enter("void", {id: -grant.remaining})
        grant.state, grant.remaining = "voided", 0
        self._put(grant)
        return True

    def budget(self, budget):
        """Why it is not made, or None."""
        if any((b.scope, b.target, b.period) == (budget.scope, budget.target, budget.period) for b in self.budgets.values()):
            return "budget_exists"
        most = 0
        for scope in ("workspace", "key", "principal", "responder"):
            targets = [b.target for b in [*self.budgets.values(), budget] if b.scope == scope]
            most += max((targets.count(t) for t in targets), default=0)
        if budget.scope != "tag" and most > BUDGETS_WITHOUT_TAG:
            return "budget_limit"
        self.budgets[budget.id] = budget
        return None
