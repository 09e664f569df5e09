"""A worker that another has taken over, as executors and the actor see it."""


class TakenOver(BaseException):
    """As `Stopped`: it is no Exception, so that no executor takes it for a failure of the target."""


def refused() -> None:
    """In place of `Call.confirm`, and of what the actor asks."""
    raise TakenOver
