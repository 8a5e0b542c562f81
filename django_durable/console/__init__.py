"""What ``manage.py durable`` does: each subcommand is a function that gives an ``Answer``.

It asks the public functions and the queries of the store, and never writes by itself.
How an answer is printed is settled in ``answers``; nothing else here prints.
"""
