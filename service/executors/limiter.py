"""Sets limits on itself and becomes the program: run by `bounded` as a file of its own, with the standard library only.

Limits that were set from outside, once the program runs, would come too late on a busy machine; a function that runs
between fork and exec would not be safe beside other threads.

Arguments: limits as `KIND:MOST:GRACE` with commas between them (KIND: a number of `resource`), the value that
`LC_CTYPE` shall have (empty: none), the program, its arguments.
"""

import os
import resource
import signal
import sys


def main(limits: str, locale: str, *argv: str) -> None:
    """Never returns: it is the program then, or ends with words on standard error."""
    for limit in limits.split(","):
        kind, most, grace = map(int, limit.split(":"))
        _, hard = resource.getrlimit(kind)
        soft, hard = (each if hard == resource.RLIM_INFINITY else min(each, hard) for each in (most, most + grace))
        resource.setrlimit(kind, (soft, hard))
    # What Python changed at its start: it is not the program's.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    environment = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    if locale:
        environment["LC_CTYPE"] = locale
    try:
        os.execve(argv[0], argv, environment)  # noqa: S606  (no shell: that is the point)
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
