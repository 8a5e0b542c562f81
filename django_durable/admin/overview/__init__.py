"""The first page of the app: whether all is well, and if not, where to look."""
