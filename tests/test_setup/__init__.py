"""The set-up: environment, embedded servers, supervisor, bin/up, bin/test, deployment files."""
