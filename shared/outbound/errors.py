"""Why something could not be sent."""


class OutboundRefused(Exception):
    """The address is internal, and KENNEL_OUTBOUND_ALLOW does not name it."""


class OutboundFailed(Exception):
    """The other side did not take it, or did not answer; the message says why, without URL or secrets."""
