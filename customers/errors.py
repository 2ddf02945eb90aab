"""What can go wrong with customers, each as one sentence that says what to do next."""


class CustomersError(ValueError):
    """The parent of every error of this room."""


class InvalidAddress(CustomersError):
    """No mail can be sent to this address."""


class UnreadableHistory(CustomersError):
    """The file as a whole can't be read; nothing of it was stored."""


class UnknownSetting(CustomersError):
    """An option of the import (time zone, encoding, mapping) is not one we know."""


class MergeRefused(CustomersError):
    """These two customers can't be made one."""
