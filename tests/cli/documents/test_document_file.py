"""Documents as they are read."""

import os
import threading

from refrain.cli.documents.document_file import DocumentFile


def test_a_named_pipe_is_not_opened_before_it_is_read(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    made = []
    making = threading.Thread(
        target=lambda: made.append(DocumentFile(pipe, "line", "text")), daemon=True
    )
    making.start()
    making.join(10)  # opening it would wait for who writes
    assert made
