"""What every route stands on: middleware, strict JSON, streams, disconnects, errors and their statuses."""
