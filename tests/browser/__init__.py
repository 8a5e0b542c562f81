"""The site as people see it: in Chromium, served by a process, with a worker beside it."""
