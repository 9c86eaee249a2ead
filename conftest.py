"""What every test and bench may use: fixtures for laboratory guests."""

pytest_plugins = ["aerostat.testing.pytest_plugin"]
