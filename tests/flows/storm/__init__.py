"""Push storms: a client in a process of its own, the real servers it pushes to, and what the tests break meanwhile.

`client` sends until everything is acknowledged and keeps the tally; `ground` is PostgreSQL, Valkey and gunicorn as
`bin/up` starts them, under its supervisor; `fill` makes the data they start with.
"""
