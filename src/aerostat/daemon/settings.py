"""The engine's settings, as a configuration has them. Pure."""

from aerostat.daemon.config.tables import Config
from aerostat.engine.settings import Settings

# A figure is made once an interval at best, and one look may fail.
_FRESH_INTERVALS = 3
_SILENT_INTERVALS = 10


def settings_of(config: Config) -> Settings:
    """Return the settings for a manager that looks as often as `config` says."""
    usual = Settings()
    return Settings(
        mode=config.mode,
        fresh_for=max(usual.fresh_for, _FRESH_INTERVALS * config.interval),
        silent_after=max(usual.silent_after, _SILENT_INTERVALS * config.interval),
    )
