"""What people are asked: the list of it, and the page on which one answers."""
