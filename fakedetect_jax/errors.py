"""The one base class of the errors that a user can mend."""


class FakedetectError(ValueError):
    """Input that cannot be used: the message names the thing, its value and the remedy.

    The programs show such an error as one line. Every other exception is a bug of this project, or of the machine, and
    keeps its traceback.
    """
