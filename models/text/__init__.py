"""From text to token ids and back; the language a text is written in."""
