"""The tags of the admin's templates."""
