"""The `refrain` command, above `app` and `training`; each command imports what it needs only when asked."""
