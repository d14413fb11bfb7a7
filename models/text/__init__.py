"""From text to token ids and back; the script a text is written in."""
