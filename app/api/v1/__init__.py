"""Routes in the shape of OpenAI's API, for programs that were written for it."""
