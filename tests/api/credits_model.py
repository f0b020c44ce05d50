"""A workspace's account as docs/billing.md describes it, without a look at the program. Amounts are whole micro-credits, times whole
milliseconds. A start or an expiry is made when something is done to the account after it (`at`)."""
import dataclasses

NEVER = 1 << 62
DAY_MS = 86400000
LIMIT = 4611686018427 * 1000000
ORDER_OF_CATEGORIES = {"promotional": 0, "paid": 1}


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


class Account:
    def __init__(self):
        self.grants = {}
        self.ledger = []   # (kind, amount, {grant: amount})
        self.debits = {}   # run: {grant: amount}
        self.refunded = set()

    def balance(self):
        return sum(amount for _, amount, _ in self.ledger)

    def _enter(self, kind, parts):
        parts = {grant: amount for grant, amount in parts.items() if amount}
        self.ledger.append((kind, sum(parts.values()), parts))
        return parts

    def at(self, now):
        for grant in list(self.grants.values()):
            if grant.state == "scheduled" and grant.effective <= now:
                grant.state, grant.remaining = "active", grant.amount
                self._enter("grant", {grant.id: grant.amount})
            if grant.state == "active" and grant.expires <= now and grant.remaining:
                self._enter("expiry", {grant.id: -grant.remaining})
                grant.state, grant.remaining = "expired", 0

    def grant(self, now, grant):
        self.at(now)
        self.grants[grant.id] = grant
        self.at(now)

    def _take(self, amount):
        """None if the balance is lower."""
        if amount > sum(g.remaining for g in self.grants.values() if g.state == "active"):
            return None
        parts = {}
        for grant in sorted((g for g in self.grants.values() if g.state == "active"), key=Grant.order):
            part = min(amount, grant.remaining)
            if part:
                grant.remaining -= part
                amount -= part
                parts[grant.id] = -part
        return parts

    def correct(self, now, amount):
        self.at(now)
        parts = self._take(amount)
        if parts is not None:
            self._enter("grant", parts)
        return parts is not None

    def debit(self, now, run, amount):
        self.at(now)
        parts = self._take(amount)
        if parts is None:
            return False
        self.debits[run] = self._enter("debit", parts)
        return True

    def refund(self, now, run, new_id):
        """new_id(grant): the id of the grant that takes the refunds of an expired one, where there is none yet."""
        if run in self.refunded:
            return
        self.at(now)
        self.refunded.add(run)
        parts, voided, expired = {}, [], []
        for grant, amount in self.debits[run].items():
            target = self.grants[grant]
            if target.state == "voided":
                voided.append((grant, amount))
            elif target.expires <= now and target.refund_of:
                expired.append((grant, amount))
            elif target.expires <= now:
                target = self._replacement(now, target, new_id)
                target.amount -= amount
            parts[target.id] = parts.get(target.id, 0) - amount
            if (grant, amount) not in voided + expired:
                target.remaining -= amount
        self._enter("refund", parts)
        for grant, amount in voided:
            self._enter("void", {grant: amount})
        for grant, amount in expired:
            self._enter("expiry", {grant: amount})

    def _replacement(self, now, expired, new_id):
        for grant in self.grants.values():
            if grant.refund_of == expired.id and grant.state == "active" and grant.expires > now:
                return grant
        made = Grant(new_id(expired.id), 0, expired.category, expired.priority, now, now + min(30 * DAY_MS, expired.expires - expired.effective),
                     refund_of=expired.id, state="active")
        self.grants[made.id] = made
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
        return True
