"""Who answers a command's questions: a model in this process, or a running server. The JSON is the same."""
