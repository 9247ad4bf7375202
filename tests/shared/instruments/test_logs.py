"""Which loggers there are."""

from importlib import import_module

from shared.instruments.logs import NOISY


def test_loggers_that_are_kept_quiet_are_modules_that_exist() -> None:
    for name in NOISY:
        import_module(name)
