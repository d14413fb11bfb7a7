"""What every route stands on: strict JSON, streams, clients that leave, errors and their statuses, middleware."""
