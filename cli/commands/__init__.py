"""The commands, one file each; a new command goes here."""
