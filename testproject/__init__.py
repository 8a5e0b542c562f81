"""A small Django project that uses django_durable: for tests, benchmarks, the demo."""
