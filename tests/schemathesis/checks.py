"""What schemathesis cannot know: for which reasons a request that fits the description may be refused all the same."""

import schemathesis

# Why a schema cannot say it.
UNSAID = {
    "idempotency_key_reused": "the same key, made up twice",
    "invalid_cursor": "a cursor has a form, but only those that a list gave mean something",
    "invalid_emoji": "which characters are one emoji is a list of thousands",
    "media_not_available": "media are described, and do not exist yet",
    "mentions_no_member": "who is a member",
    "not_in_the_future": "what time it is",
    "too_few_members": "a list may name somebody twice, or the one who asks",
    "upgrade_required": "a socket is no request and answer",
}
# Parameters of which one at most may be given.
ONE_OF = {"before", "after", "around"}


def has_fraction(value):
    """Whether there is a number such as 2.0, which JSON Schema takes for an integer and we do not."""
    if isinstance(value, dict):
        return any(map(has_fraction, value.values()))
    if isinstance(value, list):
        return any(map(has_fraction, value))
    return isinstance(value, float)


@schemathesis.check
def refused_for_what_cannot_be_described(ctx, response, case):
    """A request that fits is refused with 422 only where the description could not have said so."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in (422, 426):
        return
    code = response.json()["code"]
    if code in UNSAID:
        return
    if code == "invalid_query" and len(ONE_OF & set(case.query or {})) > 1:
        return
    if code == "invalid_fields" and has_fraction(case.body):
        return
    if code == "invalid_position" and ":" not in case.headers["X-Min-Position"]:
        # The coverage phase takes "0" for what fits the pattern of positions, and is wrong.
        return
    raise AssertionError(f"{code} is nothing that the description could not have said")
